package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	"btcwatch/sql"
)

// Roles of a daemon.
const (
	starting   = "starting"
	leading    = "leading"
	standingBy = "standing by"
	noDatabase = "waiting for the database"
)

// standing is what this daemon is at the moment.
type standing struct {
	mu     sync.Mutex
	role   string
	health *health // of the lead; nil while there is none
}

func (s *standing) set(role string, health *health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role, s.health = role, health
}

func (s *standing) get() (role string, health *health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == "" {
		return starting, nil
	}
	return s.role, s.health
}

// truth is whether all is well, as far as this daemon knows. There is one for
// all who ask: /ready, the metrics and the heartbeat. It names no address.
type truth struct {
	Ready    bool     `json:"ready"`
	Role     string   `json:"role"`
	Faults   []string `json:"faults"` // by the names in faultNames
	Database bool     `json:"database"`

	Position      *int32   `json:"position_height"` // null: following has not begun, or it is not known
	PositionAge   *float64 `json:"position_age_seconds"`
	BlocksBehind  *int32   `json:"blocks_behind"` // null: no explorer has shown a tip
	Waiting       *int64   `json:"deliveries_waiting"`
	OldestWaiting *float64 `json:"oldest_delivery_age_seconds"` // null: none waits, or it is not known

	CanaryAge *float64 `json:"canary_age_seconds"` // null: no payment of it has come through, there is none, or it is not known

	figures *sql.Figures // null without the database
	tip     int32
}

// faultNames are all reasons why not all is well; docs/metrics.md explains them.
func faultNames() []string {
	return []string{"not-leading", "database", "hung", "unjudged", "not-begun", "unseen", "channels",
		"chain", forBlocks, forMempool, noBlock, backlog, lateJob, lateDelivery, forCanary}
}

// truth finds out how things are, now.
func (w *watch) truth(ctx context.Context) truth {
	role, health := w.standing.get()
	t := truth{Role: role, Faults: []string{}}
	t.fault("not-leading", role != leading)
	_, hung := w.pulse.hung()
	t.fault("hung", hung)
	if health != nil {
		t.tip = health.shownTip()
		for _, name := range health.faults() {
			t.fault(name, true)
		}
	}
	figures, err := w.figures.read(ctx, w.store, w.Now())
	t.fault("database", err != nil)
	if err == nil {
		t.Database = true
		t.look(figures, w.Now())
		for _, kind := range []string{"chain", forBlocks, forMempool, noBlock, backlog, lateJob, lateDelivery, forCanary} {
			t.fault(kind, figures.Outages[kind] > 0)
		}
		t.fault("channels", figures.Outages["channel"] >= int64(len(w.channels)))
	}
	t.Ready = len(t.Faults) == 0
	return t
}

func (t *truth) fault(name string, is bool) {
	if is {
		t.Faults = append(t.Faults, name)
	}
}

// look takes over what the record says.
func (t *truth) look(f *sql.Figures, now time.Time) {
	t.figures = f
	if p := f.Position; p.Set {
		t.Position = &p.Height
		if !p.MovedAt.IsZero() {
			t.PositionAge = age(p.MovedAt, now)
		}
	}
	for _, e := range f.Explorers { // for a daemon that stands by, and has asked nobody itself
		if e.TipHeight != nil && t.Role != leading {
			t.tip = max(t.tip, *e.TipHeight)
		}
	}
	if t.Position != nil && t.tip > 0 {
		behind := max(0, t.tip-*t.Position)
		t.BlocksBehind = &behind
	}
	if f.Canary != nil && f.Canary.Arrived != nil {
		t.CanaryAge = age(*f.Canary.Arrived, now)
	}
	var waiting int64
	var oldest *time.Time
	for _, c := range f.Channels {
		waiting += c.Waiting
		if c.Oldest != nil && (oldest == nil || c.Oldest.Before(*oldest)) {
			oldest = c.Oldest
		}
	}
	t.Waiting = &waiting
	if oldest != nil {
		t.OldestWaiting = age(*oldest, now)
	}
}

func age(since, now time.Time) *float64 {
	seconds := max(0, now.Sub(since).Seconds())
	return &seconds
}

// unjudged is how long nobody may have judged the watch before it is not known
// how it does.
const unjudged = time.Minute

// faults are the reasons that the leader itself knows of. That nobody was asked
// yet is one: whoever has heard nothing does not know that all is well.
func (h *health) faults() (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sound.IsZero() || h.now().Sub(h.sound) > unjudged {
		names = append(names, "unjudged")
	}
	if slices.Contains(h.jobs, forBlocks) && !h.begun {
		names = append(names, "not-begun")
	}
	for _, kind := range []string{forBlocks, forMempool} {
		c := h.kinds[kind]
		if slices.Contains(h.jobs, kind) && !h.idle[kind] && (c == nil || c.good.IsZero()) {
			return append(names, "unseen")
		}
	}
	return names
}

// shownTip is the highest tip that any explorer shows; 0: none does.
func (h *health) shownTip() int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.best()
}

// figures keeps what was read last, so that many who ask cost the database no
// more than one does.
type figures struct {
	mu   sync.Mutex
	last *sql.Figures
	at   time.Time
	err  error
}

const (
	fresh       = time.Second
	longestRead = 5 * time.Second
)

func (f *figures) read(ctx context.Context, store *sql.Store, now time.Time) (*sql.Figures, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since := now.Sub(f.at); f.at.IsZero() || since < 0 || since >= fresh {
		// Not the context of whoever asks: the next one gets this answer too.
		reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestRead)
		defer cancel()
		var read *sql.Figures
		if read, f.err = store.Figures(reading, f.last); f.err == nil {
			f.last = read
		}
		f.at = now
	}
	return f.last, f.err
}
