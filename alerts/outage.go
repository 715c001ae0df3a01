package alerts

import (
	"fmt"
	"strconv"
	"time"
)

// Outage is a stretch of time in which something that the watch depends on did
// not work. Its row in the database is the episode.
type Outage struct {
	Network string
	Name    string // of the explorer, the job or the channel; else what does not work, as Kind says it
	Kind    string // blocks, mempool, tip, backlog, schedule, delivery or canary; an explorer's outage has none
	Episode int64
	Since   time.Time // the last time it worked
	Until   time.Time // zero while it lasts
	Reason  string    // in our own words, never the other side's text
	At      time.Time // when it was noticed, or found over
	Caught  bool      // the explorer said something provably false, and is in quarantine
	Times   int       // how often an explorer's answers went bad in that time; 0: not known
	Hole    Hole      // what became of what was missed, once it is over
}

// ExplorerFailing says that one explorer gives no good answers.
func (o Outage) ExplorerFailing(key Key) Alert {
	d := o.data()
	d.Explorer = o.Name
	d.Summary = fmt.Sprintf("The explorer %s has been failing since %s%s.", clean(o.Name), clock(o.Since, nil), o.because())
	d.Next = "A message follows when it answers again. Run btcwatch check to see all explorers."
	if o.Caught {
		d.Summary = fmt.Sprintf("The explorer %s said something false%s. It is not believed any more, nor asked about addresses.", clean(o.Name), o.because())
		d.Next = "Ask who runs it, or take it out of the configuration. It is trusted again when it was clean for long enough, or once you have run btcwatch explorers clear " + clean(o.Name) + " --reason TEXT."
	}
	return o.alert(key, ExplorerFailing, Low, d)
}

// ExplorerRecovered says that the outage of an explorer is over.
func (o Outage) ExplorerRecovered(key Key) Alert {
	d := o.data()
	d.Explorer = o.Name
	d.Summary = fmt.Sprintf("The explorer %s answers well again; it had failed for %s%s.", clean(o.Name), o.length(), o.flapping())
	return o.alert(key, ExplorerRecovered, Low, d)
}

// flapping says how often an explorer failed that came and went. It had
// recovered each time, and nobody was told, for it did not last.
func (o Outage) flapping() string {
	if o.Times < 2 {
		return ""
	}
	return fmt.Sprintf(", on and off: its answers went bad %d times in that time", o.Times)
}

// Blind says that while the outage lasts, payments may happen unseen or untold.
func (o Outage) Blind(key Key) Alert {
	d := o.data()
	o.name(&d)
	d.Summary, d.Next = o.blindWords()
	return o.alert(key, WatchBlind, o.severity(), d)
}

// Restored says that the blindness is over, and what became of what was missed.
// It is as severe as the blindness, so that it reaches everybody whom that
// reached.
func (o Outage) Restored(key Key) Alert {
	d := o.data()
	o.name(&d)
	d.Closed = o.Hole.Closed
	d.Summary, d.Next = o.restoredWords(), o.holeWords()
	return o.alert(key, WatchRestored, o.severity(), d)
}

// Quiet tells operations that no explorer has shown a new block for long, but
// not yet for so long that the watch must be taken for blind.
func (o Outage) Quiet(key Key, until time.Duration) Alert {
	d := o.data()
	d.Kind = "tip"
	d.Summary = fmt.Sprintf("No explorer has shown a new block for %s, since %s. %s", o.length(), clock(o.Since, nil), eitherWay)
	d.Next = fmt.Sprintf("Should it last %s, watch.blind is told; if a block comes before that, nothing more is.", span(until))
	return o.alert(key, ChainQuiet, Low, d)
}

// name says in the fields for programs what does not work.
func (o Outage) name(d *Data) {
	d.Kind = o.Kind
	switch o.Kind {
	case "schedule":
		d.Job = o.Name
	case "delivery":
		d.Channel = o.Name
	}
}

func (o Outage) alert(key Key, typ Type, severity Severity, d Data) Alert {
	about := "service"
	if typ == WatchBlind || typ == WatchRestored {
		about = "blind"
	}
	episode := strconv.FormatInt(o.Episode, 10)
	return seal(Alert{
		ID:       key.ID(o.Network, typ, o.subject(), episode),
		Type:     typ,
		Severity: severity,
		About:    about,
		Thread:   key.thread(o.Network, about+" "+o.subject()+" "+episode),
		At:       o.At,
	}, d)
}

// subject is what an outage is told apart by: jobs and channels may have the
// name of an explorer.
func (o Outage) subject() string {
	if o.Kind == "" || o.Kind == o.Name {
		return o.Name
	}
	return o.Kind + " " + o.Name
}

func (o Outage) data() Data {
	return Data{
		Network: o.Network, Since: moment(o.Since), Until: moment(o.Until),
		Reason: clean(o.Reason), ObservedAt: moment(o.At),
	}
}

func (o Outage) because() string {
	if reason := clean(o.Reason); reason != "" {
		return " (" + reason + ")"
	}
	return ""
}

func (o Outage) length() string {
	end := o.Until
	if end.IsZero() {
		end = o.At
	}
	return span(end.Sub(o.Since))
}
