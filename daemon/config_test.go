package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/watchlist"
)

const exampleFile = "../config.example.toml"

// Each file of testdata/config says at its top what is to be told about it:
// "# want: LINE: TEXT" or "# want: TEXT" for each fault, from its beginning.
func TestFaultyConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.toml")
	if err != nil || len(files) < 50 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			wants := wantsOf(t, file)
			_, err := Load(file)
			if err == nil {
				t.Fatal("loaded")
			}
			got := strings.Split(err.Error(), "\n")
			for i, want := range wants {
				if i >= len(got) || !strings.HasPrefix(got[i], file+want) {
					t.Errorf("fault %d does not begin with\n%s%s", i+1, file, want)
				}
			}
			if len(got) != len(wants) {
				t.Errorf("%d faults, want %d", len(got), len(wants))
			}
			if t.Failed() {
				t.Logf("told:\n%s", err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the message shows a password")
			}
		})
	}
}

var wantLine = regexp.MustCompile(`(?m)^# want: (?:(\d+): )?(.*)$`)

func wantsOf(t *testing.T, file string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var wants []string
	for _, match := range wantLine.FindAllStringSubmatch(string(data), -1) {
		want := ": " + match[2]
		if match[1] != "" {
			want = ":" + match[1] + want
		}
		wants = append(wants, want)
	}
	if len(wants) == 0 {
		t.Fatal("the file does not say what is wanted")
	}
	return wants
}

func TestExampleLoads(t *testing.T) {
	c, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := chain.NetworkName(c.Network); got != "mainnet" || c.DataDir != "/var/lib/btcwatch" || c.Zone != time.UTC || c.DatabaseURL != "" {
		t.Errorf("top: %s %s %s %q", got, c.DataDir, c.Zone, c.DatabaseURL)
	}
	if len(c.Explorers) != 2 || c.Explorers[0].Name != "mempool.space" || c.Explorers[1].Operator != "Blockstream" {
		t.Errorf("explorers: %+v", c.Explorers)
	}
	if pace := c.Explorers[1].RequestsPerSecond; pace*3600 > 700 {
		t.Errorf("Blockstream is asked %v times an hour", pace*3600)
	}
	if len(c.Channels) != 1 || c.Channels[0].Kind != "stdout" {
		t.Errorf("channels: %+v", c.Channels)
	}
	if line := c.Line("channels.screen"); line == 0 {
		t.Error("the line of channels.screen is not known")
	}
}

// The facts of the article: two addresses, an author, a title, and nothing else.
func TestExampleWatchesTheArticle(t *testing.T) {
	c, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	scripts := []string{"a914b0bcc6231eb0f3085e515b417baec77639120c6c87", "76a9140fe12b8604250a155ee986a29c2955352c720e6488ac"}
	if len(c.Watch) != len(scripts) {
		t.Fatalf("%d addresses", len(c.Watch))
	}
	for i, got := range c.Watch {
		want := watchlist.Listing{
			Address: got.Address, List: "config", Basis: watchlist.Press,
			Label:  fmt.Sprintf("Botobekov article, address %d of 2", i+1),
			Source: watchlist.Source{Title: "Central Asian Jihadists' Use of Cryptocurrencies in Bitcoin", Author: "Uran Botobekov"},
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("listing %d: %+v", i+1, got)
		}
		if script := fmt.Sprintf("%x", got.Address.Script); script != scripts[i] {
			t.Errorf("script %d: %s", i+1, script)
		}
	}
}

// A file with the least there can be has every default that the example names.
func TestDefaultsAreThoseOfTheExample(t *testing.T) {
	least := load(t, "[explorers.one]\nkind = \"esplora\"\nurl = \"https://explorer.example/api\"\n[channels.screen]\nkind = \"stdout\"\n")
	example, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if least.Schedule != example.Schedule || least.Health != example.Health || least.Metrics != example.Metrics || least.Heartbeat != example.Heartbeat || least.Start != example.Start || least.DataDir != example.DataDir {
		t.Errorf("%+v\n%+v", least, example)
	}
	if !slices.Equal(least.Alerts.Confirmations, example.Alerts.Confirmations) || least.Alerts.Burst != example.Alerts.Burst {
		t.Errorf("alerts: %+v, %+v", least.Alerts, example.Alerts)
	}
	one := least.Explorers[0]
	if one.Operator != "explorer.example" || one.RequestsPerSecond != 0.5 || one.Timeout != 30*time.Second {
		t.Errorf("explorer: %+v", one)
	}
}

