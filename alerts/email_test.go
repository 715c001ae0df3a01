package alerts

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"mime/quotedprintable"
)

const oneDesk = `"Compliance <desk@example.org>"`

func TestMailCarriesBothFormsAndThreads(t *testing.T) {
	s := serveMail(t, "starttls")
	c := mailTo(t, s, oneDesk)
	first := message(t, told(t)(incoming().Seen(testKey())))
	reply := message(t, told(t)(confirmed().Confirmed(testKey(), 1, true)))
	reply.ReplyTo = &first.ID
	for _, m := range []Message{first, reply} {
		if err := c.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
	taken := s.taken()
	if len(taken) != 2 || !taken[0].encrypted || taken[0].from != "btcwatch@example.org" || taken[0].to != "desk@example.org" {
		t.Fatalf("the server took %+v", taken)
	}
	one, text, html := parts(t, taken[0].content)
	for header, want := range map[string]string{
		"Message-Id":     "<" + first.ID.String() + "@btcwatch.watch.example.org>",
		"Date":           "Sun, 01 Mar 2026 12:00:05 +0000",
		"Subject":        "[medium] in 0.015 BTC - Botobekov article, address 1 of 2 - unconfirmed, reported",
		"To":             `"Compliance" <desk@example.org>`,
		"Auto-Submitted": "auto-generated",
		"In-Reply-To":    "", "References": "", "User-Agent": "", "X-Mailer": "",
	} {
		if got := one.Get(header); got != want {
			t.Errorf("%s is %q, not %q", header, got, want)
		}
	}
	if text != Text(first.Decoded, time.UTC) {
		t.Errorf("the text reads\n%s", text)
	}
	if html != HTML(first.Decoded, time.UTC) {
		t.Errorf("the page reads\n%s", html)
	}
	two, _, _ := parts(t, taken[1].content)
	for _, header := range []string{"In-Reply-To", "References"} {
		if two.Get(header) != one.Get("Message-Id") {
			t.Errorf("%s of the reply is %q", header, two.Get(header))
		}
	}
}

// parts takes a mail apart as a reader of the outside would.
func parts(t *testing.T, content string) (header mail.Header, text, html string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", kind, err)
	}
	reader := multipart.NewReader(m.Body, params["boundary"])
	read := func(want string) string {
		part, err := reader.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if got := part.Header.Get("Content-Type"); got != want {
			t.Errorf("a part is %q, not %q", got, want)
		}
		raw, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(raw), "\r\n", "\n")
	}
	text, html = read("text/plain; charset=UTF-8"), read("text/html; charset=UTF-8")
	if _, err := reader.NextRawPart(); err != io.EOF {
		t.Errorf("after two parts: %v", err)
	}
	return m.Header, text, html
}

func TestRepeatedMailHasTheSameBytes(t *testing.T) {
	s := serveMail(t, "starttls")
	c := mailTo(t, s, oneDesk)
	m := message(t, told(t)(incoming().Seen(testKey())))
	for attempt := range 5 {
		m.Attempt = attempt + 1
		if err := c.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
	for i, mail := range s.taken() {
		if mail.content != s.taken()[0].content {
			t.Errorf("repeat %d differs:\n%s", i, mail.content)
		}
	}
}

func TestLabelsCannotWriteHeadersOrMarkup(t *testing.T) {
	s := serveMail(t, "starttls")
	p := incoming()
	p.Label = "x\r\nBcc: thief@example.org\r\n\r\n<script>alert(1)</script>\u202e"
	p.Network = "main\nX-Evil: 1"
	m := message(t, told(t)(p.Seen(testKey())))
	if err := mailTo(t, s, oneDesk).Send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	header, text, html := parts(t, s.taken()[0].content)
	if header.Get("Bcc") != "" || header.Get("X-Evil") != "" || len(header) > 10 {
		t.Errorf("headers are %v", header)
	}
	if strings.Contains(html, "<script") || strings.Contains(text+html, "\u202e") || strings.Contains(text, "\nBcc") {
		t.Errorf("the label got through:\n%s\n%s", text, html)
	}
}

func TestMailServerAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		rcpt, data error
		permanent  bool
		words      string
	}{
		"451 to the recipient": {refusal(451), nil, false, "mail to 1 of 1 recipients: the mail server answered 451"},
		"550 to the recipient": {refusal(550), nil, true, "mail to 1 of 1 recipients: the mail server answered 550"},
		"452 to the content":   {nil, refusal(452), false, "the mail server answered 452"},
		"554 to the content":   {nil, refusal(554), true, "the mail server answered 554"},
	} {
		s := serveMail(t, "starttls")
		s.set(func() { s.refuse["desk@example.org"], s.atData = c.rcpt, c.data })
		err := mailTo(t, s, oneDesk).Send(context.Background(), message(t, told(t)(incoming().Seen(testKey()))))
		if err == nil || Permanent(err) != c.permanent || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: permanent %v: %v", name, Permanent(err), err)
		}
		discreet(t, err)
	}
}

