package chaintest

import "time"

// Follow makes the server one over another source: what it knew of the old one
// is forgotten, so that it can lie and be honest again.
func (e *Esplora) Follow(source Source) {
	e.turn <- struct{}{}
	defer func() { <-e.turn }()
	e.source = source
	e.sync.started, e.sync.failed = time.Time{}, false
	e.index.forget()
}

// Follow makes the server one over another source.
func (e *Electrum) Follow(source Source) { e.esplora.Follow(source) }

// forget goes back to knowing nothing.
func (x *index) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	fresh := newIndex()
	x.trail, x.blocks, x.byHash, x.txs, x.spends = fresh.trail, fresh.blocks, fresh.byHash, fresh.txs, fresh.spends
	x.scripts, x.pool, x.poolSpends, x.poolSource = fresh.scripts, fresh.pool, fresh.poolSpends, fresh.poolSource
}
