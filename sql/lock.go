package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// fileLock is a lock between processes on a file (flock). The kernel releases
// it when its holder ends, however it ends, so no lock is ever left behind.
type fileLock struct {
	file *os.File
}

// openLock opens a lock's file without taking the lock. The file belongs to
// the owner of the directory: what root creates there its owner must be able
// to lock too.
func openLock(path string, owner account) (*fileLock, error) {
	const flags = os.O_RDWR | os.O_CREATE | syscall.O_NOFOLLOW
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := owner.own(file); err != nil {
		file.Close()
		return nil, err
	}
	return &fileLock{file: file}, nil
}

// share waits for the lock and shares it with others who do the same; waiting
// is called once when somebody holds it alone.
func (l *fileLock) share(ctx context.Context, waiting func()) error {
	return l.wait(ctx, syscall.LOCK_SH, waiting)
}

// takeAlone waits until nobody else holds the lock.
func (l *fileLock) takeAlone(ctx context.Context, waiting func()) error {
	return l.wait(ctx, syscall.LOCK_EX, waiting)
}

// tryAlone takes the lock if nobody else holds it. A shared lock that the
// caller had is given up either way: flock does not promise to keep it.
func (l *fileLock) tryAlone() (bool, error) {
	return l.try(syscall.LOCK_EX)
}

// wait asks again and again, because a blocked flock cannot be cancelled.
func (l *fileLock) wait(ctx context.Context, how int, waiting func()) error {
	for told := false; ; {
		taken, err := l.try(how)
		if taken || err != nil {
			return err
		}
		if !told {
			told = true
			waiting()
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the lock %s: %w", l.file.Name(), err)
		}
	}
}

func (l *fileLock) try(how int) (bool, error) {
	for {
		err := syscall.Flock(int(l.file.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, fmt.Errorf("lock %s: %w", l.file.Name(), err)
		}
	}
}

func (l *fileLock) release() { l.file.Close() }

// pause waits for a while or until the context ends, whose error it gives.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
