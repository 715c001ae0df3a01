package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"btcwatch/sql"
)

// A database that does not answer at the start is waited for, with a sign of life
// for the service manager and one line in the log; when it answers, all goes on.
func TestDatabaseIsAwaitedAtStart(t *testing.T) {
	t.Parallel()
	w, ledger, _, _ := newWatched(t)
	cable := newCable(t, w.config.DatabaseURL, func(string) hearing { return passes }, func() {})
	socket := cable.listens.Addr().String()
	away := filepath.Join(filepath.Dir(socket), "away")
	if err := os.Rename(socket, away); err != nil {
		t.Fatal(err)
	}
	config := *w.config
	config.DatabaseURL = cable.url
	var alive atomic.Int64
	waits := make(chan struct{}, 1)
	program := w.program()
	program.Watchdog = 30 * time.Millisecond
	program.Notify = func(state string) {
		switch {
		case state == "WATCHDOG=1":
			alive.Add(1)
		case strings.Contains(state, noDatabase):
			select {
			case waits <- struct{}{}:
			default:
			}
		}
	}
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { done <- Run(ctx, &config, program) }()
	for range 2 { // rounds of waiting
		select {
		case <-waits:
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		}
	}
	if alive.Load() == 0 {
		t.Error("the service manager heard of no life")
	}
	if n := strings.Count(w.log.String(), noDatabase); n != 1 {
		t.Errorf("told %d times in %s", n, w.log)
	}
	if err := os.Rename(away, socket); err != nil {
		t.Fatal(err)
	}
	w.caughtUp(ledger)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What waiting does not mend ends the daemon at once, and a stop while it waits is
// no error.
func TestOtherDatabaseIsNotAwaited(t *testing.T) {
	t.Parallel()
	w, _, _, _ := newWatched(t)
	config := *w.config
	config.DatabaseURL += "&dbname=there_is_none"
	if err := Run(t.Context(), &config, w.program()); err == nil || errors.Is(err, sql.ErrUnreachable) || !strings.Contains(err.Error(), "createdb") {
		t.Errorf("%v", err)
	}
	config.DatabaseURL = "postgres://btcwatch@127.0.0.1:9/btcwatch"
	ctx, stop := context.WithCancel(t.Context())
	program := w.program()
	program.Notify = func(state string) {
		if strings.Contains(state, noDatabase) {
			stop()
		}
	}
	if err := Run(ctx, &config, program); err != nil {
		t.Errorf("stopped while waiting: %v", err)
	}
}
