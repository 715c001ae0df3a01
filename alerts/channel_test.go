package alerts

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// settings reads one table as the configuration does: strictly.
func settings(kind, text string) Settings {
	return Settings{Name: "desk", Kind: kind, Decode: func(into any) error {
		return toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(into)
	}}
}

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// testSecret is 24 bytes, the fewest that are allowed.
const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// good holds settings for every kind that need nothing of the network to open.
func good(t *testing.T) map[string]string {
	return map[string]string{
		"stdout":       ``,
		"file":         `path = "` + filepath.Join(t.TempDir(), "alerts.jsonl") + `"`,
		"webhook":      `url = "https://example.org/hook"` + "\n" + `secret_file = "` + secretFile(t, testSecret+"\n") + `"`,
		"email":        `smtp = "mail.example.org:587"` + "\n" + `from = "btcwatch <btcwatch@example.org>"` + "\n" + `to = ["desk@example.org"]`,
		"slack":        `url_file = "` + secretFile(t, "https://hooks.example.org/services/T0/B0/hunter2\n") + `"`,
		"alertmanager": `url = "https://alertmanager.example.org"`,
		"syslog":       `address = "unix:///dev/log"`,
		"exec":         `command = ["/bin/true"]`,
	}
}

func TestEveryKindOpensAndIsStrict(t *testing.T) {
	tables := good(t)
	for _, kind := range Kinds() {
		text, ok := tables[kind]
		if !ok {
			t.Errorf("the test knows no settings for kind %s: add them", kind)
			continue
		}
		env := Env{Stdout: &bytes.Buffer{}, Host: "here"}
		if c, err := Open(settings(kind, text), env); err != nil || c == nil {
			t.Errorf("%s does not open: %v", kind, err)
		}
		if _, err := Open(settings(kind, text+"\nno_such_key = 1"), env); err == nil {
			t.Errorf("%s takes a key that it does not know", kind)
		}
	}
	if len(tables) != len(Kinds()) {
		t.Errorf("kinds are %v", Kinds())
	}
}

func TestUnknownKindNamesTheKnown(t *testing.T) {
	_, err := Open(settings("pager", ""), Env{})
	if err == nil || err.Error() != `channel desk: unknown kind "pager": use stdout, file, webhook, email, slack, alertmanager, syslog, exec` {
		t.Errorf("got %v", err)
	}
}

