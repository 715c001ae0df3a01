package sql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The role and the database of a private cluster. The role is the same
// whoever runs the program, so that root can look into a service's database.
const (
	privateUser     = "btcwatch"
	privateDatabase = "btcwatch"
)

// Private is the private Postgres cluster of a data directory, in use by this
// process. All btcwatch processes of a data directory share one cluster,
// whoever of them came first; the last to leave stops it.
//
// It can be reached through a unix socket in a directory of mode 0700 and in
// no other way. Whoever can enter that directory, its owner and root, is
// trusted: within a user namespace every other user would look like the owner,
// so asking the kernel who is calling ("peer") would prove less.
type Private struct {
	dir string // the data directory, its real path
	log *slog.Logger

	supervised bool // by the daemon: restarted when it dies, ended with the process
	notDurable bool
	namespaces bool // root may use a user namespace
	search     programSearch

	use      *fileLock // shared as long as we use the cluster
	account  account
	programs programs
	server   *server
	socket   string // directory of the socket; stays the same over restarts

	endSupervision context.CancelFunc
	supervision    sync.WaitGroup
	stopOnce       sync.Once
	stopErr        error
}

// PrivateOption changes how StartPrivate runs the cluster.
type PrivateOption func(*Private)

// Supervised is for the daemon: a cluster that dies is started again, and one
// started here ends with this process even when the process is killed.
// Without it a cluster outlives a killed command until the next one leaves.
func Supervised() PrivateOption { return func(p *Private) { p.supervised = true } }

// NotDurable is for the speed of tests: data survives the death of processes,
// but not that of the machine.
func NotDurable() PrivateOption { return func(p *Private) { p.notDurable = true } }

// StartPrivate makes sure that the private cluster of a data directory exists
// and runs, and uses it until Stop. The context bounds the starting only.
// Errors say what to do; ErrNoPostgres is one of them.
func StartPrivate(ctx context.Context, dir string, log *slog.Logger, options ...PrivateOption) (*Private, error) {
	p := &Private{log: log, namespaces: true, search: usualPlaces()}
	for _, option := range options {
		option(p)
	}
	if err := p.begin(ctx, dir); err != nil {
		return nil, fmt.Errorf("private database: %w", err)
	}
	if p.supervised {
		ctx, cancel := context.WithCancel(context.Background())
		p.endSupervision = cancel
		p.supervision.Go(func() { p.supervise(ctx) })
	}
	return p, nil
}

func (p *Private) begin(ctx context.Context, dir string) error {
	var err error
	if p.dir, err = prepareDir(dir); err != nil {
		return err
	}
	if p.account, err = ownerOf(p.dir); err != nil {
		return err
	}
	if p.use, err = p.openLock(lockName); err != nil {
		return err
	}
	err = p.use.share(ctx, func() {
		p.log.Info("waiting for another btcwatch that is stopping the private database", "dir", p.dir)
	})
	if err == nil {
		err = p.ensureRunning(ctx)
	}
	if err != nil {
		return errors.Join(err, p.leave(context.WithoutCancel(ctx)))
	}
	p.socket = p.server.socket
	return nil
}

// URL is how pgx and psql reach the database.
func (p *Private) URL() string { return privateURL(p.socket, privateDatabase) }

func privateURL(socket, database string) string {
	query := url.Values{"host": {socket}, "port": {"5432"}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User(privateUser), Path: "/" + database, RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20")}).String()
}

// Stop ends the use of the cluster. It stops the cluster when nobody else
// uses it; at the context's end it no longer waits for a clean stop, which
// loses nothing but costs a recovery at the next start.
func (p *Private) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() {
		if p.endSupervision != nil {
			p.endSupervision()
			p.supervision.Wait()
		}
		if err := p.leave(ctx); err != nil {
			p.stopErr = fmt.Errorf("stop the private database: %w", err)
		}
	})
	return p.stopErr
}

// leave gives up the lock, and stops the cluster if nobody else holds it.
func (p *Private) leave(ctx context.Context) error {
	defer p.use.release()
	alone, err := p.use.tryAlone()
	if err == nil && !alone && p.endsWithUs() {
		alone, err = p.outlast(ctx)
	}
	if err != nil {
		return err
	}
	if !alone {
		p.log.Debug("private database left to another btcwatch that uses it", "dir", p.dir)
		return nil
	}
	return p.shutDown(ctx)
}

// endsWithUs says whether the server gets its death signal when we end.
func (p *Private) endsWithUs() bool {
	return p.supervised && p.server != nil && p.server.ended != nil
}

