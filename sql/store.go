package sql

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// ErrOtherNetwork says that a database holds the record of another network.
var ErrOtherNetwork = errors.New("this database belongs to another network")

// Store is one database of one installation. It is safe for use by several
// goroutines.
type Store struct {
	Queue // of alerts to the channels

	pool   *pgxpool.Pool
	url    string
	params *chaincfg.Params
	key    alerts.Key
	now    func() time.Time
	log    *slog.Logger

	metPatience time.Duration // see met
}

// Open migrates the database to the schema of this program and opens it for
// one network. A database of another network or of a newer program is refused.
func Open(ctx context.Context, url string, params *chaincfg.Params, log *slog.Logger) (*Store, error) {
	if err := Migrate(ctx, url, log); err != nil {
		return nil, err
	}
	pool, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	s := &Store{Queue: Queue{pool: pool}, pool: pool, url: url, params: params, now: time.Now, log: log, metPatience: metPatience}
	if err := s.install(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close lets go of all connections.
func (s *Store) Close() { s.pool.Close() }

// URL is the address of the database, as psql takes it. It may hold a password.
func (s *Store) URL() string { return s.url }

// Ping asks whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// ServerVersion is the version that the database server gives of itself.
func (s *Store) ServerVersion(ctx context.Context) (string, error) {
	var version string
	err := s.pool.QueryRow(ctx, `SHOW server_version`).Scan(&version)
	return version, err
}

// install writes the row that says whose database this is, or checks it.
func (s *Store) install(ctx context.Context) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make the installation key: %w", err)
	}
	name := chain.NetworkName(s.params)
	_, err := s.pool.Exec(ctx, `
		INSERT INTO btcwatch.installation (network, alert_key)
		VALUES ($1, $2)
		ON CONFLICT DO NOTHING`, name, key)
	if err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	var network string
	err = s.pool.QueryRow(ctx, `SELECT network, alert_key FROM btcwatch.installation`).Scan(&network, &key)
	if err != nil {
		return fmt.Errorf("read whose database this is: %w", err)
	}
	if network != name {
		return fmt.Errorf("%w: it holds the record of %s, the configuration says network = %q; use another data_dir or database",
			ErrOtherNetwork, network, name)
	}
	s.key = key
	return nil
}

// rows is the common end of queries for lists.
func rows[T any](ctx context.Context, pool *pgxpool.Pool, query string, args ...any) ([]T, error) {
	found, err := pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByName[T])
}