// Each table is given a key that no table has; the refusal names those it has,
// and each of them has to stand in the example.
func TestExampleHasEveryKey(t *testing.T) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	tables := []string{"", "database", "schedule", "chain", "explorers.blockstream", "watch.12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "alerts", "health", "heartbeat", "metrics", "fiat"}
	for _, table := range tables {
		for _, key := range keysOf(t, string(example), table) {
			if !regexp.MustCompile(`(?m)^(#?\[[^\]\n]*\b)?` + key + `\b`).Match(example) {
				t.Errorf("[%s] %s is not in %s", table, key, exampleFile)
			}
		}
	}
	for _, kind := range explorer.Kinds() {
		for _, key := range explorer.Keys(kind) {
			if !bytes.Contains(example, []byte("\n#"+key+" = ")) {
				t.Errorf("%s of the kind %s is not in the example", key, kind)
			}
		}
	}
	for _, key := range keysOf(t, string(example)+"[rules.one]\n", "rules.one") {
		if !bytes.Contains(example, []byte("\n#"+key+" = ")) {
			t.Errorf("%s of rules is not in the example", key)
		}
	}
	for _, key := range []string{"title", "author", "publisher", "date"} {
		if !bytes.Contains(example, []byte(key+" = ")) {
			t.Errorf("source.%s is not in the example", key)
		}
	}
}

var keysHere = regexp.MustCompile(`the keys here are ([a-z_, ]+)\)`)

func keysOf(t *testing.T, example, table string) []string {
	const stranger = "zzzzzzzzzzzzzzzz = 1\n"
	text := stranger + example
	if table != "" {
		header := "[" + table + "]\n"
		text = strings.Replace(example, header, header+stranger, 1)
		if table[0] == 'w' {
			text = strings.Replace(example, `[watch."`+table[6:]+"\"]\n", header+stranger, 1)
		}
	}
	_, err := Load(write(t, text))
	if err == nil {
		t.Fatalf("[%s] takes any key", table)
	}
	match := keysHere.FindStringSubmatch(err.Error())
	if match == nil {
		t.Fatalf("[%s]: %s", table, err)
	}
	return strings.Split(match[1], ", ")
}

