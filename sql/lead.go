package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrStandby says that another daemon holds the lead.
var ErrStandby = errors.New("another daemon leads on this database")

// leadLock is the advisory lock of the leader: "btcwatch" as a number.
const leadLock int64 = 0x62746377617463

// Lead is the leadership over one database. It lasts as long as its own
// connection does, which no pooler may share.
type Lead struct {
	conn  *pgx.Conn
	Epoch int64
}

// TakeLead takes the leadership, or gives ErrStandby. Each lead begins a new
// epoch, so that whoever led before can record nothing more.
func (s *Store) TakeLead(ctx context.Context) (*Lead, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect to take the lead: %w", err)
	}
	l := &Lead{conn: conn}
	if err := l.take(ctx); err != nil {
		l.Release(ctx)
		return nil, err
	}
	return l, nil
}

func (l *Lead) take(ctx context.Context) error {
	var got bool
	if err := l.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, leadLock).Scan(&got); err != nil {
		return fmt.Errorf("take the lead: %w", err)
	}
	if !got {
		return ErrStandby
	}
	err := l.conn.QueryRow(ctx, `
		UPDATE btcwatch.position
		SET epoch = epoch + 1
		RETURNING epoch`).Scan(&l.Epoch)
	if err != nil {
		return fmt.Errorf("begin an epoch: %w", err)
	}
	return nil
}

// Held asks whether the leadership still stands; an error says that it does
// not, or that nobody can tell. ErrFenced where an epoch has begun since: what
// this lead knows of the chain may not hold any more.
func (l *Lead) Held(ctx context.Context) error {
	var epoch int64
	if err := l.conn.QueryRow(ctx, `SELECT epoch FROM btcwatch.position`).Scan(&epoch); err != nil {
		return fmt.Errorf("the lead was lost with its connection: %w", err)
	}
	if epoch != l.Epoch {
		return fmt.Errorf("%w (epoch %d, ours is %d)", ErrFenced, epoch, l.Epoch)
	}
	return nil
}

// Release gives the leadership up. It asks for the lock to be let go, so that a
// successor need not wait until the server notices that the connection is gone;
// where that fails the end of the connection does it.
func (l *Lead) Release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, _ = l.conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, leadLock)
	_ = l.conn.Close(ctx)
}

// Writer gives the leader the right to record. woken is called after a commit
// that left deliveries waiting.
func (s *Store) Writer(l *Lead, tell Telling, woken func()) *Writer {
	return &Writer{store: s, epoch: l.Epoch, tell: tell, woken: woken, ids: map[string]int32{}}
}
