package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type checkCommand struct {
	Offline bool `help:"Ask nobody but the database, and show how the watch stands by it."`
	JSON    bool `name:"json" help:"One JSON object a line."`
}

// How long each part of the check may take. With the stop of a private
// database that is about half a minute at the worst: a person waits for it.
const (
	databaseTime = 11 * time.Second // to begin with
	lookTime     = 10 * time.Second
	readTime     = 5 * time.Second
)

// The states of a finding. Only wrong makes the check fail.
const (
	isFine  = "ok"
	isNote  = "note"
	isWrong = "wrong"
)

// finding is one thing that was looked at.
type finding struct {
	Check   string `json:"check"` // configuration, privacy, database, tables, explorer, operators, corroboration, counts, watch, histories, disagreements, rounds, alerts, daemon, position, left out, past, gaps, mempool, deliveries, canary
	Name    string `json:"name,omitempty"`
	State   string `json:"state"`
	Finding string `json:"finding"`
	Do      string `json:"do,omitempty"` // what to do about it

	TipHeight    *int32   `json:"tip_height,omitempty"`    // of an explorer
	Behind       *int32   `json:"behind,omitempty"`        // blocks, of an explorer or the position
	DelaySeconds *float64 `json:"delay_seconds,omitempty"` // until an explorer answered
	explorerFacts
	Height       *int32   `json:"height,omitempty"` // of the position
	RestsOn      string   `json:"rests_on,omitempty"`
	RoundSeconds *float64 `json:"round_seconds,omitempty"` // of the mempool, at the configured paces
	Waiting      *int64   `json:"waiting,omitempty"`       // deliveries
	Dead         *int64   `json:"dead,omitempty"`

	Counts   []addressCount `json:"counts,omitempty"`   // at an address, where they differ
	Watched  *int64         `json:"watched,omitempty"`  // addresses
	Failures []sql.Failure  `json:"failures,omitempty"` // of an explorer, in the last week
}

func (f finding) title() string {
	if f.Name != "" && f.Check != "counts" { // of which the finding names the address
		return f.Check + " " + f.Name
	}
	return f.Check
}

// checkup gathers findings.
type checkup struct {
	*session
	config   *daemon.Config
	progress *progress
	offline  bool // nobody but the database is asked
	findings []finding
	sights   []daemon.Sight
	best     *int32 // tip of those that answered; nil: none did

	addresses []chain.Address // that explorers may be asked about, as recorded
	suspects  []sql.Quarantine
	unwatched bool // the watch has begun, and no daemon runs
}

func (c *checkup) add(f finding) { c.findings = append(c.findings, f) }

// Run looks at everything the watch needs.
func (c *checkCommand) Run(s *session) error {
	ctx, stop := interruptible()
	defer stop()
	p := s.progress("reading the configuration")
	defer p.end()
	look := &checkup{session: s, progress: p}
	config, err := s.config(daemon.CheckExplorers, daemon.CheckChannels(s.env()))
	if err != nil {
		p.end()
		if c.JSON {
			look.configFault(err)
			return errors.Join(printJSON(s.Out, look.findings...), exitCode(1))
		}
		return err
	}
	look.config = config
	look.configuration()
	look.privacy()
	if look.offline = c.Offline; c.Offline {
		look.recordAlone(ctx)
	} else {
		look.everything(ctx)
	}
	p.end()
	if ctx.Err() != nil {
		return errInterrupted
	}
	return look.report(c.JSON)
}

func (s *session) env() alerts.Env {
	return daemon.Program{Version: s.version, Stdout: s.Out, Now: s.Now}.Env()
}

func (c *checkup) configFault(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") { // a line is a fault
		c.add(finding{Check: "configuration", State: isWrong, Finding: line, Do: "correct the file and try again"})
	}
}

func (c *checkup) configuration() {
	c.add(finding{
		Check: "configuration", State: isFine,
		Finding: fmt.Sprintf("%s: %s, %s, %s, %s", c.config.File, chain.NetworkName(c.config.Network),
			counted(len(c.config.Watch), "address", "addresses"), counted(len(c.config.Explorers), "explorer", "explorers"),
			counted(len(c.config.Channels), "channel", "channels")),
	})
}

// report prints what was found, and then what to do.
func (c *checkup) report(asJSON bool) error {
	wrong := 0
	for _, f := range c.findings {
		if f.State == isWrong {
			wrong++
		}
	}
	var err error
	if asJSON {
		err = printJSON(c.Out, c.findings...)
	} else {
		err = c.print(wrong)
	}
	if err == nil && wrong > 0 {
		return exitCode(1)
	}
	return err
}

func (c *checkup) print(wrong int) error {
	t := &table{columns: []column{{name: "CHECK"}, {name: "STATE", paint: stateColour}, {name: "FINDING", below: true, wrap: true}}}
	for _, f := range c.findings {
		t.add(f.title(), f.State, f.Finding)
	}
	if err := t.print(c.Terminal); err != nil {
		return err
	}
	if wrong > 0 {
		fmt.Fprintf(c.Out, "\n%s wrong:\n", counted(wrong, "thing is", "things are"))
	}
	for _, f := range c.findings {
		if f.State == isWrong {
			fmt.Fprintln(c.Out, indented(fmt.Sprintf("%s: %s", f.title(), tame(f.Do)), c.Width))
		}
	}
	if wrong == 0 {
		fmt.Fprintln(c.Out, "\n"+c.allWell())
	}
	return nil
}

func (c *checkup) allWell() string {
	text := "Nothing is wrong"
	if c.offline {
		text += ", as far as the database knows"
	}
	if c.unwatched {
		text += "; but no daemon runs, so nobody watches"
	}
	return text + "."
}

func stateColour(text string) colour {
	switch text {
	case isWrong:
		return red
	case isNote:
		return yellow
	}
	return green
}
