package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"btcwatch/keyfile"
)

// slack posts to an incoming webhook of Slack, or of Mattermost, which takes
// the same. Such a webhook cannot answer in a thread, for it is never told what
// became of its message; what follows on an alert names it by its id instead.
type slack struct {
	*receiver
	detail detail
}

type slackSettings struct {
	URLFile      string   `toml:"url_file"`      // whoever knows the url can post: it is a secret
	Detail       string   `toml:"detail"`        // brief (default), full
	AllowPrivate bool     `toml:"allow_private"` // permit private networks, and http: a Mattermost of one's own
	CAFile       string   `toml:"ca_file"`       // instead of the system's authorities
	Timeout      Duration `toml:"timeout"`       // default 20s
}

func (s slackSettings) receiver(url string) receiverSettings {
	return receiverSettings{Name: "Slack", URL: url, AllowPrivate: s.AllowPrivate, CAFile: s.CAFile, Timeout: s.Timeout}
}

func openSlack(s Settings, env Env) (Channel, error) {
	var set slackSettings
	if err := s.Decode(&set); err != nil {
		return nil, err
	}
	shown, detailErr := readDetail(set.Detail)
	url, err := keyfile.Secret("url_file", set.URLFile)
	if err := together(err, detailErr); err != nil {
		return nil, err
	}
	r, err := newReceiver(set.receiver(url), env)
	if err != nil {
		return nil, fmt.Errorf("url_file: %w", err)
	}
	return &slack{receiver: r, detail: shown}, nil
}

// Send posts the alert once. Slack says "ok" when it has taken a message; an
// answer of another kind comes from somebody else.
func (c *slack) Send(ctx context.Context, m Message) error {
	var words string
	err := c.post(ctx, http.Header{}, c.payload(m), &words)
	if err == nil && strings.TrimSpace(words) != "ok" {
		return errors.New("post to Slack: the answer is not Slack's: check that url_file holds the url of an incoming webhook")
	}
	if hint, known := slackHint(words); err != nil && known {
		return hinted{err, hint}
	}
	return err
}

// hinted is an error with advice, and whatever the error means otherwise.
type hinted struct {
	error
	hint string
}

func (h hinted) Error() string { return h.error.Error() + ": " + h.hint }
func (h hinted) Unwrap() error { return h.error }

// slackHint says in our own words what Slack's mean.
func slackHint(words string) (string, bool) {
	hint, known := map[string]string{
		"invalid_payload":                   "it does not understand the message: report this as a fault of btcwatch",
		"invalid_blocks":                    "it does not understand the message: report this as a fault of btcwatch",
		"no_text":                           "it does not understand the message: report this as a fault of btcwatch",
		"action_prohibited":                 "the workspace does not allow this webhook to post there: ask its administrator",
		"posting_to_general_channel_denied": "the workspace does not allow this webhook to post there: ask its administrator",
		"channel_not_found":                 "its channel does not exist any more: make a new incoming webhook, and put its url into url_file",
		"channel_is_archived":               "its channel is archived: make a new incoming webhook, and put its url into url_file",
		"no_service":                        "the webhook was removed or switched off: make a new one, and put its url into url_file",
		"no_service_id":                     "the webhook was removed or switched off: make a new one, and put its url into url_file",
		"no_active_hooks":                   "the webhook was removed or switched off: make a new one, and put its url into url_file",
		"invalid_token":                     "the webhook was removed or switched off: make a new one, and put its url into url_file",
		"no_team":                           "the workspace does not exist any more: make a new incoming webhook, and put its url into url_file",
		"team_disabled":                     "the workspace is switched off: ask its administrator",
		"rollup_error":                      "Slack has trouble of its own",
	}[strings.TrimSpace(words)]
	return hint, known
}

// slackMessage is what an incoming webhook takes. Text is for notifications,
// for screen readers and for Mattermost, which shows it alone; so it says all.
type slackMessage struct {
	Text        string       `json:"text"`
	Mrkdwn      bool         `json:"mrkdwn"`
	UnfurlLinks bool         `json:"unfurl_links"` // nobody else's server learns who reads
	UnfurlMedia bool         `json:"unfurl_media"`
	Blocks      []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"` // nothing in it is made a link or a mention
}