// outlast gives a command that is just finishing its work a moment to do so.
func (p *Private) outlast(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := p.use.takeAlone(ctx, func() {})
	if ctx.Err() != nil {
		return false, nil
	}
	return err == nil, err
}

// ensureRunning starts the cluster, creating it first, unless it runs.
//
// The start has a lock of its own beside the shared one: a cluster that died
// must come back also while somebody else, say a psql left open overnight,
// still holds the shared lock; and who leaves cannot take that lock alone, so
// nothing that is being started is stopped.
func (p *Private) ensureRunning(ctx context.Context) error {
	start, err := p.openLock(startLockName)
	if err != nil {
		return err
	}
	defer start.release()
	err = start.takeAlone(ctx, func() {
		p.log.Info("waiting for another btcwatch that is starting the private database", "dir", p.dir)
	})
	if err != nil {
		return err
	}
	// What a killed server left behind, children and shared memory, goes by
	// itself within moments; until then a start fails.
	patience := time.Now().Add(30 * time.Second)
	for {
		err := p.startOrJoin(ctx)
		if err == nil {
			return p.ensureDatabase(ctx)
		}
		if !errors.Is(err, errLeftovers) || time.Now().After(patience) {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// startOrJoin makes one attempt.
func (p *Private) startOrJoin(ctx context.Context) error {
	if running := findServer(p.cluster()); running != nil {
		p.server = running
	} else if err := p.startServer(ctx); err != nil {
		return err
	}
	return p.untilReady(ctx)
}

func (p *Private) startServer(ctx context.Context) error {
	if err := p.prepareServer(ctx); err != nil {
		return err
	}
	started, err := p.launch()
	if err != nil {
		return err
	}
	p.server = started
	return nil
}

// prepareServer sees to everything that a start needs.
func (p *Private) prepareServer(ctx context.Context) error {
	version, err := clusterVersion(p.cluster())
	if err != nil {
		return err
	}
	if version == "" {
		p.programs, err = p.search.newest(ctx)
	} else {
		p.programs, err = p.search.of(ctx, version, p.cluster())
	}
	if err != nil {
		return err
	}
	if p.account, err = chooseAccount(ctx, p.dir, p.programs, p.namespaces, p.log); err != nil {
		return err
	}
	if version == "" {
		if err := p.create(ctx); err != nil {
			return err
		}
	}
	if err := ownDir(p.cluster(), p.account); err != nil {
		return err
	}
	return ownDir(p.socketDir(), p.account)
}

// ensureDatabase creates the database in a new cluster. It is asked for at
// each start, because a kill may have come between the two.
func (p *Private) ensureDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, privateURL(p.server.socket, "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	const ask = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
	if err := conn.QueryRow(ctx, ask, privateDatabase).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+privateDatabase)
	return err
}

// supervise starts the cluster again when it dies, and keeps its log short.
func (p *Private) supervise(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.server.ended:
		case <-tick.C:
		}
		if err := p.serverLog().bound(); err != nil {
			p.log.Warn("log of the private database cannot be shortened", "error", err)
		}
		if findServer(p.cluster()) == nil {
			p.revive(ctx)
		}
	}
}

// revive tries until the cluster runs again or supervision ends.
func (p *Private) revive(ctx context.Context) {
	p.log.Error("private database died, starting it again", "dir", p.dir)
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 10*time.Second) {
		err := p.ensureRunning(ctx)
		if err == nil {
			p.log.Info("private database runs again", "dir", p.dir)
			return
		}
		if ctx.Err() == nil {
			p.log.Error("private database does not start, trying again", "dir", p.dir, "wait", wait, "error", err)
		}
		_ = pause(ctx, wait) // its only error is the end of supervision
	}
}

func (p *Private) openLock(name string) (*fileLock, error) {
	owner, err := ownerOf(p.dir)
	if err != nil {
		return nil, err
	}
	lock, err := openLock(filepath.Join(p.dir, name), owner)
	if err != nil {
		return nil, advise(err, p.dir)
	}
	return lock, nil
}

func (p *Private) cluster() string { return filepath.Join(p.dir, clusterName) }

func (p *Private) serverLog() serverLog {
	return serverLog{path: filepath.Join(p.dir, logName), owner: p.account}
}

// socketDir is where a server started now has its socket: where those who are
// connected expect it, if there was one before.
func (p *Private) socketDir() string {
	if p.socket != "" {
		return p.socket
	}
	return socketDir(p.dir)
}
