package listfile

import "btcwatch/watchlist"

// What is remembered of a file whose entries name their holders by an id that may
// stand anywhere in it.
const (
	mostNames   = 200_000 // holders; beyond them, entities stay empty
	mostWaiting = 100_000 // entries whose holder has not come yet
)

// holders puts the names of holders into entries, in bounded memory.
type holders struct {
	names   map[string]string
	waiting []heldBy
}

type heldBy struct {
	entry  watchlist.Entry
	holder string
}

func (h *holders) name(id, name string) {
	if h.names == nil {
		h.names = map[string]string{}
	}
	if len(h.names) < mostNames && id != "" && name != "" {
		h.names[id] = name
	}
}

// put gives the entry where its holder is known or it names none; otherwise it
// waits for the end of the file.
func (h *holders) put(e watchlist.Entry, holder string) (watchlist.Entry, bool) {
	name, known := h.names[holder]
	if holder != "" && !known && len(h.waiting) < mostWaiting {
		h.waiting = append(h.waiting, heldBy{e, holder})
		return e, false
	}
	if e.Listing.Entity == "" {
		e.Listing.Entity = name
	}
	return e, true
}

// rest gives those that waited. One whose holder never came names none.
func (h *holders) rest(yield func(watchlist.Entry, error) bool) {
	for _, one := range h.waiting {
		if one.entry.Listing.Entity == "" {
			one.entry.Listing.Entity = h.names[one.holder]
		}
		if !yield(one.entry, nil) {
			return
		}
	}
}
