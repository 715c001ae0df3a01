package daemon

import (
	"context"
	"errors"
	"time"

	"btcwatch/alerts"
)

// unwaited is a channel whose Send no context ends: a write to a pipe that
// nobody reads, or to a disk that hangs. When its time is over it is left
// alone, so that neither a reload nor a stop waits for it; until it comes back
// the channel takes nothing else.
type unwaited struct {
	channel alerts.Channel
	writing chan struct{} // holds one while a write goes on
}

// settle is how long a write that is cut off may take to end well: most do, and
// what was written is then not written again.
const settle = time.Second

var (
	errStillWriting = errors.New("the write before it has not ended yet: see to it that what the channel writes to is read, or that its disk works")
	errLeftWriting  = errors.New("the write did not end in time: see to it that what the channel writes to is read, or that its disk works")
)

func newUnwaited(channel alerts.Channel) *unwaited {
	return &unwaited{channel: channel, writing: make(chan struct{}, 1)}
}

// Send gives the alert to the channel and waits while the context lasts.
func (u *unwaited) Send(ctx context.Context, m alerts.Message) error {
	select {
	case u.writing <- struct{}{}:
	default:
		return errStillWriting
	}
	done := make(chan error, 1)
	go func() {
		err := guarded(func() error { return u.channel.Send(ctx, m) })()
		<-u.writing
		done <- err
	}()
	waiting, stop := outlasting(ctx, settle)
	defer stop()
	select {
	case err := <-done:
		return err
	case <-waiting.Done():
		return errLeftWriting
	}
}