func TestFaultsAreFoundBeforeAnythingIsSent(t *testing.T) {
	dir := t.TempDir()
	long := secretFile(t, testSecret)
	for _, c := range []struct{ kind, text, want string }{
		{"file", ``, "path is missing"},
		{"file", `path = "` + dir + `/no/such/dir/x"`, "there is no directory"},
		{"file", `path = "` + dir + `"`, "not a regular file"},
		{"webhook", `secret_file = "` + long + `"`, "url is missing"},
		{"webhook", `url = "ftp://x/"` + "\n" + `secret_file = "` + long + `"`, "must begin with https://"},
		{"webhook", `url = "http://x/"` + "\n" + `secret_file = "` + long + `"`, "must begin with https://"},
		{"webhook", `url = "https://"` + "\n" + `secret_file = "` + long + `"`, "cannot be read"},
		{"webhook", `url = "https://x/"`, "secret_file is missing"},
		{"webhook", `url = "https://x/"` + "\n" + `secret_file = "` + dir + `/none"`, "no such file"},
		{"webhook", `url = "https://x/"` + "\n" + `secret_file = "` + secretFile(t, "") + `"`, "is empty"},
		{"webhook", `url = "https://x/"` + "\n" + `secret_file = "` + secretFile(t, "hunter2") + `"`, "neither with whsec_ nor with whsk_; make a secret with: printf 'whsec_%s\\n' \"$(openssl rand"},
		{"webhook", `url = "https://x/"` + "\n" + `secret_file = "` + secretFile(t, "whsec_c2hvcnQ=") + `"`, "24 to 64 bytes"},
		{"webhook", `url = "https://x/"` + "\n" + `timeout = "5"` + "\n" + `secret_file = "` + long + `"`, "is no duration"},
		{"webhook", `url = "https://x/"` + "\n" + `ca_file = "` + long + `"` + "\n" + `secret_file = "` + long + `"`, "no certificate"},
		{"email", `from = "a@b"` + "\n" + `to = ["a@b"]`, "smtp is missing"},
		{"email", `smtp = "mail.example.org"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b"]`, "has no port"},
		{"email", `smtp = "mail.example.org:0"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b"]`, "from 1 to 65535"},
		{"email", `smtp = "m:25"` + "\n" + `from = "nobody"` + "\n" + `to = ["a@b"]`, `from: "nobody" is no mail address`},
		{"email", `smtp = "m:25"` + "\n" + `from = "a@b"`, "to is missing"},
		{"email", `smtp = "m:25"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b", "c@d\r\nBcc: e@f"]`, "is no mail address"},
		{"email", `smtp = "m:25"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b"]` + "\n" + `tls = "none"`, "for all to read"},
		{"email", `smtp = "m:25"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b"]` + "\n" + `tls = "ssl"`, "unknown tls"},
		{"email", `smtp = "m:25"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b"]` + "\n" + `username = "u"`, "password_file is missing"},
		{"email", `smtp = "m:25"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b"]` + "\n" + `password_file = "` + long + `"`, "without username"},
		{"email", `smtp = "m:25"` + "\n" + `from = "a@b"` + "\n" + `to = ["a@b"]` + "\n" + `tls = "none"` + "\n" + `allow_plain = true` + "\n" + `username = "u"`, "never sent without TLS"},
		{"slack", ``, "url_file is missing"},
		{"slack", `url_file = "` + dir + `/none"`, "no such file"},
		{"slack", `url_file = "` + secretFile(t, "http://x/hunter2") + `"`, "url_file: url must begin with https://"},
		{"slack", `url_file = "` + secretFile(t, "hunter2") + `"`, "url_file: url cannot be read"},
		{"slack", `url_file = "` + secretFile(t, "https://x/%zzhunter2") + `"`, "cannot be read"},
		{"slack", `url_file = "` + secretFile(t, "https://x/hunter2") + `"` + "\n" + `detail = "all"`, "unknown detail"},
		{"slack", `url = "https://x/hunter2"`, "strict"},
		{"alertmanager", ``, "url is missing"},
		{"alertmanager", `url = "http://127.0.0.1:9093"`, "allow_private = true"},
		{"alertmanager", `url = "https://x"` + "\n" + `detail = "all"`, "unknown detail"},
		{"alertmanager", `url = "https://x"` + "\n" + `resolve_after = "0"`, "is no duration"},
		{"alertmanager", `url = "https://x"` + "\n" + `username = "u"`, "password_file is missing"},
		{"alertmanager", `url = "https://x"` + "\n" + `password_file = "` + long + `"`, "without username"},
		{"webhook", `url = "https://x/"` + "\n" + `secret_file = "credential:../hunter"`, "names no credential"},
	} {
		_, err := Open(settings(c.kind, c.text), Env{Stdout: &bytes.Buffer{}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s\n gave: %v\n not: %s", c.kind, c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestAllFaultsOfAChannelAreSaidAtOnce(t *testing.T) {
	_, err := Open(settings("email", `tls = "ssl"`), Env{})
	for _, want := range []string{"smtp", "from", "to is missing", "unknown tls"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("not in one line: %v", err)
	}
}

func message(t *testing.T, a Alert) Message {
	t.Helper()
	body, err := Decode(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Message{ID: a.ID, Body: a.Body, Decoded: body, Attempt: 1, Zone: time.UTC}
}

func TestStdoutIsForPeopleAndColouredOnlyOnATerminal(t *testing.T) {
	p := incoming()
	p.Label = "evil \x1b[2J\u202elabel\x07"
	m := message(t, told(t)(p.Seen(testKey())))
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		c, err := Open(settings("stdout", ""), Env{Stdout: &out, StdoutIsTerminal: terminal})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if terminal {
			text = strings.Replace(strings.Replace(text, "\x1b[1;33m", "", 1), "\x1b[0m", "", 1)
			if text == out.String() {
				t.Error("no colour on a terminal")
			}
		}
		if strings.ContainsAny(text, "\x1b\x07\u202e") || !strings.Contains(text, "evil [2Jlabel") {
			t.Errorf("terminal %v shows %q", terminal, text)
		}
		if !strings.HasPrefix(text, "MEDIUM  According to mempool.space") || !strings.HasSuffix(text, "btcwatch alerts show "+m.ID.String()+"\n\n") {
			t.Errorf("terminal %v shows %q", terminal, text)
		}
	}
}

func TestTheScheduleIsThatOfStandardWebhooks(t *testing.T) {
	var got []string
	var total time.Duration
	for tries := 0; ; tries++ {
		wait, more := NextTry(tries)
		if !more {
			break
		}
		total += wait
		got = append(got, wait.String())
	}
	want := "0s 5s 5m0s 30m0s 2h0m0s 5h0m0s 10h0m0s 14h0m0s 20h0m0s 24h0m0s"
	if strings.Join(got, " ") != want || total != 75*time.Hour+35*time.Minute+5*time.Second {
		t.Errorf("%v, in all %v", got, total)
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	plain := errors.New("x")
	if Permanent(plain) || Permanent(nil) || !Permanent(PermanentError(ErrGone)) || !errors.Is(PermanentError(ErrGone), ErrGone) {
		t.Error("permanent is mistaken")
	}
	if _, ok := RetryAfter(plain); ok {
		t.Error("a time out of nothing")
	}
}
