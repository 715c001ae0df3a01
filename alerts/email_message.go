package alerts

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/textproto"

	gomail "github.com/wneessen/go-mail"
)

// compose writes one message for each recipient. Its bytes are the same at
// every try: the date is the alert's, and the message id comes from its id.
func (c *email) compose(m Message, to []*mail.Address) ([]*gomail.Msg, error) {
	var messages []*gomail.Msg
	for _, recipient := range to {
		msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("btcwatch-"+m.ID.String()))
		msg.FromMailAddress(c.from)
		msg.ToMailAddress(recipient)
		msg.Subject(Subject(m.Decoded))
		msg.SetDateWithValue(m.Decoded.Timestamp.UTC())
		msg.SetMessageIDWithValue(c.messageID(m.ID))
		msg.SetGenHeader("Auto-Submitted", "auto-generated") // keeps holiday replies away
		if m.ReplyTo != nil {
			msg.SetGenHeader(gomail.HeaderInReplyTo, "<"+c.messageID(*m.ReplyTo)+">")
			msg.SetGenHeader(gomail.HeaderReferences, "<"+c.messageID(*m.ReplyTo)+">")
		}
		msg.SetBodyString(gomail.TypeTextPlain, Text(m.Decoded, m.Zone))
		msg.AddAlternativeString(gomail.TypeTextHTML, HTML(m.Decoded, m.Zone))
		if _, err := msg.GetRecipients(); err != nil {
			return nil, fmt.Errorf("compose the mail: %w", err)
		}
		messages = append(messages, msg)
	}
	return messages, nil
}

func (c *email) messageID(id ID) string { return id.String() + "@" + c.host }

// settle takes note of who has got the alert, and says how many have not.
func (c *email) settle(ctx context.Context, id ID, to []*mail.Address, messages []*gomail.Msg) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing, refused int
	var last error
	for i, msg := range messages {
		if msg.IsDelivered() {
			c.take(id, to[i])
			continue
		}
		missing++
		if rejected(msg.SendError()) {
			refused++
		}
		last = msg.SendError()
	}
	if missing == 0 {
		delete(c.taken, id)
		return nil
	}
	err := fmt.Errorf("mail to %d of %d recipients: %s", missing, len(c.to), mailTrouble(errors.Join(last, ctx.Err())))
	if refused == missing {
		delete(c.taken, id)
		return PermanentError(err)
	}
	return err
}

// maxTaken is how many alerts may be on their way to some recipients only.
const maxTaken = 1000

func (c *email) take(id ID, to *mail.Address) {
	if len(c.taken) >= maxTaken {
		clear(c.taken) // rather a mail twice than a memory without end
	}
	if c.taken[id] == nil {
		c.taken[id] = map[string]bool{}
	}
	c.taken[id][to.Address] = true
}

// rejected says whether the server refused a message for good. The library's
// own IsTemp takes a broken connection for that, so the code decides.
func rejected(err error) bool {
	code := smtpCode(err)
	return code >= 500 && code < 600
}

func smtpCode(err error) int {
	var send *gomail.SendError
	if errors.As(err, &send) && send.ErrorCode() != 0 {
		return send.ErrorCode()
	}
	var protocol *textproto.Error
	if errors.As(err, &protocol) {
		return protocol.Code
	}
	return 0
}

// mailTrouble tells the server's code and never its text. A refusal while
// connecting or logging in is not for good: somebody will mend it.
func mailTrouble(err error) string {
	switch code := smtpCode(err); {
	case code == 0:
		return trouble(err)
	case code == 530 || code == 534 || code == 535:
		return fmt.Sprintf("the mail server answered %d: check username and password_file", code)
	default:
		return fmt.Sprintf("the mail server answered %d", code)
	}
}
