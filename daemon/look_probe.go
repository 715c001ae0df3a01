package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// How many questions a look puts to one explorer: as many as its pace allows in
// a minute, which no limit of an hour minds, and some where that is next to none.
const (
	fewestQuestions = 12
	mostQuestions   = 40
)

func questionsOf(perSecond float64) int64 {
	if perSecond == 0 {
		return mostQuestions
	}
	return int64(min(max(perSecond*time.Minute.Seconds(), fewestQuestions), mostQuestions))
}

// looker asks one explorer for a thing of each sort, of the first block after
// the genesis: it is small, the same for all, and tells nobody what is watched.
type looker struct {
	ctx    context.Context
	params *chaincfg.Params
	sight  *Sight
	e      *explorer.Explorer
	most   int64 // requests
	fiat   chain.Currency
}

// abilities probes what can be asked with little. What is asked about addresses
// shows itself in the counting.
func (p *looker) abilities() {
	p.probed("chain", nil)
	if p.e.Prices != nil && p.fiat.Code != "" && p.may() {
		_, err := p.e.Prices.Price(p.ctx, p.fiat, time.Time{})
		p.probed("prices", err)
	}
	if p.sight.Tip < 1 {
		return
	}
	hash, err := p.e.Chain.BlockHash(p.ctx, 1)
	if err != nil {
		p.probed("chain", err)
		return
	}
	if p.e.Headers != nil && p.may() {
		_, err := p.e.Headers.Headers(p.ctx, 1, hash)
		p.probed("headers", err)
	}
	if p.e.Blocks == nil || !p.may() {
		return
	}
	id, err := p.block(hash)
	p.probed("blocks", err)
	if err == nil {
		p.transaction(id)
	}
}

// block fetches one and checks it by itself, so that an explorer which serves
// false blocks is not said to give blocks; it gives the first transaction's id.
func (p *looker) block(hash chainhash.Hash) (id chainhash.Hash, err error) {
	raw, err := p.e.Blocks.Block(p.ctx, hash)
	if err != nil {
		return id, err
	}
	block, err := chain.CheckBlock(raw, p.params, time.Now())
	if err != nil {
		return id, badAnswer(p.e.Name, "block 1", err)
	}
	return block.Transactions[0].TxHash(), nil
}

// transaction asks for what there is about one.
func (p *looker) transaction(id chainhash.Hash) {
	if p.e.Transactions != nil && p.may() {
		_, err := p.e.Transactions.Transaction(p.ctx, id)
		p.probed("transactions", err)
	}
	if p.e.Spends != nil && p.may() {
		_, err := p.e.Spends.Spends(p.ctx, id)
		p.probed("spends", err)
	}
	if p.e.Proofs != nil && p.may() {
		_, err := p.e.Proofs.Branch(p.ctx, id, 1)
		p.probed("proofs", err)
	}
}

// may says whether there is a question left to ask.
func (p *looker) may() bool { return p.ctx.Err() == nil && p.e.Pace.Requests() < p.most }

// probed notes how a question went. That the time was up says nothing of the
// explorer.
func (p *looker) probed(name string, err error) {
	if p.ctx.Err() != nil {
		return
	}
	for i := range p.sight.Can {
		if p.sight.Can[i].Name == name {
			p.sight.Can[i].Probed, p.sight.Can[i].Err = true, err
		}
	}
}

// countAs counts with the explorer as the guard gave it, which discloses what it
// hears of addresses; nil: it hears nothing.
func (p *looker) countAs(guarded *explorer.Explorer, addresses []chain.Address) {
	if guarded != nil {
		p.e = guarded
		p.count(addresses)
	}
}

// count asks how much there is at each address, until there is no time or no
// question left, or the explorer gives no more answers. That it will not answer
// about one address says nothing of the others.
func (p *looker) count(addresses []chain.Address) {
	if p.e.Addresses == nil {
		return
	}
	for _, a := range addresses {
		if !p.may() {
			return
		}
		counters, err := p.e.Addresses.Counters(p.ctx, a)
		if err == nil {
			p.sight.Counts[a.Text] = counters
		}
		if len(p.sight.Counts) == 0 || err == nil {
			p.probed("addresses", err)
		}
		if err != nil && !errors.Is(err, explorer.ErrRefused) {
			return
		}
	}
}
