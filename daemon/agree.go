package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/txscript/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// agreement compares what explorers say with one another and with the chain
// followed, and records where they disagree for longer than a grace time. It
// never decides who is right: blocks do.
type agreement struct {
	*asker
	mempool *asker // whose answers are compared
	grace   time.Duration

	asked   map[byID]time.Time // when who has no addresses was last asked about a payment
	counted map[sql.Disagreement]bool
	blocks  map[string]time.Time // since when an explorer shows another block than the chain followed has
	totals  map[pair]difference
	shown   map[at]string      // block hashes, of this round
	open    []sql.Disagreement // at the beginning of this round
	accused map[string]bool    // explorers that left out what a block holds, in this round
}

// byID is a payment and who is asked about it by its txid.
type byID struct {
	tx       int64
	explorer string
}

// pair is two explorers that count the payments at an address.
type pair struct {
	script   int64
	one, two string
}

// difference is since when two counts differ, and the newest of the answers that
// were compared.
type difference struct {
	since, newest time.Time
	times         int
}

// Bounds of comparing.
const (
	mostUnshown    = 500 // payments and explorers looked at in one round
	mostByTxID     = 20  // questions about single payments in one round
	agreePause     = 30 * time.Second
	mostRemembered = 10_000           // disagreements that were too many
	countsAge      = 10 * time.Minute // counts that are older are not compared
)

func newAgreement(a, mempool *asker, grace time.Duration) *agreement {
	return &agreement{asker: a, mempool: mempool, grace: grace, asked: map[byID]time.Time{},
		counted: map[sql.Disagreement]bool{}, blocks: map[string]time.Time{}, totals: map[pair]difference{}}
}

func (g *agreement) round(ctx context.Context) (err error) {
	if g.open, err = g.store.OpenDisagreements(ctx); err != nil {
		return err
	}
	if err := g.chains(ctx); err != nil {
		return err
	}
	if err := g.payments(ctx); err != nil {
		return err
	}
	if err := g.counts(ctx); err != nil {
		return err
	}
	if len(g.open) == 0 {
		return nil
	}
	return g.writer.SettleDisagreements(ctx)
}