// uncommented is the example with every channel switched on, and its files in
// a directory of the test.
func uncommented(t *testing.T) string {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	secret := filepath.Join(dir, "webhook.secret")
	if err := os.WriteFile(secret, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := filepath.Join(dir, "slack.url")
	if err := os.WriteFile(url, []byte("https://hooks.example.com/services/T0/B0/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^#([a-z\[])`).ReplaceAllString(string(example), "$1")
	text = strings.Replace(text, "currency = \"\"", "currency = \"EUR\"", 1) // which the rule in it needs
	text = strings.ReplaceAll(text, "/etc/btcwatch/slack.url", url)
	text = strings.ReplaceAll(text, "/etc/btcwatch/webhook.secret", secret)
	return strings.ReplaceAll(text, "/var/lib/btcwatch", dir)
}

// What is commented out in the example has to be right too.
func TestExampleWithEveryChannel(t *testing.T) {
	c, err := Load(write(t, uncommented(t)), CheckExplorers, CheckChannels(alerts.Env{Stdout: io.Discard}))
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, set := range c.Channels {
		used = append(used, set.Kind)
	}
	if !slices.Equal(used, alerts.Kinds()) {
		t.Errorf("the example has %v, and there are %v", used, alerts.Kinds())
	}
}

// As in TestExampleHasEveryKey, for the keys that only a kind knows.
func TestExampleHasEveryKeyOfEveryChannel(t *testing.T) {
	example := uncommented(t)
	tables := regexp.MustCompile(`(?m)^\[channels\.[a-z]+\]\n`).FindAllString(example, -1)
	for _, header := range tables {
		_, table, _ := strings.Cut(example, header)
		table, _, _ = strings.Cut(table, "\n[")
		text := strings.Replace(example, header, header+"zzzzzzzzzzzzzzzz = 1\n", 1)
		_, err := Load(write(t, text), CheckChannels(alerts.Env{Stdout: io.Discard}))
		match := keysHere.FindStringSubmatch(fmt.Sprint(err))
		if match == nil {
			t.Errorf("%s: %v", header, err)
			continue
		}
		for _, key := range strings.Split(match[1], ", ") {
			shared := slices.Contains([]string{"about", "min_severity", "quiet_hours"}, key) // told once, above the channels
			if !shared && !regexp.MustCompile(`(?m)^`+key+` = `).MatchString(table) {
				t.Errorf("%s: %s is not in the example", strings.TrimSpace(header), key)
			}
		}
	}
}

func TestChecksOfKindsAreToldWithTheRest(t *testing.T) {
	file := write(t, "[explorers.one]\nkind = \"esplora\"\nurl = \"gopher://x\"\n[channels.mail]\nkind = \"email\"\nTo = 3\n[channels.log]\nkind = \"file\"\n")
	_, err := Load(file, CheckExplorers, CheckChannels(alerts.Env{Stdout: io.Discard}))
	got := strings.Split(fmt.Sprint(err), "\n")
	want := []string{":3: explorers.one.url: ", ":6: channels.mail.To: ", ":7: channels.log: "}
	if len(got) != len(want) {
		t.Fatalf("told:\n%v", err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], file+want[i]) || strings.Contains(got[i], "channel log: ") {
			t.Errorf("%s", got[i])
		}
	}
}

func TestMakeRunCanRewriteTheDataDirectory(t *testing.T) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(example, []byte("\ndata_dir = \"/var/lib/btcwatch\"\n")); n != 1 {
		t.Errorf("the line is there %d times", n)
	}
}

type mailKeys struct {
	SMTP string   `toml:"smtp"`
	From string   `toml:"from"`
	To   []string `toml:"to"`
	Port int      `toml:"port"`
	Safe bool     `toml:"safe"`
	CC   []string `toml:"cc"`
}

const mailHead = "[explorers.one]\nkind = \"esplora\"\nurl = \"http://127.0.0.1:1\"\n[channels.mail]\nkind = \"email\"\n"

func TestDecodeOfAChannel(t *testing.T) {
	c := load(t, mailHead+"about = [\"payment\"]\nmin_severity = \"high\"\nsmtp = \"a:1\"\nto = [\"x\", \"y\"]\nport = 0x19\nsafe = true\n")
	var got mailKeys
	if err := c.Channels[0].Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.SMTP != "a:1" || !slices.Equal(got.To, []string{"x", "y"}) || got.Port != 25 || !got.Safe {
		t.Errorf("%+v", got)
	}
	if c.Channels[0].MinSeverity != alerts.High || !slices.Equal(c.Channels[0].About, []string{"payment"}) {
		t.Errorf("%+v", c.Channels[0])
	}
}

// All faults of a channel come at once, among those of the rest of the file.
func TestChecksOfTheCallerAreMerged(t *testing.T) {
	file := write(t, mailHead+"to = \"x\"\nFrom = \"y\"\nsmpt = \"a:1\"\nport = \"25\"\nsafe = 3\nheaders = { a = 1 }\ncc = [\"x\", 1]\n[alerts]\nburst = 0\n")
	_, err := Load(file, func(c *Config, f *Faults) {
		var got mailKeys
		for _, set := range c.Channels {
			f.Include(c.Line("channels."+set.Name), "channels."+set.Name, set.Decode(&got))
			f.Include(c.Line("channels."+set.Name), "channels."+set.Name, errors.Join(errors.New("no one to write to"), errors.New("no sender")))
		}
	})
	want := strings.ReplaceAll(`FILE:4: channels.mail: no one to write to
FILE:4: channels.mail: no sender
FILE:6: channels.mail.to: text stands here; it takes a list, such as ["…", "…"]
FILE:7: channels.mail.From: unknown key: keys are lower case; write from
FILE:8: channels.mail.smpt: unknown key; did you mean smtp?
FILE:9: channels.mail.port: text stands here; it takes a whole number
FILE:10: channels.mail.safe: a whole number stands here; it takes true or false, without quotes
FILE:11: channels.mail.headers: unknown key; remove it (the keys here are kind, about, min_severity, quiet_hours, smtp, from, to, port, safe, cc)
FILE:12: channels.mail.cc: a place of the list holds a TOML integer; each takes text in quotes, such as "…"
FILE:14: alerts.burst: 0 is out of bounds; use 1 to 10000`, "FILE", file)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestStart(t *testing.T) {
	const hash = "00000000000000000002a7c4c1e48d76c5a37902165a270156b7a8d72728a054"
	for text, want := range map[string]string{
		`"tip"`: "true 0 <nil>", `""`: "true 0 <nil>", "0": "false 0 <nil>", "800000": "false 800000 <nil>",
		`"800000"`: "false 800000 <nil>", `"800000:` + hash + `"`: "false 800000 " + hash,
	} {
		got := load(t, mailHead+"[chain]\nstart = "+text+"\n").Start
		if fmt.Sprint(got.Tip, got.Height, got.Hash) != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestRelativeDataDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, "data_dir = \"./data\"\n"+mailHead).DataDir; got != filepath.Join(here, "data") {
		t.Error(got)
	}
}

func TestSpellingsOfToml(t *testing.T) {
	c := load(t, "explorers.one = { kind = 'esplora', url = 'http://10.0.0.1', requests_per_second = 0 }\n"+
		"channels.\"a b\".kind = \"stdout\"\r\nalerts.confirmations = [\n  1, # first\n  3,\n]\n\n[health]\nfailing_after = \"1h\"\n")
	if len(c.Explorers) != 1 || c.Channels[0].Name != "a b" || !slices.Equal(c.Alerts.Confirmations, []int32{1, 3}) {
		t.Errorf("%+v", c)
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.toml")
	if err := os.WriteFile(big, bytes.Repeat([]byte("#\n"), 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                             "it is a directory; name the file in it",
		big:                             "larger than 4 MB",
		filepath.Join(dir, "none.toml"): "no such file or directory; check the path, or copy config.example.toml there",
	} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := unreadable("f", &os.PathError{Op: "open", Path: "f", Err: os.ErrPermission}); err.Error() != "read configuration f: permission denied; let this user read it, or run as the user it belongs to" {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here.toml"), filepath.Join(dir, "there.toml")
	places := []string{here, there}
	env := func(value string) func(string) string {
		return func(name string) string { return map[string]string{"BTCWATCH_CONFIG": value}[name] }
	}
	if _, err := findAmong("", env(""), places); !errors.Is(err, ErrNoConfig) || !strings.Contains(err.Error(), "copy config.example.toml") {
		t.Error(err)
	}
	for _, step := range []struct{ create, flag, env, want string }{
		{there, "", "", there}, {here, "", "", here}, {here, "", "e.toml", "e.toml"}, {here, "f.toml", "e.toml", "f.toml"},
	} {
		if err := os.WriteFile(step.create, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := findAmong(step.flag, env(step.env), places); got != step.want || err != nil {
			t.Errorf("%+v: %s, %v", step, got, err)
		}
	}
}

// A file of any bytes gets an answer.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/config/*.toml")
	for _, file := range append(files, exampleFile) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file)
		if (c == nil) == (err == nil) {
			t.Errorf("%v, %v", c, err)
		}
	})
}

func load(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestOwnAddressesAreConfidential unless their listing says otherwise.
func TestOwnAddressesAreConfidential(t *testing.T) {
	for listing, want := range map[string]bool{
		`basis = "own"`:                         true,
		"basis = \"own\"\nconfidential = false": false,
		`basis = "press"`:                       false,
		`confidential = true`:                   true,
	} {
		c := load(t, "[watch.\"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk\"]\n"+listing+"\n[explorers.a]\nkind = \"esplora\"\nurl = \"https://a.example/api\"\noperator = \"A\"\n[channels.screen]\nkind = \"stdout\"\n")
		if len(c.Watch) != 1 || c.Watch[0].Confidential != want {
			t.Errorf("%s: %+v, want confidential %v", listing, c.Watch, want)
		}
	}
}

func TestQuietHoursAndNotify(t *testing.T) {
	const head = "[explorers.a]\nkind = \"esplora\"\nurl = \"https://a.example/api\"\n"
	c := load(t, head+"[watch.\"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk\"]\nnotify = \"digest\"\n[alerts]\ndigest = \"06:30\"\n[channels.screen]\nkind = \"stdout\"\nquiet_hours = \"22:00-07:00\"\n")
	if c.Watch[0].Notify != "digest" || c.Telling().Digest != 390 || c.Channels[0].Quiet != (alerts.Hours{From: 1320, To: 420}) || c.Telling().Zone == nil {
		t.Errorf("%+v %+v", c.Watch, c.Telling())
	}
	for line, want := range map[string]string{
		"[alerts]\ndigest = \"8\"":                                           ":7: alerts.digest: \"8\" is no time of day",
		"[channels.x]\nkind = \"stdout\"\nquiet_hours = \"22\"":              ":8: channels.x.quiet_hours: \"22\" are no hours",
		"[channels.x]\nkind = \"stdout\"\nquiet_hours = \"22:00-22:00\"":     ":8: channels.x.quiet_hours: \"22:00-22:00\" begin when they end",
		"[channels.x]\nkind = \"file\"\nquiet_hours = \"22:00-07:00\"":       ":8: channels.x.quiet_hours: a channel of kind file is for programs",
		"[watch.\"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk\"]\nnotify = \"never\"": ":7: watch.12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk.notify: unknown way to notify \"never\"",
	} {
		file := write(t, head+"[channels.screen]\nkind = \"stdout\"\n"+line+"\n")
		_, err := Load(file)
		if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, "")) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}
