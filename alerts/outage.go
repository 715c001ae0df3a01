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
	Name    string // of the explorer; or what could not be seen: "blocks" or "mempool"
	Episode int64
	Since   time.Time // the last time it worked
	Until   time.Time // zero while it lasts
	Reason  string    // in our own words, never the other side's text
	At      time.Time // when it was noticed, or found over
}

// ExplorerFailing says that one explorer gives no good answers.
func (o Outage) ExplorerFailing(key Key) Alert {
	d := o.data()
	d.Explorer = o.Name
	d.Summary = fmt.Sprintf("The explorer %s fails at something that it is asked for, and has since %s%s.", clean(o.Name), clock(o.Since, nil), o.because())
	d.Next = "A message follows when it answers again. Run btcwatch check to see all explorers."
	return o.alert(key, ExplorerFailing, Low, d)
}

// ExplorerRecovered says that the outage of an explorer is over.
func (o Outage) ExplorerRecovered(key Key) Alert {
	d := o.data()
	d.Explorer = o.Name
	d.Summary = fmt.Sprintf("The explorer %s answers well again; it had failed for %s.", clean(o.Name), o.length())
	return o.alert(key, ExplorerRecovered, Low, d)
}

// Blind says that while the outage lasts, payments may happen unseen.
func (o Outage) Blind(key Key) Alert {
	d := o.data()
	d.Kind = o.Name
	d.Summary = fmt.Sprintf("btcwatch is blind: no explorer has given a usable answer about %s since %s%s; payments may be happening unseen.",
		o.unseen(), clock(o.Since, nil), o.because())
	d.Next = "A message follows when it can see again. Run btcwatch check to see what each explorer says; check the network connection first if all of them fail."
	return o.alert(key, WatchBlind, Severe, d)
}

// Restored says that the blindness is over. It is as severe as the blindness,
// so that it reaches everybody whom that reached.
func (o Outage) Restored(key Key) Alert {
	d := o.data()
	d.Kind = o.Name
	d.Summary = fmt.Sprintf("btcwatch can see again: there are usable answers about %s, after %s without.", o.unseen(), o.length())
	d.Next = o.caughtUp()
	return o.alert(key, WatchRestored, Severe, d)
}

func (o Outage) alert(key Key, typ Type, severity Severity, d Data) Alert {
	about := "service"
	if typ == WatchBlind || typ == WatchRestored {
		about = "blind"
	}
	episode := strconv.FormatInt(o.Episode, 10)
	return seal(Alert{
		ID:       key.ID(o.Network, typ, o.Name, episode),
		Type:     typ,
		Severity: severity,
		About:    about,
		Thread:   key.thread(o.Network, about+" "+o.Name+" "+episode),
		At:       o.At,
	}, d)
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

func (o Outage) unseen() string {
	switch o.Name {
	case "blocks":
		return "new blocks"
	case "mempool":
		return "the mempool (payments not yet in a block)"
	}
	return clean(o.Name)
}

// caughtUp says what of the time in the dark comes back by itself.
func (o Outage) caughtUp() string {
	switch o.Name {
	case "blocks":
		return "The blocks of that time are being read, and the payments in them are told as usual."
	case "mempool":
		return "Payments of that time are told when they are found in the mempool or in a block; one that was replaced or dropped meanwhile stays unseen."
	}
	return ""
}