// One mailbox that is gone must not keep the others from being told, nor have
// them told again at every try.
func TestOneRefusedRecipientStopsNobodyElse(t *testing.T) {
	s := serveMail(t, "starttls")
	s.set(func() { s.refuse["b@example.org"] = refusal(451) })
	c := mailTo(t, s, `"a@example.org", "b@example.org", "c@example.org"`)
	m := message(t, told(t)(incoming().Seen(testKey())))
	for range 2 {
		err := c.Send(context.Background(), m)
		if err == nil || Permanent(err) || !strings.Contains(err.Error(), "mail to 1 of 3 recipients") {
			t.Fatalf("got %v", err)
		}
	}
	s.set(func() { delete(s.refuse, "b@example.org") })
	if err := c.Send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, mail := range s.taken() {
		got = append(got, mail.to)
	}
	if strings.Join(got, " ") != "a@example.org c@example.org b@example.org" {
		t.Errorf("told were %v", got)
	}
	s.set(func() { s.refuse["b@example.org"] = refusal(550) })
	if err := c.Send(context.Background(), message(t, outage("x").Blind(testKey()))); !Permanent(err) {
		t.Errorf("a mailbox that is gone for good gives %v", err)
	}
}

func TestMailNeedsTheEncryptionThatIsConfigured(t *testing.T) {
	m := message(t, told(t)(incoming().Seen(testKey())))
	for name, c := range map[string]struct {
		server string
		more   string
		words  string // empty: success
	}{
		"starttls":              {"starttls", ``, ""},
		"tls":                   {"tls", `tls = "tls"`, ""},
		"none to loopback":      {"none", `tls = "none"`, ""},
		"starttls not offered":  {"none", ``, "connect to the mail server"},
		"starttls, not trusted": {"starttls", `ca_file = ""`, "certificate is not trusted"},
		"tls, not trusted":      {"tls", "ca_file = \"\"\ntls = \"tls\"", "certificate is not trusted"},
		"tls to a plain port":   {"none", `tls = "tls"`, "does not speak TLS"},
	} {
		s := serveMail(t, c.server)
		var channel Channel
		if strings.Contains(c.more, "ca_file") {
			s.caFile, c.more = "", strings.Replace(c.more, `ca_file = ""`, "", 1)
		}
		channel = mailTo(t, s, oneDesk, c.more)
		err := channel.Send(context.Background(), m)
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && Permanent(err) {
			t.Errorf("%s is taken for final", name)
		}
		if taken := s.taken(); len(taken) == 1 && taken[0].encrypted != (c.server != "none") || (err == nil) != (len(taken) == 1) {
			t.Errorf("%s: the server took %+v", name, taken)
		}
		discreet(t, err)
	}
}

func TestMailLogsIn(t *testing.T) {
	m := message(t, told(t)(incoming().Seen(testKey())))
	for _, mode := range []string{"starttls", "tls"} {
		s := serveMail(t, mode)
		good := mailTo(t, s, oneDesk, `tls = "`+mode+`"`, `username = "u"`, `password_file = "`+secretFile(t, "hunter2\n")+`"`)
		if err := good.Send(context.Background(), m); err != nil || s.taken()[0].user != "u" {
			t.Errorf("%s: %v, %+v", mode, err, s.taken())
		}
		bad := mailTo(t, s, oneDesk, `tls = "`+mode+`"`, `username = "u"`, `password_file = "`+secretFile(t, "hunter3")+`"`)
		err := bad.Send(context.Background(), m)
		if err == nil || Permanent(err) || !strings.Contains(err.Error(), "connect to the mail server") {
			t.Errorf("%s: a wrong password gives %v", mode, err)
		}
		discreet(t, err)
	}
}

func TestMailStopsWithItsContext(t *testing.T) {
	s := serveMail(t, "starttls")
	hang := make(chan struct{})
	s.set(func() { s.hang = hang })
	defer close(hang)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := mailTo(t, s, oneDesk).Send(ctx, message(t, told(t)(incoming().Seen(testKey()))))
	if err == nil || Permanent(err) || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > limit {
		t.Errorf("it took %v", took)
	}
}
