package alerts

import (
	"fmt"
	"strconv"
	"time"
)

// Refollowed says that a person made following go on with another block.
type Refollowed struct {
	Network  string
	Start    int64 // the row of the start: its occasion
	Height   int32 // of the block that following goes on with
	Hash     string
	Stays    int32 // what was covered up to there stays; -1 where nothing does
	Joined   bool  // the chains part there; false: where they do is not known
	Old      int32 // the last block covered before
	OldTip   string
	GapFrom  *int32 // heights that are left out; nil where none are
	GapTo    *int32
	Payments int    // that are unconfirmed again
	Actor    string // who
	Reason   string
	Episode  *int64 // of the stop that this ends; nil where there was none
	At       time.Time
}

// Alert tells everybody whom a stop reaches: what is followed from now on rests
// on a person's word.
func (r Refollowed) Alert(key Key) Alert {
	occasion := strconv.FormatInt(r.Start, 10)
	d := Data{
		Network: r.Network, BlockHeight: &r.Height, BlockHash: r.Hash, ObservedAt: moment(r.At), Reason: clean(r.Reason),
		Summary: fmt.Sprintf("On the word of %s btcwatch follows on with block %s%s%s.", clean(r.Actor), grouped(r.Height), r.left(), r.gap()),
		Lines:   []string{fmt.Sprintf("Block %s is %s. ", grouped(r.Height), r.Hash) + r.stays()},
		Next:    "From here on the chain rests on that person's word; see that somebody else agrees with it.",
	}
	a := Alert{
		ID: key.ID(r.Network, ChainReorged, r.Hash, "follow", occasion), Type: ChainReorged, Severity: Severe, About: "service",
		Thread: key.thread(r.Network, "follow "+occasion), At: r.At,
	}
	if r.Episode != nil {
		a.Thread, d.Corrects = stopThread(key, r.Network, *r.Episode), stopID(key, r.Network, *r.Episode).String()
		a.About = "blind" // it ends what channels of that sort were told
	}
	return seal(a, d)
}

func (r Refollowed) left() string {
	if r.Old <= r.Stays {
		return ""
	}
	text := "; the chain followed before, up to block " + grouped(r.Old) + ", is left"
	if r.Payments > 0 {
		text += ", and " + count(r.Payments, "payment is", "payments are") + " unconfirmed again"
	}
	return text
}

func (r Refollowed) gap() string {
	if r.GapFrom == nil {
		return ""
	}
	if *r.GapFrom == *r.GapTo {
		return fmt.Sprintf("; block %s is not covered: payments in it may stay unseen", grouped(*r.GapFrom))
	}
	return fmt.Sprintf("; blocks %s to %s are not covered: payments in them may stay unseen", grouped(*r.GapFrom), grouped(*r.GapTo))
}

func (r Refollowed) stays() string {
	switch {
	case r.Stays < 0 && r.Joined:
		return "Nothing of what was covered before stays: this chain leaves the other one below it. Payments in it that were told are corrected one by one."
	case r.Stays < 0:
		return "Nothing of what was covered before stays: it is not known to be on this chain."
	case !r.Joined:
		return fmt.Sprintf("What was covered up to block %s stays; what was covered above is not known to be on this chain.", grouped(r.Stays))
	case r.Stays < r.Old:
		return fmt.Sprintf("What was covered up to block %s stays, where this chain leaves the other one. Payments above it that were told are corrected one by one.", grouped(r.Stays))
	}
	return fmt.Sprintf("What was covered up to block %s stays.", grouped(r.Stays))
}

// BegunAgain says that following began again by itself, where the chain was
// reorganised from below its start.
type BegunAgain struct {
	Network string
	Start   int64 // the row of the start: its occasion
	Height  int32 // of the first block followed, before and now
	Depth   int32 // how many covered blocks left the chain
	OldTip  string
	RestsOn string
	At      time.Time
}

// Alert tells it at any depth: the fork lies below everything that is known here.
func (b BegunAgain) Alert(key Key) Alert {
	severity := Medium
	if b.Depth >= reorgPages {
		severity = Severe
	}
	return seal(Alert{
		ID:       key.ID(b.Network, ChainReorged, b.OldTip, "again", strconv.FormatInt(b.Start, 10)),
		Type:     ChainReorged,
		Severity: severity,
		About:    "service",
		Thread:   key.thread(b.Network, "reorg "+b.OldTip),
		At:       b.At,
	}, Data{
		Network: b.Network, ObservedAt: moment(b.At), BlockHeight: &b.Height, BlockHash: b.OldTip, RestsOn: b.RestsOn,
		Summary: fmt.Sprintf("The chain was reorganised from below block %s, with which following began: it begins there again, and %s left the chain. Payments in them that were told are corrected one by one.",
			grouped(b.Height), count(b.Depth, "block has", "blocks have")),
		Lines: []string{"It rests now on " + b.RestsOn + ". What the blocks before it hold since the reorganisation, nobody has followed."},
		Next:  "Treat recent confirmations with care until the chain has settled.",
	})
}
