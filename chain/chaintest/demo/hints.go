package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"btcwatch/chain/chaintest"
)

// slowPoll is how often the mempool is asked about while it is measured what
// hints are worth; in the rest of the story it is every second.
const slowPoll = 5 * time.Second

// hints measures how long it takes from a broadcast to its alert: first where
// the daemon only asks now and then, and then where a server hints besides.
func (w *world) hints(ctx context.Context) error {
	w.say.heading("Without hints, and with them")
	server := chaintest.NewElectrum(w.node, w.node.Params())
	server.Notices = 50 * time.Millisecond
	url, stop := server.Serve()
	w.later(stop)
	w.poll, w.electrum = slowPoll, url
	w.say.tell("A fourth explorer, of the Electrum kind, is added. btcwatch asks about each address every %.0f s now, and every 60 s if nothing else is configured.", slowPoll.Seconds())
	without, err := w.measure(ctx, server, "/server.version", 1)
	if err != nil {
		return err
	}
	w.say.happened("Without hints the alert came %.1f s after the payment was broadcast (median of %d).", without.Seconds(), timedPayments)
	w.hinted = true
	with, err := w.measure(ctx, server, "/blockchain.scripthash.subscribe", len(w.ledger.watched))
	if err != nil {
		return err
	}
	w.say.happened("With hints it came %.2f s after (median of %d).", with.Seconds(), timedPayments)
	w.say.proves("an Electrum server's hint makes btcwatch ask at once, instead of when it would have asked anyway. A hint is never believed, and one that does not come costs time and no alert.")
	return nil
}

// timedPayments are spread over one poll, so that their median is a middling one
// and not that of payments made just after a poll.
const timedPayments = 3

// measure lets the daemon take its new configuration, waits until it has put so
// many questions to a server, and gives the median time from payment to alert.
func (w *world) measure(ctx context.Context, server *chaintest.Electrum, question string, times int) (time.Duration, error) {
	server.Faults.Forget()
	if err := w.writeConfig(); err != nil {
		return 0, err
	}
	if err := w.daemon.reload(); err != nil {
		return 0, err
	}
	err := w.await(ctx, "questions to the fourth explorer", func() (bool, error) { return server.Faults.Count(question) >= times, nil })
	if err != nil {
		return 0, err
	}
	var paid []*effect
	var at []time.Time
	for n := range timedPayments {
		if n > 0 {
			pause(ctx, slowPoll/timedPayments)
		}
		at = append(at, time.Now())
		one, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[n].script, Value: 2_100_000})
		if err != nil {
			return 0, err
		}
		paid = append(paid, one...)
	}
	var took []time.Duration
	for n, e := range paid {
		b, err := w.expect(ctx, told{kind: seen, about: e})
		if err != nil {
			return 0, err
		}
		took = append(took, b.Timestamp.Sub(at[n]))
	}
	if _, err := w.confirm(ctx, paid); err != nil {
		return 0, err
	}
	slices.Sort(took)
	return max(0, took[timedPayments/2]), nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// reload asks the daemon to read its configuration again. One that is dead at
// the moment reads it when it starts.
func (d *daemon) reload() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.life.ended:
		return nil
	default:
	}
	err := syscall.Kill(d.life.pid, syscall.SIGHUP)
	if err != nil {
		return fmt.Errorf("ask the daemon to read its configuration again: %w", err)
	}
	return nil
}
