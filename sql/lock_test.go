package sql

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockName)
	open := func() *fileLock {
		l, err := openLock(path, account{})
		must(t, err)
		t.Cleanup(l.release)
		return l
	}
	a, b := open(), open()
	nobodyWaits := func() { t.Error("waits for no reason") }
	must(t, a.share(t.Context(), nobodyWaits))
	must(t, b.share(t.Context(), nobodyWaits))
	if alone, err := a.tryAlone(); alone || err != nil {
		t.Fatal(alone, err)
	}
	// The loser has given up its share, so the last one gets it.
	if alone, err := b.tryAlone(); !alone || err != nil {
		t.Fatal(alone, err)
	}
	waited := 0
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := a.share(ctx, func() { waited++ }); !errors.Is(err, context.DeadlineExceeded) || waited != 1 {
		t.Error(err, waited)
	}
	b.release()
	must(t, a.takeAlone(t.Context(), nobodyWaits))
}

func TestLockIsNoLink(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, lockName)))
	if l, err := openLock(filepath.Join(dir, lockName), account{}); err == nil {
		l.release()
		t.Error("followed a link")
	}
}