func (g *agreement) find(name string) *explorer.Explorer {
	for _, e := range g.explorers {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// payments looks at each payment that an explorer has not shown as it stands.
func (g *agreement) payments(ctx context.Context) error {
	g.shown = map[at]string{}
	before := g.accused
	g.accused = map[string]bool{}
	defer func() {
		for name := range before {
			if !g.accused[name] {
				g.health.note(name, forPayments, nil)
			}
		}
	}()
	var listing, knowing []string
	for _, e := range g.explorers {
		if e.Addresses != nil {
			listing = append(listing, e.Name)
		} else if e.Transactions != nil {
			knowing = append(knowing, e.Name)
		}
	}
	if len(g.counted) > mostRemembered {
		clear(g.counted)
	}
	for key, when := range g.asked {
		if g.now().Sub(when) > 24*time.Hour {
			delete(g.asked, key)
		}
	}
	unshown, err := g.store.Unshown(ctx, listing, knowing, mostUnshown)
	if err != nil {
		return err
	}
	// Who is in quarantine is not asked, so that its old answers would be held
	// against it for ever, and it would never come out.
	bad := g.health.inQuarantine()
	for name := range bad {
		g.mempool.given.forget(name)
	}
	left := mostByTxID
	for _, u := range unshown {
		e := g.find(u.Explorer)
		switch {
		case e == nil || u.By == u.Explorer || bad[e.Name] || g.elsewhere(e.Name):
			continue
		case e.Addresses != nil:
			err = g.unlisted(ctx, e, u)
		case e.Transactions != nil && u.State == alerts.Unconfirmed && left > 0:
			var spent bool
			if spent, err = g.byTxID(ctx, e, u); spent {
				left--
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unlisted records that an explorer has left a payment out of a complete answer
// about its address, which was asked for when the grace time was over. Where a
// block that was verified here holds the payment, the explorer is wrong.
func (g *agreement) unlisted(ctx context.Context, e *explorer.Explorer, u sql.Unshown) error {
	answer := g.mempool.given.of(askedOf{u.Script, e.Name})
	if answer.complete.Before(u.Since.Add(g.grace)) || answer.complete.Before(g.health.believedSince(e.Name)) || u.Height > 0 && answer.completeTip < u.Height {
		return nil // it may have caught up since it answered
	}
	d := sql.Disagreement{Kind: sql.DisagreeMempool, Subject: u.TxID.String(), Explorer: e.Name, Other: u.By,
		Script: &u.Script, Tx: &u.Tx, Since: u.Since.Add(g.grace),
		Said: "does not list it as unconfirmed at the address", OtherSaid: "does"}
	switch {
	case u.State == alerts.Unconfirmed && u.By == "":
		return nil
	case u.State == alerts.Confirmed && u.Proof == alerts.Proven:
		if g.shownAt(ctx, e, u.Height) != u.Block {
			return nil // on another branch it may well not be there
		}
		d.Kind, d.Other = sql.DisagreeTransaction, ""
		d.Said = fmt.Sprintf("does not show it at the address, and shows a tip of %d", answer.completeTip)
		d.OtherSaid = fmt.Sprintf("holds it in block %d %s, which was verified here, so that %s is wrong", u.Height, u.Block, e.Name)
		// Once may be an index that is behind its own blocks: it is read again
		// in full (readAgain) before it is held to be false.
		// One in quarantine is not asked, and nothing new is held against it.
		if answer.listed.Before(u.Since.Add(2*g.grace)) || answer.listedTip < u.Height || answer.listed.Before(g.health.believedSince(e.Name)) || !g.health.trusted(e.Name) {
			break
		}
		g.accused[e.Name] = true
		g.health.note(e.Name, forPayments, fmt.Errorf("%w: %s leaves out the payment %s, which block %d holds", explorer.ErrLying, e.Name, u.TxID, u.Height))
	case u.State == alerts.Confirmed && u.By == "":
		return nil
	case u.State == alerts.Confirmed:
		d.Kind = sql.DisagreeTransaction
		d.Said = fmt.Sprintf("does not show it at the address, and shows a tip of %d", answer.completeTip)
		d.OtherSaid = fmt.Sprintf("shows it in block %d %s", u.Height, u.Block)
	}
	if u.State == alerts.Confirmed {
		if err := g.readAgain(ctx, e, u); err != nil {
			return err
		}
	}
	return g.disagree(ctx, d)
}

// readAgain forgets now and then what an explorer counted at an address: its
// counters may not change when it lists at last what it left out.
func (g *agreement) readAgain(ctx context.Context, e *explorer.Explorer, u sql.Unshown) error {
	key := byID{u.Tx, e.Name}
	if g.now().Sub(g.asked[key]) < 2*g.grace {
		return nil
	}
	g.asked[key] = g.now()
	return g.store.SaveAskFailed(ctx, u.Script, e.Name, fmt.Sprintf("%s leaves out the payment %s", e.Name, u.TxID))
}

// shownAt is the block that an explorer shows at a height, asked once a round;
// empty where it does not say.
func (g *agreement) shownAt(ctx context.Context, e *explorer.Explorer, height int32) string {
	key := at{e.Name, height}
	if hash, known := g.shown[key]; known {
		return hash
	}
	if e.Chain == nil {
		return ""
	}
	text := ""
	if hash, err := e.Chain.BlockHash(ctx, height); err == nil {
		text = hash.String()
	}
	g.beat()
	g.shown[key] = text
	return text
}

// at is an explorer and a height.
type at struct {
	explorer string
	height   int32
}

// byTxID asks an explorer that knows no addresses, such as a node, after an
// unconfirmed payment: one more witness. What it shows is recorded; that it has
// it not is a disagreement when the grace time is over.
func (g *agreement) byTxID(ctx context.Context, e *explorer.Explorer, u sql.Unshown) (spent bool, err error) {
	key := byID{u.Tx, e.Name}
	if g.now().Sub(g.asked[key]) < min(mostAsks, g.grace/2) {
		return false, nil
	}
	g.asked[key] = g.now()
	tx, err := e.Transactions.Transaction(ctx, u.TxID)
	g.beat()
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	g.health.note(e.Name, forTransactions, err)
	switch {
	case err == nil:
		delete(g.asked, key)
		if _, _, err = g.record(ctx, e, []*chain.Transaction{tx}); errors.Is(err, errDatabase) {
			return true, err
		}
		return true, nil
	case !errors.Is(err, explorer.ErrNotFound) || u.By == "" || g.now().Before(u.Since.Add(g.grace)):
		return true, nil
	}
	return true, g.disagree(ctx, sql.Disagreement{Kind: sql.DisagreeMempool, Subject: u.TxID.String(), Explorer: e.Name, Other: u.By,
		Script: &u.Script, Tx: &u.Tx, Since: u.Since.Add(g.grace), Said: "does not know the transaction", OtherSaid: "lists it as unconfirmed at the address"})
}

// disagree records a disagreement, and once that it was one too many.
func (g *agreement) disagree(ctx context.Context, d sql.Disagreement) error {
	key := sql.Disagreement{Kind: d.Kind, Subject: d.Subject, Explorer: d.Explorer, Other: d.Other}
	if g.counted[key] {
		return nil
	}
	kept, err := g.writer.Disagree(ctx, d)
	if err == nil && !kept {
		g.counted[key] = true
	}
	return err
}

// chains compares the block that each explorer shows at the height of the
// position with the one followed; at its own tip where that is lower, for the
// chain followed may be one that a single explorer shows and no other has. One
// that lags shows the block that is followed there.
func (g *agreement) chains(ctx context.Context) error {
	position, err := g.store.Position(ctx)
	if err != nil || !position.Set {
		return err
	}
	for _, e := range g.explorers {
		height := min(g.health.tipOf(e.Name), position.Height)
		if e.Chain == nil || height <= 0 {
			continue
		}
		ours, known, err := g.store.ChainHash(ctx, height)
		if err != nil {
			return err
		}
		if !known {
			continue // from before the watch
		}
		hash, err := e.Chain.BlockHash(ctx, height)
		g.beat()
		if err != nil {
			continue // whether it answers is seen elsewhere
		}
		if hash == ours {
			if g.elsewhere(e.Name) { // what it answered there is no leaving out
				g.mempool.given.forget(e.Name)
			}
			delete(g.blocks, e.Name)
			if err := g.agree(ctx, sql.DisagreeBlock, "", e.Name, ""); err != nil {
				return err
			}
			continue
		}
		since, differs := g.blocks[e.Name]
		if !differs {
			since = g.now()
			g.blocks[e.Name] = since
		}
		if g.now().Sub(since) < g.grace {
			continue
		}
		err = g.disagree(ctx, sql.Disagreement{Kind: sql.DisagreeBlock, Explorer: e.Name, Since: since,
			Said:      fmt.Sprintf("shows the block %s at height %d", hash, height),
			OtherSaid: fmt.Sprintf("has %s there", ours)})
		if err != nil {
			return err
		}
	}
	return nil
}

// elsewhere says whether an explorer showed another block than the one followed
// when they were compared last.
func (g *agreement) elsewhere(name string) bool { return !g.blocks[name].IsZero() }

// agree ends an open disagreement of two about a subject, if there is one.
func (g *agreement) agree(ctx context.Context, kind, subject, one, other string) error {
	for _, d := range g.open {
		same := d.Explorer == one && d.Other == other || d.Explorer == other && d.Other == one
		if d.Kind == kind && d.Subject == subject && same {
			if err := g.writer.AgreeAgain(ctx, d.ID, "agreed", ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// counts compares how many confirmed payments explorers count at each address,
// where they do so at the same tip, and that is the one followed.
func (g *agreement) counts(ctx context.Context) error {
	position, err := g.store.Position(ctx)
	if err != nil || !position.Set {
		return err
	}
	for script, all := range g.mempool.given.counts(position.Height, g.now().Add(-countsAge)) {
		for i, one := range all {
			for _, two := range all[i+1:] {
				if err := g.count(ctx, script, one, two); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (g *agreement) count(ctx context.Context, script int64, one, two total) error {
	if one.count > two.count || one.count == two.count && one.explorer > two.explorer {
		one, two = two, one
	}
	key := pair{script, min(one.explorer, two.explorer), max(one.explorer, two.explorer)}
	before, differed := g.totals[key]
	if one.count == two.count || g.mayDiffer(one, two) {
		if !differed {
			return nil
		}
		delete(g.totals, key)
		return g.agree(ctx, sql.DisagreeCounters, one.address.Text, one.explorer, two.explorer)
	}
	older := one.asked
	if two.asked.Before(older) {
		older = two.asked
	}
	if !differed {
		before = difference{since: g.now()}
	}
	if older.After(before.newest) { // both were asked again
		before.times++
		before.newest = older
		if two.asked.After(older) {
			before.newest = two.asked
		} else if one.asked.After(older) {
			before.newest = one.asked
		}
	}
	g.totals[key] = before
	if before.times < 2 || g.now().Sub(before.since) < g.grace {
		return nil
	}
	return g.disagree(ctx, sql.Disagreement{Kind: sql.DisagreeCounters, Subject: one.address.Text, Explorer: one.explorer, Other: two.explorer,
		Script: &script, Since: before.since,
		Said:      fmt.Sprintf("counts %d confirmed payments at height %d", one.count, one.tip),
		OtherSaid: fmt.Sprintf("counts %d at the same height", two.count)})
}

// mayDiffer says whether the larger count may hold what the other kind does not
// count at that address: payments to its bare public key.
func (g *agreement) mayDiffer(less, more total) bool {
	return txscript.IsPayToPubKeyHash(less.address.Script) && g.countsKeys(more) && !g.countsKeys(less)
}

func (g *agreement) countsKeys(t total) bool {
	e := g.find(t.explorer)
	return e != nil && e.BareKeys
}

// tipOf is the height that an explorer last showed; 0: none.
func (h *health) tipOf(name string) int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.each[name] == nil {
		return 0
	}
	return h.each[name].tip
}
