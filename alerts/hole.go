package alerts

import (
	"fmt"
	"strings"
)

// Hole is what became of what an outage of the watch hid.
type Hole struct {
	Closed *bool // whether all of it has been made up for; nil: not known

	Blocks   int64 // read since it began, and on the chain now
	From, To int32 // their heights, where there are any
	Older    int64 // of these, with a time stamp from well before the outage was told

	Late int64 // alerts that were delivered late
	Dead int64 // alerts that were given up
}

// eitherWay is all that is known where no explorer shows a new block.
const eitherWay = "Either no block was found, which is rare for so long, or every explorer shows an old chain; btcwatch cannot tell which."

// blindWords says what does not work and what that means, and what to do.
func (o Outage) blindWords() (summary, next string) {
	since := clock(o.Since, nil)
	const check = "A message follows when it is over. Run btcwatch check to see what each explorer says"
	switch o.Kind {
	case "tip":
		return fmt.Sprintf("btcwatch may be blind: no explorer has shown a new block for %s, since %s. %s", o.length(), since, eitherWay),
			"A message follows when a block comes. Compare the height that btcwatch check shows with a source that is not configured here."
	case "backlog":
		return fmt.Sprintf("btcwatch falls behind: since %s the blocks that are not read yet have become more%s; payments in them are told late.", since, o.because()),
			check + ", and whether its pace or this machine is too slow."
	case "schedule":
		return fmt.Sprintf("btcwatch does not do its work: %s has not run as scheduled since %s%s; %s.", jobWords(o.Name), since, o.because(), jobMissed(o.Name)),
			"A message follows when it runs again. See the log (journalctl -u btcwatch); restart btcwatch if it does not come back by itself."
	case "delivery":
		return fmt.Sprintf("btcwatch cannot tell everybody: the channel %s has not taken an alert that waits since %s%s; whoever reads only that channel has not been told.", clean(o.Name), since, o.because()),
			"It is tried again and again, and a message follows when nothing waits any more. btcwatch check shows what waits; btcwatch alerts list shows what was to be told."
	case "canary":
		return o.canaryWords()
	}
	return fmt.Sprintf("btcwatch is blind: no explorer has given a usable answer about %s since %s%s; payments may be happening unseen.", o.unseen(), since, o.because()),
		"A message follows when it can see again. Run btcwatch check to see what each explorer says; check the network connection first if all of them fail."
}

func (o Outage) restoredWords() string {
	switch o.Kind {
	case "tip":
		return fmt.Sprintf("A new block is shown again, after %s without.", o.length())
	case "backlog":
		return fmt.Sprintf("btcwatch has caught up with the chain, after %s of falling behind.", o.length())
	case "schedule":
		return fmt.Sprintf("btcwatch does its work again: %s runs, after %s without.", jobWords(o.Name), o.length())
	case "delivery":
		return fmt.Sprintf("The channel %s has no late alert left, after %s with some.", clean(o.Name), o.length())
	case "canary":
		return fmt.Sprintf("A payment of the canary has come through the whole watch again, after %s without.", o.length())
	}
	return fmt.Sprintf("btcwatch can see again: there are usable answers about %s, after %s without.", o.unseen(), o.length())
}

// holeWords says whether what was missed is made up for, and how.
func (o Outage) holeWords() string {
	switch o.Kind {
	case "blocks", "backlog", "tip":
		return o.blocksWords()
	case "mempool":
		return "The hole stays, and is in report.gaps: a payment that came and was replaced or dropped in that time was not seen. Others are told when they are found in the mempool or in a block."
	case "delivery":
		return o.deliveryWords()
	case "canary":
		return canaryMadeUp
	case "schedule":
		return jobMadeUp(o.Name)
	}
	return ""
}

func (o Outage) blocksWords() string {
	h := o.Hole
	var words []string
	switch {
	case h.Blocks == 1:
		words = append(words, fmt.Sprintf("Block %s was read and checked since then.", grouped(h.To)))
	case h.Blocks > 1:
		words = append(words, fmt.Sprintf("%s blocks, %s to %s, were read and checked since then.", grouped(h.Blocks), grouped(h.From), grouped(h.To)))
	default:
		words = append(words, "No block came in that time.")
	}
	if o.Kind == "tip" && h.Blocks > 0 {
		words = append(words, h.slow())
	}
	switch {
	case h.Closed == nil:
	case *h.Closed:
		words = append(words, "The hole is closed: the chain is covered up to its tip, and the payments in those blocks are told as usual.")
	default:
		words = append(words, "The hole is not closed: report.gaps says which blocks are missing.")
	}
	return strings.Join(words, " ")
}

// slow says which of the two it was, as far as the blocks' own time stamps go.
func (h Hole) slow() string {
	if h.Older == 0 {
		return "By their time stamps none was found earlier: the chain was slow, and nothing was hidden."
	}
	return fmt.Sprintf("By the time stamps %s of them had been found before btcwatch told this: the explorers had shown an old chain.", grouped(h.Older))
}

func (o Outage) deliveryWords() string {
	text := count(o.Hole.Late, "alert was", "alerts were") + " delivered late"
	if o.Hole.Dead > 0 {
		return "The hole is not closed: " + text + ", and " + count(o.Hole.Dead, "was given up", "were given up") + "; btcwatch alerts list shows them."
	}
	return "The hole is closed: " + text + ", none was given up."
}

func (o Outage) unseen() string {
	switch o.Kind {
	case "blocks":
		return "new blocks"
	case "mempool":
		return "the mempool (payments not yet in a block)"
	}
	return clean(o.Name)
}

// jobWords names a job of the schedule for people.
func jobWords(job string) string {
	switch job {
	case "blocks":
		return "the search for new blocks"
	case "mempool":
		return "asking for unconfirmed payments"
	case "history":
		return "the reading of histories"
	case "report":
		return "the daily report"
	}
	return "the job " + clean(job)
}

func jobMissed(job string) string {
	switch job {
	case "blocks":
		return "payments in blocks are not told until it does"
	case "mempool":
		return "unconfirmed payments may be happening unseen"
	}
	return "what it finds is told late"
}

func jobMadeUp(job string) string {
	switch job {
	case "blocks":
		return "Blocks of that time are read now, and the payments in them are told as usual; report.gaps holds the time."
	case "mempool":
		return "The hole stays, and is in report.gaps: a payment that came and was replaced or dropped in that time was not seen. Others are told when they are found in the mempool or in a block."
	}
	return "What it missed is made up for by this run; report.gaps holds the time."
}
