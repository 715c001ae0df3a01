package cli

import (
	"strings"
	"sync"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// While the daemon starts it asks for more time: creating the private database
// or changing large tables may take longer than a unit allows.
const (
	moreTime      = "EXTEND_TIMEOUT_USEC=60000000"
	moreTimePause = 20 * time.Second
)

// systemd is systemd, when it started us.
type systemd struct {
	mu    sync.Mutex
	timer *time.Timer // nil once the start is over
}

func newSystemd(getenv func(string) string) *systemd {
	m := &systemd{}
	m.mu.Lock()
	defer m.mu.Unlock()
	if getenv("NOTIFY_SOCKET") != "" {
		m.timer = time.AfterFunc(0, m.askForTime)
	}
	return m
}

// tell passes on what the daemon says of itself. A manager that is not there
// or does not listen changes nothing about the watch.
func (m *systemd) tell(state string) {
	if strings.HasPrefix(state, sdnotify.SdNotifyReady) {
		m.close()
	}
	_, _ = sdnotify.SdNotify(false, state)
}

func (m *systemd) askForTime() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer == nil {
		return
	}
	_, _ = sdnotify.SdNotify(false, moreTime)
	m.timer.Reset(moreTimePause)
}

// close ends the asking for time.
func (m *systemd) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
}
