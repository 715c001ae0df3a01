package cli

import (
	"context"
	"errors"
	"log/slog"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"btcwatch/daemon"
	"btcwatch/sql"
)

// database is the one in use: the server that the configuration names, or the
// private cluster, which runs as long as somebody needs it.
type database struct {
	url     string
	private *sql.Private // nil with a server
}

func openDatabase(ctx context.Context, config *daemon.Config, log *slog.Logger) (*database, error) {
	if config.DatabaseURL != "" {
		return &database{url: config.DatabaseURL}, nil
	}
	private, err := sql.StartPrivate(ctx, config.DataDir, log)
	if err != nil {
		return nil, err
	}
	return &database{url: private.URL(), private: private}, nil
}

// stopTime is how long a private cluster may take to stop cleanly. A stop that
// is not clean loses nothing.
const stopTime = 7 * time.Second

// close leaves the private cluster to a daemon that uses it, and stops it
// otherwise.
func (d *database) close() error {
	if d.private == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return d.private.Stop(ctx)
}

// withStore works on the database, whose tables are brought up to date first.
func (s *session) withStore(config *daemon.Config, work func(context.Context, *sql.Store) error) error {
	return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, _ *progress) error { return work(ctx, store) })
}

// withStoreTelling is withStore for work that takes long, or that asks a person.
func (s *session) withStoreTelling(config *daemon.Config, work func(context.Context, *sql.Store, *progress) error) (err error) {
	ctx, stop := interruptible()
	defer stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errInterrupted
		}
	}()
	p := s.progress("starting the database")
	defer p.end()
	db, err := openDatabase(ctx, config, s.quietLog())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	p.now("preparing the database")
	store, err := sql.Open(ctx, db.url, config.Network, s.quietLog())
	if err != nil {
		return err
	}
	defer store.Close()
	p.now("asking the database")
	return work(ctx, store, p)
}

// actor is who changes the list: on a server the login there, on a private
// cluster, where all have one login, the user of this system.
func (s *session) actor(ctx context.Context, config *daemon.Config, store *sql.Store) (string, error) {
	if config.DatabaseURL != "" {
		return store.Login(ctx)
	}
	if name := s.Getenv("SUDO_USER"); name != "" {
		return name, nil
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username, nil
	}
	return "uid " + strconv.Itoa(syscall.Getuid()), nil
}
