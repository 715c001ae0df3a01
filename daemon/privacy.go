package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Privacy modes: who may be asked about a watched address.
const (
	PrivacyAsk    = "ask"    // every explorer
	PrivacyOwn    = "own"    // those marked own = true
	PrivacyBlocks = "blocks" // nobody
)

// errPrivate says that a question was not put, because the explorer must not
// hear of the address. It is no failure of the explorer.
var errPrivate = errors.New("not asked for privacy")

// errNotPut says that a question was not put, because that it would be could not
// be recorded. It is no failure of the explorer either.
var errNotPut = errors.New("question not put")

// privacy decides which explorer may hear of which watched address, and records
// who heard of it before it does. It stands before all questions: guard wraps
// every explorer that the daemon works with.
type privacy struct {
	mode    string
	hearers map[string]*hearer // by explorer; of those that hear nothing there is none
	store   *sql.Store
	canary  string // its script; empty: there is none
}

func newPrivacy(config *Config, store *sql.Store, now func() time.Time) *privacy {
	p := &privacy{mode: config.Privacy.Mode, hearers: map[string]*hearer{}, store: store}
	if a := config.Canary.Address; a != nil {
		p.canary = string(a.Script)
	}
	for _, e := range config.Explorers {
		if config.Hears(e) {
			p.hearers[e.Name] = newHearer(e.Name, store, now)
		}
	}
	return p
}

// guard gives an explorer as the daemon may use it: what can give an address
// away asks here first, or is taken from it. Heights, headers and whole blocks
// give away none.
func (p *privacy) guard(e *explorer.Explorer) *explorer.Explorer {
	guarded := *e
	guarded.Addresses, guarded.Transactions, guarded.Spends, guarded.Proofs = nil, nil, nil, nil
	if e.Hints != nil { // of blocks everybody may be asked
		guarded.Hints = guardedHints{&behind{Explorer: e, privacy: p}}
	}
	if p.hearers[e.Name] == nil {
		return &guarded
	}
	b := &behind{Explorer: e, privacy: p}
	if e.Addresses != nil {
		guarded.Addresses = guardedAddresses{b}
	}
	if e.Transactions != nil {
		guarded.Transactions = guardedTransactions{b}
	}
	if e.Spends != nil {
		guarded.Spends = guardedSpends{b}
	}
	if e.Proofs != nil {
		guarded.Proofs = guardedProofs{b}
	}
	return &guarded
}

// askers gives those of guarded explorers that questions which arise from
// watched payments may go to, whatever they name: whole blocks of the past, asked
// for one by one, would give the address away that they have in common.
func (p *privacy) askers(all []*explorer.Explorer) []*explorer.Explorer {
	return slices.DeleteFunc(slices.Clone(all), func(e *explorer.Explorer) bool { return p.hearers[e.Name] == nil })
}

// inquiry is what a question names.
type inquiry struct {
	address     *chain.Address  // it, its script or the hash of its script
	transaction *chainhash.Hash // a transaction, or its outputs
}

func aboutScript(a chain.Address) inquiry        { return inquiry{address: &a} }
func aboutTransaction(id chainhash.Hash) inquiry { return inquiry{transaction: &id} }

// asks says whether an explorer may be asked: nil, and the question counts as
// disclosed, or an error that wraps errPrivate or errNotPut, and nothing may be
// sent. The capabilities of a guarded explorer ask here by themselves. Whoever
// reaches an explorer in another way does it by hand, each time before something
// is sent that names an address, its script or script hash (a subscription), or
// a transaction:
//
//	if err := w.privacy.asks(ctx, e, aboutScript(address)); err != nil { … do not send }
//
// A question about a transaction that is not recorded yet, and not one whose
// output a recorded payment spends, needs to be told whom it concerns, by a
// context of concerning. What nobody knows the concern of is not asked.
func (p *privacy) asks(ctx context.Context, e *explorer.Explorer, about inquiry) error {
	to := p.hearers[e.Name]
	if to == nil {
		return fmt.Errorf("%w: mode %s", errPrivate, p.mode)
	}
	kind, scripts, private, err := p.concern(ctx, about)
	switch {
	case errors.Is(err, sql.ErrNotWatched) && about.address != nil && p.canary != "" && string(about.address.Script) == p.canary:
		return nil // watched by nobody's wish, and hidden from nobody but where nothing may be asked
	case err != nil && !errors.Is(err, sql.ErrNotWatched):
		return fmt.Errorf("%w: %w: %w", errNotPut, errDatabase, err)
	case len(scripts) == 0 && chosenBlindly(ctx):
		return nil // and nothing is given away
	case private || len(scripts) == 0:
		return fmt.Errorf("%w: it concerns what is confidential or not watched", errPrivate)
	}
	if err := to.told(ctx, e, kind, scripts); err != nil {
		return fmt.Errorf("%w: %w: %w", errNotPut, errDatabase, err)
	}
	return nil
}

