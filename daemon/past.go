package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Bounds of the questions about the past, which can wait: blocks and the
// mempool are asked at the same pace.
const (
	mostPast  = 20               // payments, and transactions that debits rest on, in one round
	pastPause = 2 * time.Second  // between rounds
	pastRest  = 3                // turns of an explorer's pace left to others for each question to it
	firstLeft = 10 * time.Second // how long what nobody could prove is left alone at first
	lastLeft  = 6 * time.Hour    // and in the end
	mostLeft  = 5000             // of them are remembered
)

// errNobody says that no explorer answers now.
var errNobody = errors.New("no explorer answers")

// errElsewhere says that an explorer places a transaction in another block.
var errElsewhere = errors.New("placed elsewhere")

// past raises to proven, one by one, what explorers only report: payments from
// before the watch by their Merkle branches, and debits by the transactions
// that they spend from.
type past struct {
	*asker
	params *chaincfg.Params

	after int64 // of the stated debits that were looked at last
	left  map[chainhash.Hash]leftAlone
}

// leftAlone is something that nobody could prove.
type leftAlone struct {
	until time.Time
	pause time.Duration
}

func newPast(a *asker, params *chaincfg.Params) *past {
	return &past{asker: a, params: params, left: map[chainhash.Hash]leftAlone{}}
}

// round looks at some debits and at some payments.
func (p *past) round(ctx context.Context) error {
	if err := p.debits(ctx); err != nil {
		return err
	}
	all, err := p.store.Unproven(ctx, p.leftOut(), mostPast)
	if err != nil {
		return err
	}
	for _, u := range all {
		err := p.prove(ctx, u)
		if errors.Is(err, errNobody) {
			return nil // nor will they answer about the others
		}
		if err != nil {
			p.leave(u.Msg.TxHash()) // the others come first next time
			return err
		}
	}
	return nil
}

// leave leaves something alone for a while that grows.
func (p *past) leave(id chainhash.Hash) {
	pause := min(max(firstLeft, 2*p.left[id].pause), lastLeft)
	if len(p.left) >= mostLeft {
		clear(p.left)
	}
	p.left[id] = leftAlone{p.now().Add(pause), pause}
}

func (p *past) leftOut() []chainhash.Hash {
	var ids []chainhash.Hash
	for id, l := range p.left {
		if p.now().Before(l.until) {
			ids = append(ids, id)
		}
	}
	return ids
}

// rest leaves an explorer to others for a while after some questions.
func (p *past) rest(ctx context.Context, e *explorer.Explorer, questions int) {
	p.beat()
	sleep(ctx, restOf(e, questions))
	p.beat()
}

func restOf(e *explorer.Explorer, questions int) time.Duration {
	if e.Pace == nil {
		return 0
	}
	return min(time.Duration(pastRest*questions)*e.Pace.Interval(), time.Minute)
}

// place records where an explorer places a transaction. What the chain
// contradicts is the explorer's failure.
func (p *past) place(ctx context.Context, e *explorer.Explorer, tx *chain.Transaction) error {
	_, _, err := p.record(ctx, e, []*chain.Transaction{tx})
	if errors.Is(err, errDatabase) || ctx.Err() != nil {
		return err
	}
	p.judge(e, err)
	return nil
}

// judge notes lies, and what makes up for them. That an explorer does not
// answer what can wait, or does not serve it, is no outage of it.
func (p *past) judge(e *explorer.Explorer, err error) {
	if err == nil {
		p.health.note(e.Name, forProofs, nil)
	} else if errors.Is(err, explorer.ErrLying) {
		p.caught(e, err)
	}
}

// caught notes that an explorer said what is not true.
func (a *asker) caught(e *explorer.Explorer, err error) {
	a.log.Warn("explorer said what is not true", "explorer", e.Name, "error", err)
	a.health.note(e.Name, forProofs, err)
}

// prove asks one explorer after the other for what proves a payment. Where none
// of those that answer can, the block itself decides.
func (p *past) prove(ctx context.Context, u *sql.Unproven) error {
	ctx = concerning(ctx, nil, u.Msg.TxHash())
	later, answered := false, false // later: who did not answer now may do so
	for _, e := range p.inTurn() {
		if e.Proofs == nil {
			continue
		}
		proven, err := p.proveBy(ctx, e, u)
		if proven || errors.Is(err, errDatabase) || ctx.Err() != nil {
			return err
		}
		silent := errors.Is(err, explorer.ErrUnavailable) || errors.Is(err, explorer.ErrRateLimited)
		later, answered = later || silent, answered || !silent
	}
	if !later || u.Said != u.Block() {
		decided, err := p.proveByBlock(ctx, u)
		if decided || err != nil {
			return err
		}
	}
	if u.Said != u.Block() { // so it stands nowhere, whatever the block holds
		return p.takeBack(ctx, u, "")
	}
	p.leave(u.Msg.TxHash())
	if later && !answered {
		return errNobody
	}
	return ctx.Err()
}

// proveBy proves a payment by the Merkle branch that an explorer gives. A false
// one is a lie, if the explorer shows the same block at that height.
func (p *past) proveBy(ctx context.Context, e *explorer.Explorer, u *sql.Unproven) (proven bool, err error) {
	defer p.rest(ctx, e, 4)
	in, err := p.inclusion(ctx, e, u)
	if err == nil {
		err = p.recordProof(ctx, e, u, in)
	}
	if errors.Is(err, chain.ErrFalseBranch) {
		err = p.falseProof(ctx, e, u, err)
	}
	p.judge(e, err)
	return err == nil, err
}