func (c *slack) payload(m Message) []byte {
	p := compose(m.Decoded, m.Zone)
	head := slackColour(p.severity) + " " + strings.ToUpper(p.severity)
	headline := chat(c.detail.headline(m.Decoded), mostSection-100)
	lines := enough(c.lines(m, p))
	tail := chat(strings.TrimSpace(following(m)+" "+p.last()), mostSection)
	msg := slackMessage{
		Text:   strings.Join(slices.Concat([]string{head + "  " + headline}, lines, []string{tail}), "\n"),
		Blocks: []slackBlock{slackSection(strings.Replace(head, " ", " *", 1) + "*  " + headline)},
	}
	for _, part := range sections(lines, mostSection) {
		msg.Blocks = append(msg.Blocks, slackSection(part))
	}
	msg.Blocks = append(msg.Blocks, slackBlock{Type: "context", Elements: []slackText{mrkdwn(tail)}})
	return encodeJSON(msg)
}

// lines are the facts and notes below the headline.
func (c *slack) lines(m Message, p page) []string {
	if c.detail != detailFull {
		return []string{chat(clock(m.Decoded.Timestamp, m.Zone), mostSection)}
	}
	var lines []string
	for _, f := range p.facts {
		for _, value := range f.values {
			lines = append(lines, chat(f.name+": "+value, mostSection))
		}
	}
	for _, note := range p.notes {
		lines = append(lines, chat(note, mostSection))
	}
	return lines
}

// What Slack takes, here in bytes: in the text of a section, and, with much
// room to spare, in a message and its 50 blocks.
const (
	mostSection = 3000
	mostMessage = 30_000
)

// enough leaves out what is too much for a message, and says so.
func enough(lines []string) []string {
	sum := 0
	for i, line := range lines {
		if sum += len(line) + 1; sum > mostMessage {
			return append(lines[:i:i], "There is more: the alert itself shows all of it.")
		}
	}
	return lines
}

// sections joins lines into texts of at most so many bytes.
func sections(lines []string, most int) []string {
	var all []string
	for _, line := range lines {
		if last := len(all) - 1; last >= 0 && len(all[last])+1+len(line) <= most {
			all[last] += "\n" + line
			continue
		}
		all = append(all, line)
	}
	return all
}

func slackSection(text string) slackBlock {
	t := mrkdwn(text)
	return slackBlock{Type: "section", Text: &t}
}

func mrkdwn(text string) slackText { return slackText{Type: "mrkdwn", Text: text, Verbatim: true} }

// slackColour is a square: colour that also shows in notifications, and that
// Mattermost shows too.
func slackColour(severity string) string {
	square, ok := map[string]string{"severe": "🟥", "high": "🟧", "medium": "🟨", "low": "🟦"}[severity]
	if !ok {
		return "⬜"
	}
	return square
}

// chatMarks are the characters that Slack's or Mattermost's markup and mentions
// begin with. Neither has an escape that the other one knows, so they are
// replaced by others that look alike.
var chatMarks = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	"*", "∗", "_", "＿", "~", "∼", "`", "ˋ", "[", "［", "]", "］", "|", "｜", "@", "＠", "#", "＃", "\\", "＼", "!", "！",
)

// chat makes clean text show in a chat as it is, mention nobody, and take no
// more than so many bytes.
func chat(text string, most int) string {
	var b strings.Builder
	for _, r := range text {
		shown := chatMarks.Replace(string(r))
		if b.Len()+len(shown)+len("…") > most {
			b.WriteString("…")
			break
		}
		b.WriteString(shown)
	}
	return b.String()
}

func encodeJSON(v any) []byte {
	var buffer bytes.Buffer
	enc := json.NewEncoder(&buffer)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("alerts: encode a %T: %v", v, err))
	}
	return bytes.TrimRight(buffer.Bytes(), "\n")
}