// concern gives which watched scripts a question gives away.
func (p *privacy) concern(ctx context.Context, about inquiry) (kind string, scripts []int64, private bool, err error) {
	if about.address != nil {
		id, private, err := p.store.AddressConcern(ctx, about.address.Script)
		return sql.AboutAddress, []int64{id}, private, err
	}
	known := concernOf(ctx)
	ids := append(slices.Clone(known.transactions), *about.transaction)
	scripts, private, err = p.store.TransactionConcern(ctx, ids, known.scripts)
	return sql.AboutTransaction, scripts, private, err
}

// concerns is whom the questions under a context give away.
type concerns struct {
	scripts      []int64
	transactions []chainhash.Hash // recorded ones: the scripts that they touch
}

type (
	concernKey struct{}
	blindKey   struct{}
)

// blindly gives a context for questions about transactions that were chosen
// without looking at what is watched, as a probe does: one that concerns nobody
// watched may be asked about.
func blindly(ctx context.Context) context.Context { return context.WithValue(ctx, blindKey{}, true) }

func chosenBlindly(ctx context.Context) bool { return ctx.Value(blindKey{}) != nil }

// concerning gives a context for questions that arise from watched scripts, or
// from recorded transactions of theirs, whatever these questions name.
func concerning(ctx context.Context, scripts []int64, transactions ...chainhash.Hash) context.Context {
	return context.WithValue(ctx, concernKey{}, concerns{scripts, transactions})
}

func concernOf(ctx context.Context) concerns {
	known, _ := ctx.Value(concernKey{}).(concerns)
	return known
}

// notPut says whether a question was never put, so that its failure says nothing
// of the explorer.
func notPut(err error) bool { return errors.Is(err, errPrivate) || errors.Is(err, errNotPut) }

// flush records what was told and is only announced. Before the daemon ends,
// last is true: then what is announced and will not be asked is taken back.
func (p *privacy) flush(ctx context.Context, last bool) error {
	var failed error
	for _, h := range p.hearers {
		failed = errors.Join(failed, h.flush(ctx, last))
	}
	return failed
}

// flushPause is how often what was told is settled in the record, and
// longestFlush how long the end of a lead may wait for that.
const (
	flushPause   = 30 * time.Second
	longestFlush = 3 * time.Second
)

func (l *leader) flushDisclosures(ctx context.Context) error { return l.privacy.flush(ctx, false) }

// settleDisclosures settles the record when the lead ends. Where it cannot, what
// is announced stays counted as asked.
func (l *leader) settleDisclosures(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestFlush)
	defer cancel()
	if err := l.privacy.flush(ctx, true); err != nil {
		l.Log.Warn("disclosures not settled, some stay counted as unsure", "error", err)
	}
}

// takeUpPrivacy puts the configured mode in force.
func (l *leader) takeUpPrivacy(ctx context.Context) error {
	before, since, err := l.store.SetPrivacy(ctx, l.config.Privacy.Mode)
	if err != nil || before == l.config.Privacy.Mode {
		return err
	}
	l.Log.Info("privacy mode taken up", "mode", l.config.Privacy.Mode, "before", before)
	if before != PrivacyBlocks {
		return nil
	}
	return l.writer.RecordUnasked(ctx, since)
}
