package alerts

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Env is what channels need of the program around them.
type Env struct {
	Stdout           io.Writer
	StdoutIsTerminal bool
	Version          string           // of btcwatch, for receivers that ask who is calling
	Host             string           // this machine's name, for message ids
	Now              func() time.Time // nil: time.Now
}

// kinds is every kind of channel. A new one is one file and one line here.
func kinds() []kind {
	return []kind{
		{"stdout", people, here, openStdout, "It is on this command's or the daemon's standard output"},
		{"file", programs, here, openFile, "It is in the file, on disk"},
		{"webhook", programs, elsewhere, openWebhook, "The receiver answered that it has it"},
		{"email", people, elsewhere, openEmail, "The mail server has taken it for every recipient; whether it reaches their inboxes only a look there shows"},
		{"slack", people, elsewhere, openSlack, "Slack answered that it has it; look into its channel"},
		{"alertmanager", programs, elsewhere, openAlertmanager, "Alertmanager has taken it; whom it tells is decided by its routes"},
		{"syslog", programs, syslogLocal, openSyslog, "It was handed over in good order, which is all that syslog lets one know; look for its id there"},
		{"exec", programs, here, openProgram, "The program ended with exit code 0"},
	}
}

type kind struct {
	name  string
	reads reader
	local func(Settings) bool // ends on this machine: of several daemons only the leader serves it
	open  func(Settings, Env) (Channel, error)
	taken string // what it means that an alert was delivered
}

// reader is who reads a channel: people are not sent more messages an hour and
// address than they can read, programs get every alert.
type reader bool

const (
	people   reader = true
	programs reader = false
)

// ForPeople says whether a channel is read by people.
func ForPeople(s Settings) bool {
	for _, k := range kinds() {
		if k.name == s.Kind {
			return k.reads == people
		}
	}
	return false
}

func here(Settings) bool      { return true }
func elsewhere(Settings) bool { return false }

// Local says whether a channel ends on the machine that serves it.
func Local(s Settings) bool {
	for _, k := range kinds() {
		if k.name == s.Kind {
			return k.local(s)
		}
	}
	return false
}

// Taken says in words what it means that a channel of a kind has delivered an
// alert.
func Taken(name string) string {
	for _, k := range kinds() {
		if k.name == name {
			return k.taken
		}
	}
	return ""
}

// Kinds are the names that kind = "…" may have.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Open makes the channel that the settings describe. It sends nothing and
// connects nowhere, but refuses what can be seen to be wrong already.
func Open(s Settings, env Env) (Channel, error) {
	if env.Now == nil {
		env.Now = time.Now
	}
	for _, k := range kinds() {
		if k.name == s.Kind {
			channel, err := k.open(s, env)
			if err != nil {
				return nil, fmt.Errorf("channel %s: %w", s.Name, err)
			}
			return channel, nil
		}
	}
	return nil, fmt.Errorf("channel %s: unknown kind %q: use %s", s.Name, s.Kind, strings.Join(Kinds(), ", "))
}

// Duration is a time span in the settings of a channel, written as "15s".
type Duration time.Duration

// UnmarshalText reads a time span of at least a second.
func (d *Duration) UnmarshalText(text []byte) error {
	read, err := time.ParseDuration(string(text))
	if err != nil || read < time.Second {
		return fmt.Errorf("%q is no duration: write it like \"15s\", one second or more", text)
	}
	*d = Duration(read)
	return nil
}

func (d Duration) or(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}
