package daemon

import (
	"sync"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// agenda is the list of addresses of one round. An address that one explorer
// failed to answer about comes back for the others.
type agenda struct {
	mu   sync.Mutex
	back *sync.Cond // an address came back, or was answered
	open []*item
	lent int
	own  map[string]*item // by explorer: what it is asked first
}

func newAgenda() *agenda {
	l := &agenda{own: map[string]*item{}}
	l.back = sync.NewCond(&l.mu)
	return l
}

// item is one address on the agenda.
type item struct {
	*sql.Question
	tried map[string]bool
	err   error
}

// deal gives each explorer an address to begin with, in turns where there are
// fewer addresses than explorers: whoever is quickest must not answer alone for
// ever.
func (l *agenda) deal(explorers []*explorer.Explorer, turn int) {
	for n := range explorers {
		if len(l.open) == 0 {
			return
		}
		name := explorers[(turn+n)%len(explorers)].Name
		i := l.open[0]
		l.open, l.own[name] = l.open[1:], i
		i.tried[name] = true
		l.lent++
	}
}

// take gives the next address that an explorer was not asked about yet; nil
// when none is left for it and none can come back.
func (l *agenda) take(explorer string) *item {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := l.own[explorer]; i != nil {
		delete(l.own, explorer)
		return i
	}
	for {
		for n, i := range l.open {
			if !i.tried[explorer] {
				i.tried[explorer] = true
				l.open = append(l.open[:n:n], l.open[n+1:]...)
				l.lent++
				return i
			}
		}
		if l.lent == 0 {
			return nil
		}
		l.back.Wait()
	}
}

// giveBack ends what take began: without an error the address is answered.
func (l *agenda) giveBack(i *item, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lent--
	if err != nil {
		i.err = err
		l.open = append(l.open, i)
	}
	l.back.Broadcast()
}

func (l *agenda) left() []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}
