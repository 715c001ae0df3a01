package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// posted is a message as Slack's documents have it.
type posted struct {
	Text        string `json:"text"`
	Mrkdwn      *bool  `json:"mrkdwn"`
	UnfurlLinks *bool  `json:"unfurl_links"`
	UnfurlMedia *bool  `json:"unfurl_media"`
	Blocks      []struct {
		Type     string
		Text     *postedText
		Elements []postedText
	} `json:"blocks"`
}

type postedText struct {
	Type, Text string
	Verbatim   *bool
}

// parsePosted takes a message apart, and holds it to the limits of Slack.
func parsePosted(t *testing.T, payload []byte) (posted, []string) {
	t.Helper()
	var p posted
	dec := json.NewDecoder(strings.NewReader(string(payload)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	if p.Text == "" || len([]rune(p.Text)) > 40_000 || len(p.Blocks) == 0 || len(p.Blocks) > 50 {
		t.Errorf("%d characters, %d blocks", len(p.Text), len(p.Blocks))
	}
	if p.Mrkdwn == nil || *p.Mrkdwn || p.UnfurlLinks == nil || *p.UnfurlLinks || p.UnfurlMedia == nil || *p.UnfurlMedia {
		t.Error("what is text may be taken for markup, or links be followed")
	}
	var texts []string
	for _, b := range p.Blocks {
		all := b.Elements
		if b.Text != nil {
			all = append(all, *b.Text)
		}
		for _, text := range all {
			if n := len([]rune(text.Text)); n == 0 || n > 3000 || text.Type != "mrkdwn" || text.Verbatim == nil || !*text.Verbatim {
				t.Errorf("%d characters, %+v", n, text)
			}
			texts = append(texts, text.Text)
		}
	}
	return p, texts
}

// literal fails where a chat would take text for markup: in a text of ours, but
// for the stars around the severity.
func literal(t *testing.T, what, text string) {
	t.Helper()
	text = regexp.MustCompile(`^([🟥🟧🟨🟦⬜]) \*([A-Z]+)\*  `).ReplaceAllString(text, "$1 $2  ")
	text = regexp.MustCompile(`&(amp|lt|gt);`).ReplaceAllString(text, "")
	if i := strings.IndexAny(text, "&<>*_~`@#[]|\\!"); i >= 0 {
		t.Errorf("%s: %q at %d in %q", what, text[i], i, text)
	}
	unseen(t, what, text)
}

// unseen fails where a text holds what deceives the eye or moves a cursor.
func unseen(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' ||
			r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == '\u200b' || r == '\u200f' || r == '\ufeff' {
			t.Errorf("%s: %U in %q", what, r, text)
			return
		}
	}
}

// hostile are labels, reasons and names that somebody would write into a list
// to be seen elsewhere: 200 of them and more.
func hostile() []string {
	core := []string{
		"<!channel>", "<!here>", "<!everyone>", "@channel", "@here", "@all", "<@U024BE7LH>", "<#C024BE7LR>", "<https://evil.example|click>",
		"*bold*", "_it_", "~no~", "`code`", "```block```", "[click](https://evil.example)", "![x](https://evil.example/x.png)", "# head", "> quote", "&lt;!here&gt;", "&amp;",
		"<b>x</b>", "<script>alert(1)</script>", "a|b|c", "a=b", "cs1=forged cs1Label=forged", `\|`, `\=`, `\`, `\\`, `"]`, `"] forged`, `]`, `a="b"`,
		"=1+1", "+1", "-1", "@SUM(A1)", "\n", "\r\n", "line\n<13>1 2026-01-01T00:00:00Z evil evil - - - forged", "\x00", "\x07", "\x1b[2J", "\x1b]0;x\x07",
		"\u009b31m", "\u0085", "\u202eevil", "\u2066x\u2069", "\u200bzero", "\ufeff", "\u2028", "\xff\xfe", "%n%s", "$(touch x)", "{{ .Labels }}", "'; DROP TABLE x; --",
	}
	var all []string
	for _, c := range core {
		all = append(all, c, "a "+c, c+" z", strings.Repeat(c, 60))
	}
	return all
}

// TestHostileTextIsOnlyText: in each channel's own medium nothing that a list or
// an explorer brought is taken for more than text, and all of it stays there.
func TestHostileTextIsOnlyText(t *testing.T) {
	if len(hostile()) < 200 {
		t.Fatalf("only %d strings", len(hostile()))
	}
	now := at("2026-03-01T12:00:00Z")
	chat := openAt(t, "slack", good(t)["slack"]+"\ndetail = \"full\"", now).(*slack)
	short := openAt(t, "slack", good(t)["slack"], now).(*slack)
	manager := openAt(t, "alertmanager", good(t)["alertmanager"]+"\ndetail = \"full\"", now).(*alertmanager)
	log := openAt(t, "syslog", good(t)["syslog"], now).(*syslog)
	cefLog := openAt(t, "syslog", good(t)["syslog"]+"\nformat = \"cef\"", now).(*syslog)
	for _, text := range hostile() {
		p := incoming()
		p.Label, p.Entity, p.ReportedBy = text, text, []string{text}
		p.Listings[0].Source, p.Listings[0].Category = text, text
		o := outage(text)
		o.Reason = text
		for _, a := range []Alert{told(t)(p.Seen(testKey())), o.ExplorerFailing(testKey())} {
			m := message(t, a)
			d := m.Decoded.Data
			for _, c := range []*slack{chat, short} {
				message, texts := parsePosted(t, c.payload(m))
				for _, shown := range append(texts, message.Text) {
					literal(t, fmt.Sprintf("slack, %q", text), shown)
				}
			}
			raw := string(encodeJSON(manager.alerts(m)))
			var list []map[string]any
			if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list) != 1 {
				t.Errorf("%q: %v: %s", text, err, raw)
			}
			for _, part := range []string{"labels", "annotations"} {
				for name, value := range list[0][part].(map[string]any) {
					unseen(t, "alertmanager "+name, value.(string))
				}
			}
			line := string(log.line(m))
			unseen(t, "syslog", strings.ReplaceAll(line, "\n", "\x01"))
			parsed := parseSyslog(t, line)
			if parsed.fields["id"] != a.ID.String() || parsed.fields["label"] != clean(d.Label) || parsed.fields["reason"] != clean(d.Reason) || parsed.msg != sentence(d.Summary) {
				t.Errorf("%q is read as %v", text, parsed.fields)
			}
			line = string(cefLog.line(m))
			unseen(t, "cef", strings.ReplaceAll(line, "\n", "\x01"))
			if strings.Contains(parseSyslog(t, line).msg, "\n") {
				t.Errorf("%q breaks the line", text)
			}
			head, extension := parseCEF(t, parseSyslog(t, line).msg)
			if head[4] != string(a.Type) || extension["externalId"] != a.ID.String() || extension["cs3"] != clean(d.Label) || extension["reason"] != clean(d.Reason) || extension["msg"] != sentence(d.Summary) {
				t.Errorf("%q is read as %v", text, extension)
			}
		}
	}
}

// TestBriefTellsNobodyElsesBusiness: without detail = "full" no address, no
// transaction, no amount and no counterparty leaves for a chat.
func TestBriefTellsNobodyElsesBusiness(t *testing.T) {
	now := at("2026-03-01T12:00:00Z")
	chat := openAt(t, "slack", good(t)["slack"], now).(*slack)
	manager := openAt(t, "alertmanager", good(t)["alertmanager"], now).(*alertmanager)
	for name, a := range samples(t) {
		m := message(t, a)
		if a.Type == ListChanged {
			m.Decoded.Data.Label = ""
		}
		for kind, text := range map[string]string{"slack": string(chat.payload(m)), "alertmanager": string(encodeJSON(manager.alerts(m)))} {
			if !strings.Contains(text, a.ID.String()) || !strings.Contains(strings.ToLower(text), a.Severity.String()) {
				t.Errorf("%s, %s: neither id nor severity in %s", kind, name, text)
			}
			if strings.HasPrefix(string(a.Type), "transaction.") && m.Decoded.Data.Label != "" && !strings.Contains(text, m.Decoded.Data.Label) {
				t.Errorf("%s, %s: no label in %s", kind, name, text)
			}
			for _, hidden := range []string{articleOne, articleTwo, "1A1zP1", someTxID, "BTC", "sat", "Uran"} {
				if strings.Contains(strings.ReplaceAll(text, "Botobekov article", ""), hidden) && a.Type != ReportDaily {
					t.Errorf("%s, %s shows %q: %s", kind, name, hidden, text)
				}
			}
		}
	}
}

// TestBriefNamesNothingInReasons: why something does not work is said by the
// question that was asked, and that names the address or the transaction.
func TestBriefNamesNothingInReasons(t *testing.T) {
	now := at("2026-03-01T12:00:00Z")
	chat := openAt(t, "slack", good(t)["slack"], now).(*slack)
	manager := openAt(t, "alertmanager", good(t)["alertmanager"], now).(*alertmanager)
	const witness = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
	for _, named := range []string{articleOne, articleTwo, witness, strings.ToUpper(witness), someTxID} {
		o := outage("some.example")
		o.Reason = "fetch mempool of " + named + " from some.example: lying: "
		o.Reason += strings.Repeat("x ", (maxText-20-len(o.Reason))/2) + named // it is cut off within
		caught, unseen := o, o
		caught.Caught = true
		unseen.Kind, unseen.Name = "mempool", "mempool"
		for _, a := range []Alert{o.ExplorerFailing(testKey()), caught.ExplorerFailing(testKey()), unseen.Blind(testKey())} {
			m := message(t, a)
			for kind, text := range map[string]string{"slack": string(chat.payload(m)), "alertmanager": string(encodeJSON(manager.alerts(m)))} {
				if strings.Contains(text, named[:12]) || !strings.Contains(text, "fetch mempool of … from some.example: lying") {
					t.Errorf("%s shows %s: %s", kind, named, text)
				}
			}
		}
	}
}

func TestUnknownTypesAreBriefToo(t *testing.T) {
	b, _ := Decode(samples(t)["seen"].Body)
	b.Type = "thing.of the desk"
	if got := briefly(b); got != "thing.of the desk (Botobekov article, address 1 of 2)." {
		t.Errorf("%q", got)
	}
}

// TestSlackAnswers: what Slack documents is told in our words, and what is not
// Slack's is no success.
func TestSlackAnswers(t *testing.T) {
	var code int
	var words string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
		io.WriteString(w, words)
	}))
	t.Cleanup(server.Close)
	c := openAt(t, "slack", `url_file = "`+secretFile(t, server.URL+"/hunter2")+`"`+"\nallow_private = true", timeNow())
	for _, a := range []struct {
		code        int
		words, want string
		permanent   bool
	}{
		{200, "ok", "", false},
		{200, "ok\n", "", false},
		{200, "", "not Slack's", false},
		{200, "<html>log in, hunter2", "not Slack's", false},
		{200, `{"ok":false,"error":"hunter2"}`, "not Slack's", false},
		{400, "invalid_payload", "does not understand the message", false},
		{400, "no_text", "does not understand the message", false},
		{403, "action_prohibited", "ask its administrator", false},
		{403, "invalid_token", "was removed or switched off", false},
		{404, "channel_not_found", "does not exist any more", false},
		{404, "no_service", "was removed or switched off", false},
		{404, "no_team", "workspace does not exist", false},
		{410, "channel_is_archived", "its channel is archived", true},
		{500, "rollup_error", "trouble of its own", false},
		{400, "evil.example hunter2", "400 Bad Request", false},
	} {
		code, words = a.code, a.words
		err := c.Send(context.Background(), message(t, samples(t)["seen"]))
		if (err == nil) != (a.want == "") || err != nil && !strings.Contains(err.Error(), a.want) || Permanent(err) != a.permanent {
			t.Errorf("%d %s: %v, permanent %v", a.code, a.words, err, Permanent(err))
		}
		discreet(t, err)
	}
}

// TestMessagesOfChannelsReadAsTheyDid has one golden file a channel and format,
// with each sort of alert in it.
func TestMessagesOfChannelsReadAsTheyDid(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Almaty")
	if err != nil {
		t.Skip("this machine has no time zones: ", err)
	}
	now := at("2026-03-02T08:00:00Z")
	all := samples(t)
	all["test"] = Trial{Network: "mainnet", Channel: "desk", Actor: "alice", At: now}.Alert(testKey())
	first := map[string]string{"confirmed": "seen", "reorged": "seen", "restored": "blind", "recovered": "failing", "goes-on": "stopped", "refollowed": "stopped"}
	forms := map[string]func(Message) []byte{}
	for _, w := range []string{"brief", "full"} {
		chat := openAt(t, "slack", good(t)["slack"]+"\ndetail = \""+w+`"`, now).(*slack)
		manager := openAt(t, "alertmanager", good(t)["alertmanager"]+"\ndetail = \""+w+`"`, now).(*alertmanager)
		forms["slack-"+w] = func(m Message) []byte { return indented(t, chat.payload(m)) }
		forms["alertmanager-"+w] = func(m Message) []byte { return indented(t, encodeJSON(manager.alerts(m))) }
	}
	for _, f := range []string{"text", "cef"} {
		forms["syslog-"+f] = openAt(t, "syslog", good(t)["syslog"]+"\nformat = \""+f+`"`, now).(*syslog).line
	}
	for form, write := range forms {
		var text strings.Builder
		for _, name := range slices.Sorted(maps.Keys(all)) {
			m := message(t, all[name])
			m.Zone = zone
			if to, ok := first[name]; ok {
				id := all[to].ID
				m.ReplyTo = &id
			}
			fmt.Fprintf(&text, "== %s\n%s\n", name, write(m))
		}
		golden(t, form+".txt", text.String())
	}
}

func indented(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(json.RawMessage(raw)); err != nil {
		t.Fatal(err)
	}
	return []byte(strings.TrimSpace(out.String()))
}
