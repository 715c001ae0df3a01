package alerts

import (
	"fmt"
	"strconv"
)

// CanaryWatched is the reason of an outage of the canary that nobody but the
// list is to blame for.
const CanaryWatched = "its address is watched for its own sake, which comes first"

const canaryMadeUp = "If the canary was not paid in that time, nothing was missed. If it was, payments of watched addresses may have been missed too: compare some of them with an explorer that is not configured here."

// severity is that of blindness. A canary that cannot be used hides nothing.
func (o Outage) severity() Severity {
	if o.Kind == "canary" && o.Reason == CanaryWatched {
		return Low
	}
	return Severe
}

// canaryWords never name the address: whom the canary is, is the configuration's.
func (o Outage) canaryWords() (summary, next string) {
	if o.Reason == CanaryWatched {
		return "Nothing tests btcwatch's whole road any more: the canary cannot be used, because " + CanaryWatched + ".",
			"Choose another address in [canary] of the configuration, and reload btcwatch. Nothing else is affected."
	}
	return fmt.Sprintf("btcwatch may be blind: no payment of the canary has come through since %s, though blocks were followed.", clock(o.Since, nil)),
		"Either nobody has paid it, or btcwatch does not see payments or cannot tell of them. Look up the address of [canary] in the configuration with an explorer that is not configured here. If it was paid since then, btcwatch is broken: do not rely on its silence, and see the log (journalctl -u btcwatch). " +
			"If it was not, pay it or choose an address that is paid every day. A message follows when a payment comes through."
}

func (c CanaryDay) line() string {
	switch {
	case c.Watched:
		return "Canary: cannot be used, because " + CanaryWatched + "; choose another address."
	case c.Arrived == nil:
		return "Canary: no payment of it has come through yet" + c.overdue() + "."
	}
	text := "Canary: a payment last came through at " + clock(*c.Arrived, nil)
	if c.TookSeconds != nil {
		text += ", " + strconv.FormatFloat(max(0, *c.TookSeconds), 'f', 1, 64) + " s after its block was verified"
	}
	text += c.overdue()
	if known := c.Seen + c.Missed; known > 0 {
		text += fmt.Sprintf("; %s of %s were seen unconfirmed first", grouped(c.Seen), grouped(known))
	}
	return text + "."
}

func (c CanaryDay) overdue() string {
	if c.Overdue {
		return " (that is too long ago: see watch.blind)"
	}
	return ""
}
