package daemon

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Hangups gives a channel that says when SIGHUP came, until the context ends.
// Several that come while one is being worked off count as one.
func Hangups(ctx context.Context) <-chan struct{} {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	told := make(chan struct{}, 1)
	go func() {
		defer signal.Ignore(syscall.SIGHUP) // one that comes during the stop must not cut it short
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			select {
			case told <- struct{}{}:
			default: // one is waiting already
			}
		}
	}()
	return told
}