func (p *past) recordProof(ctx context.Context, e *explorer.Explorer, u *sql.Unproven, in *chain.Inclusion) error {
	if err := in.Check(u.Msg, &u.Header, u.Height, u.Count, p.params); err != nil {
		return err
	}
	misplacedBy, err := p.writer.RecordProof(ctx, u, in, e.Name)
	if err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	delete(p.left, u.Msg.TxHash())
	p.log.Info("payment proven", "transaction", u.Msg.TxHash(), "height", u.Height, "explorer", e.Name)
	p.blamePlace(ctx, misplacedBy, u, fmt.Errorf("block %s is not on the chain followed at height %d", u.Said, u.Height))
	return nil
}

// inclusion asks for the branch of a transaction and that of the coinbase of
// its block.
func (p *past) inclusion(ctx context.Context, e *explorer.Explorer, u *sql.Unproven) (*chain.Inclusion, error) {
	placed, err := e.Proofs.Branch(ctx, u.Msg.TxHash(), u.Height)
	p.beat() // each may wait long for its turn
	if err != nil {
		return nil, err
	}
	if placed.Height != u.Height {
		return nil, fmt.Errorf("%w: by %s in block %d", errElsewhere, e.Name, placed.Height)
	}
	coinbase, err := e.Proofs.Coinbase(ctx, u.Block(), u.Height)
	p.beat()
	if err != nil {
		return nil, err
	}
	beside, err := e.Proofs.Branch(ctx, coinbase.TxHash(), u.Height)
	p.beat()
	if err != nil {
		return nil, err
	}
	return &chain.Inclusion{Branch: placed.Branch, Coinbase: coinbase, CoinbaseSiblings: beside.Branch.Siblings}, nil
}

// falseProof tells a lie from a proof to a block of another branch.
func (p *past) falseProof(ctx context.Context, e *explorer.Explorer, u *sql.Unproven, why error) error {
	if e.Chain == nil {
		return badAnswer(e.Name, fmt.Sprintf("Merkle proof of %s", u.Msg.TxHash()), why)
	}
	hash, err := e.Chain.BlockHash(ctx, u.Height)
	p.beat()
	if err != nil {
		return err
	}
	if hash != u.Block() {
		return fmt.Errorf("%w: %s shows another block at height %d", explorer.ErrUnavailable, e.Name, u.Height)
	}
	return badAnswer(e.Name, fmt.Sprintf("Merkle proof of %s", u.Msg.TxHash()), why)
}

// proveByBlock gets the whole block and looks whether it holds the payment. It is
// undecided where nobody gives it.
func (p *past) proveByBlock(ctx context.Context, u *sql.Unproven) (decided bool, err error) {
	for _, e := range p.explorers {
		if e.Blocks == nil {
			continue
		}
		block, err := p.block(ctx, e, u.Block())
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil { // a true block makes up for no false branch
			p.judge(e, err)
		}
		p.rest(ctx, e, 1)
		if err != nil {
			continue
		}
		in := block.Inclusion(u.Msg.TxHash())
		if in == nil {
			return true, p.takeBack(ctx, u, e.Name)
		}
		return true, p.recordProof(ctx, e, u, in)
	}
	return false, nil
}

func (p *past) block(ctx context.Context, e *explorer.Explorer, hash chainhash.Hash) (*chain.Block, error) {
	raw, err := e.Blocks.Block(ctx, hash)
	p.beat()
	if err != nil {
		return nil, err
	}
	block, err := chain.CheckBlock(raw, p.params, p.now())
	if err == nil && block.Hash != hash {
		err = fmt.Errorf("%w: another block came: %s", chain.ErrFalseBlock, block.Hash)
	}
	if err != nil {
		return nil, badAnswer(e.Name, fmt.Sprintf("block %s", hash), err)
	}
	return block, nil
}

// takeBack takes a payment out of the block in which an explorer placed it
// falsely, names who did, and asks where it really is.
func (p *past) takeBack(ctx context.Context, u *sql.Unproven, reader string) error {
	id := u.Msg.TxHash()
	placedBy, err := p.writer.RecordAbsence(ctx, u, reader)
	if err != nil {
		return err
	}
	p.log.Warn("payment is not in the block where it was said to be", "transaction", id, "height", u.Height, "said_by", placedBy)
	why := fmt.Errorf("block %s is not on the chain followed at height %d", u.Said, u.Height)
	if u.Said == u.Block() {
		why = fmt.Errorf("block %d does not hold it", u.Height)
	}
	p.blamePlace(ctx, placedBy, u, why)
	for _, e := range p.inTurn() {
		tx, err := e.Transactions.Transaction(ctx, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.rest(ctx, e, 1)
		if err != nil || tx.Place == nil || tx.Place.Block == u.Said && tx.Place.Height == u.Height {
			continue
		}
		if err := p.place(ctx, e, tx); err != nil {
			return err
		}
	}
	return nil
}

// blame notes that configured explorers said something that is not true.
func (a *asker) blame(names []string, question string, why error) {
	for _, e := range a.explorers {
		for _, name := range names {
			if name == e.Name {
				a.caught(e, badAnswer(name, question, why))
			}
		}
	}
}

// nameMisstaters notes who stated an output otherwise than the transaction that
// made it shows.
func (a *asker) nameMisstaters(names []string) {
	a.blame(names, "a spent output", errors.New("the transaction that made it shows another script or amount"))
}
