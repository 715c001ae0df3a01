package sql

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// ErrFenced says that another daemon leads by now: what this one was about to
// record is refused.
var ErrFenced = errors.New("another daemon has taken over")

// Telling is how recorded facts become alerts and waiting deliveries.
type Telling struct {
	Confirmations []int32 // depths, ascending; the first is told, the rest go to the report
	Rules         alerts.Rules
	Channels      []alerts.Settings
	Burst         int // messages an hour and address to a channel for people, before they are summed up; 0: any number

	Digest alerts.Clock   // when channels for people are told of what waits for the digest
	Zone   *time.Location // of that, and of the quiet hours of channels; nil: UTC

	BlindWithoutBlock time.Duration // how long without a new block is told as blindness

	Canary *chain.Address // watched only to test the watch; nil: there is none

	Fiat chain.Currency // in which amounts are told too; the zero value: in none
}

// Writer records facts for the leader of one epoch. Each of its transactions
// begins by locking the position; one of a later epoch makes it useless. It
// keeps the watched set and brings it up to date whenever the list has moved.
type Writer struct {
	store *Store
	epoch int64
	tell  Telling
	woken func() // called after a commit that left deliveries waiting
	aside bool   // it records once beside whoever leads, in whatever epoch that is

	mu      sync.Mutex // one commit at a time; guards what follows
	set     *watchedSet
	ids     map[string]int32 // explorers by name
	restsOn string
	proves  bool
}

// Position is how far the chain is covered.
type Position struct {
	Epoch       int64
	Height      int32
	Hash        chainhash.Hash
	Bits        uint32
	Set         bool // false until following has a start
	ListVersion int64
	MovedAt     time.Time // when it came to this height, UTC; zero before the start
	ReachedAt   time.Time // when it was last found to be at the best tip shown, UTC; zero: never
}

// Tip is the position as the block that the next one must follow.
func (p Position) Tip() chain.Tip {
	return chain.Tip{Height: p.Height, Hash: p.Hash, Bits: p.Bits}
}

// commit is one transaction that records facts.
type commit struct {
	*Writer
	tx       pgx.Tx
	position Position
	at       time.Time
	digest   hash.Hash
	wrote    bool
	told     bool
	alone    string // said beside what a proven grade rests on: one operator alone shows the block

	misstated []string // explorers that stated an output otherwise than its transaction shows
}

// note adds a fact to the digest that the journal keeps of this commit.
func (c *commit) note(format string, args ...any) {
	c.wrote = true
	fmt.Fprintf(c.digest, format+"\n", args...)
}

// commit runs one transaction under the position's lock. Without a note the
// journal gets no row.
func (w *Writer) commit(ctx context.Context, kind string, record func(*commit) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := false
	err := pgx.BeginFunc(ctx, w.store.pool, func(tx pgx.Tx) error {
		c := &commit{Writer: w, tx: tx, at: w.store.now().UTC(), digest: sha256.New()}
		if err := c.begin(ctx); err != nil {
			return err
		}
		if err := record(c); err != nil {
			return err
		}
		told = c.told
		return c.journal(ctx, kind)
	})
	if err != nil {
		w.set = nil // what was loaded in a transaction that failed may not be there
		return err
	}
	if told && w.woken != nil {
		w.woken()
	}
	return nil
}

func (c *commit) begin(ctx context.Context) error {
	var err error
	if c.position, err = lockPosition(ctx, c.tx); err != nil {
		return err
	}
	if c.aside {
		c.epoch = c.position.Epoch
	}
	if c.position.Epoch != c.epoch {
		return fmt.Errorf("%w (epoch %d, ours is %d)", ErrFenced, c.position.Epoch, c.epoch)
	}
	if c.set == nil || c.set.version != c.position.ListVersion {
		return c.load(ctx)
	}
	return nil
}

func (c *commit) journal(ctx context.Context, kind string) error {
	if !c.wrote {
		return nil
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.journal (epoch, kind, digest, at)
		VALUES ($1, $2, $3, $4)`, c.epoch, kind, c.digest.Sum(nil), c.at)
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

const selectPosition = `
	SELECT epoch, height, hash, bits, list_version, moved_at, reached_at
	FROM btcwatch.position`

func lockPosition(ctx context.Context, tx pgx.Tx) (Position, error) {
	p, err := scanPosition(tx.QueryRow(ctx, selectPosition+` FOR UPDATE`))
	if err != nil {
		return p, fmt.Errorf("lock the position: %w", err)
	}
	return p, nil
}

// Position reads how far the chain is covered.
func (s *Store) Position(ctx context.Context) (Position, error) {
	p, err := scanPosition(s.pool.QueryRow(ctx, selectPosition))
	if err != nil {
		return p, fmt.Errorf("read the position: %w", err)
	}
	return p, nil
}

func scanPosition(row pgx.Row) (Position, error) {
	var (
		p      Position
		height *int32
		hash   []byte
		bits   *int64
		moved  *time.Time
		tip    *time.Time
	)
	if err := row.Scan(&p.Epoch, &height, &hash, &bits, &p.ListVersion, &moved, &tip); err != nil {
		return p, err
	}
	if height != nil {
		p.Set, p.Height = true, *height
		copy(p.Hash[:], hash)
	}
	if bits != nil {
		p.Bits = uint32(*bits)
	}
	if moved != nil {
		p.MovedAt = *moved
	}
	if tip != nil {
		p.ReachedAt = tip.UTC()
	}
	return p, nil
}

// explorer gives the row of an explorer, made when it is new.
func (c *commit) explorer(ctx context.Context, name string) (int32, error) {
	if id, ok := c.ids[name]; ok {
		return id, nil
	}
	return nameExplorer(ctx, c.tx, name)
}

// nameExplorer takes two statements: only the second one sees a row that
// another transaction has made meanwhile.
func nameExplorer(ctx context.Context, tx pgx.Tx, name string) (id int32, err error) {
	_, err = tx.Exec(ctx, `
		INSERT INTO btcwatch.explorer (name)
		VALUES ($1)
		ON CONFLICT DO NOTHING`, name)
	if err == nil {
		err = tx.QueryRow(ctx, `SELECT id FROM btcwatch.explorer WHERE name = $1`, name).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("name the explorer %s: %w", name, err)
	}
	return id, nil
}
