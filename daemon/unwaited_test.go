package daemon

import (
	"context"
	"errors"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// unread is a pipe that nobody reads, until its end is closed.
type unread chan struct{}

func (u unread) Write(p []byte) (int, error) {
	<-u
	return len(p), nil
}

// TestStuckScreenHoldsUpNothing: nobody reads the standard output. Following
// goes on over a reload, and a stop is a stop.
func TestStuckScreenHoldsUpNothing(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.channel("screen", "stdout", nil)
	pipe := make(unread)
	t.Cleanup(func() { close(pipe) })
	w.stdout = pipe
	w.began(ledger)
	w.await("1", `SELECT attempts FROM report.deliveries WHERE channel = 'screen'`)
	w.reloaded(func(*Config) {})
	ledger.MineEmpty(3)
	w.caughtUp(ledger)
	w.await("1", `SELECT attempts FROM report.deliveries WHERE channel = 'screen'`) // that was cut off does not count
	asked := time.Now()
	w.stop()
	if took := time.Since(asked); took > 8*time.Second {
		t.Errorf("the stop took %v", took)
	}
	w.expect("waiting 0", `SELECT state || ' ' || attempts FROM report.deliveries WHERE channel = 'screen'`)
}

// hanging is a channel that takes an alert when it is let.
type hanging struct {
	begun chan struct{}
	let   chan error
}

func (h hanging) Send(context.Context, alerts.Message) error {
	h.begun <- struct{}{}
	return <-h.let
}

// TestOneWriteAtATime: while a write hangs, others fail at once; when it is
// over, the channel takes alerts again.
func TestOneWriteAtATime(t *testing.T) {
	t.Parallel()
	h := hanging{make(chan struct{}, 2), make(chan error, 2)}
	u := newUnwaited(h)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() { first <- u.Send(ctx, alerts.Message{}) }()
	<-h.begun
	cancel()
	if err := <-first; !errors.Is(err, errLeftWriting) {
		t.Errorf("the write that hangs: %v", err)
	}
	if err := u.Send(t.Context(), alerts.Message{}); !errors.Is(err, errStillWriting) {
		t.Errorf("the next: %v", err)
	}
	h.let <- nil
	h.let <- nil
	err := errStillWriting
	for errors.Is(err, errStillWriting) {
		err = u.Send(t.Context(), alerts.Message{})
	}
	if err != nil {
		t.Errorf("after it: %v", err)
	}
}

// A write that is cut off and ends well all the same is not written again.
func TestWriteThatEndsWellCounts(t *testing.T) {
	h := hanging{make(chan struct{}, 1), make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.let <- nil
	if err := newUnwaited(h).Send(ctx, alerts.Message{}); err != nil {
		t.Error(err)
	}
}
