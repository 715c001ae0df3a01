package alerts

import (
	"fmt"
	"strconv"
	"time"
)

// Stopped says that following waits for a person's word: a chain with more work
// leaves the one followed where no machine may go there by itself.
type Stopped struct {
	Network  string
	Episode  int64  // the outage's row
	Explorer string // who shows the other chain
	Height   int32  // the last block covered
	Fork     int32  // the highest block that both chains are known to share; -1 where none is
	Vouched  *int32 // the height of a block that a person vouched for and the other chain does not have; nil: none
	Weighed  bool   // the other chain's work was added up; false: nobody serves its headers, and nobody shows ours
	From     int32  // where following would go on with the other chain: height,
	Theirs   string // the hash of its block there,
	Ours     string // and of the block followed; empty where none is
	At       time.Time
}

// Words say in one line why following stops.
func (s Stopped) Words() string {
	work := "a chain with more work than the one followed"
	if !s.Weighed {
		work = "another chain than the one followed, whose headers nobody serves, and nobody shows the one followed"
	}
	switch {
	case s.Vouched != nil:
		return fmt.Sprintf("%s shows %s, without block %s that a person vouched for", clean(s.Explorer), work, grouped(*s.Vouched))
	case s.Fork < 0:
		return fmt.Sprintf("%s shows %s, which leaves it below block %s", clean(s.Explorer), work, grouped(s.From))
	}
	return fmt.Sprintf("%s shows %s, which leaves it after block %s, %s below the last one covered", clean(s.Explorer), work, grouped(s.Fork),
		count(s.Height-s.Fork, "block", "blocks"))
}

// Alert pages, and says what to look at and what to type.
func (s Stopped) Alert(key Key) Alert {
	compare := fmt.Sprintf("Before anything else compare block %s with sources that %s has nothing to do with, such as a node of your own: the other chain has %s there",
		grouped(s.From), clean(s.Explorer), s.Theirs)
	if s.Ours != "" {
		compare += ", the one followed " + s.Ours
	}
	return seal(Alert{
		ID:       stopID(key, s.Network, s.Episode),
		Type:     ChainStuck,
		Severity: Severe,
		About:    "blind",
		Thread:   stopThread(key, s.Network, s.Episode),
		At:       s.At,
	}, Data{
		Network: s.Network, Explorer: s.Explorer, BlockHeight: &s.From, BlockHash: s.Theirs, Since: moment(s.At), ObservedAt: moment(s.At),
		Summary: fmt.Sprintf("btcwatch has stopped at block %s and waits for a person: %s. No block above it is recorded; payments may be happening unseen.",
			grouped(s.Height), s.Words()),
		Lines: []string{compare + "."},
		Next: fmt.Sprintf("If the other chain is the true one, type: btcwatch follow --from %d:%s --reason 'WHY'. If it is not, take %s out of the configuration and reload btcwatch. A message follows when following goes on.",
			s.From, s.Theirs, clean(s.Explorer)),
	})
}

func stopID(key Key, network string, episode int64) ID {
	return key.ID(network, ChainStuck, "chain", strconv.FormatInt(episode, 10))
}

func stopThread(key Key, network string, episode int64) string {
	return key.thread(network, "chain "+strconv.FormatInt(episode, 10))
}

// GoesOn says that following goes on by itself after it had stopped.
type GoesOn struct {
	Network string
	Episode int64
	Height  int32 // from where
	At      time.Time
}

// Alert is as severe as the stop, so that it reaches everybody whom that reached.
func (g GoesOn) Alert(key Key) Alert {
	return seal(Alert{
		ID:       key.ID(g.Network, WatchRestored, "chain", strconv.FormatInt(g.Episode, 10)),
		Type:     WatchRestored,
		Severity: Severe,
		About:    "blind",
		Thread:   stopThread(key, g.Network, g.Episode),
		At:       g.At,
	}, Data{
		Network: g.Network, Kind: "chain", BlockHeight: &g.Height, Until: moment(g.At), ObservedAt: moment(g.At),
		Corrects: stopID(key, g.Network, g.Episode).String(),
		Summary: fmt.Sprintf("btcwatch follows blocks again, on from block %s on the chain that it followed before: no explorer shows one with more work any more that leaves it too far below.",
			grouped(g.Height)),
		Next: "The blocks since the stop are being read, and the payments in them are told as usual.",
	})
}
