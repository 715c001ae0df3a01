package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// What explorers are asked for. To be blind for one of them is an outage.
const (
	forBlocks  = "blocks"
	forMempool = "mempool"
)

// health keeps how each explorer answers, and says when one is failing and
// when nothing can be seen at all.
type health struct {
	settings HealthSettings
	writer   *sql.Writer
	store    *sql.Store
	now      func() time.Time
	log      *slog.Logger

	mu      sync.Mutex
	each    map[string]*condition // by explorer
	kinds   map[string]*condition // by what was asked for
	behind  time.Time             // since when the covered chain lags what explorers show; zero: it does not
	why     string                // the last reason why no block could be taken
	outages map[string]bool       // kind and name of what is out, as recorded
}

// condition is how questions of one sort went lately.
type condition struct {
	good    time.Time // last good answer
	bad     time.Time // last bad one
	since   time.Time // first bad one after the last good one, or of all
	err     error
	tip     int32
	failed  int64 // failovers not saved yet
	limited bool
	lying   bool
}

func newHealth(settings HealthSettings, writer *sql.Writer, store *sql.Store, now func() time.Time, log *slog.Logger) *health {
	return &health{
		settings: settings, writer: writer, store: store, now: now, log: log,
		each: map[string]*condition{}, kinds: map[string]*condition{}, outages: map[string]bool{},
	}
}

// load reads which outages are open from an earlier life.
func (h *health) load(ctx context.Context) error {
	open, err := h.store.OpenOutages(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range open {
		h.outages[o.Kind+" "+o.Name] = true
	}
	return nil
}

// note takes down one answer of an explorer. An error that is about the
// question and not about the explorer counts as an answer.
func (h *health) note(name, askedFor string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for _, c := range []*condition{of(h.each, name), of(h.kinds, askedFor)} {
		c.note(now, err)
	}
}

func of(all map[string]*condition, key string) *condition {
	if all[key] == nil {
		all[key] = &condition{}
	}
	return all[key]
}

func (c *condition) note(now time.Time, err error) {
	if err == nil || errors.Is(err, explorer.ErrNotFound) || errors.Is(err, explorer.ErrRefused) {
		*c = condition{good: now, tip: c.tip, failed: c.failed}
		return
	}
	if c.since.IsZero() {
		c.since = now
		if !c.good.IsZero() {
			c.since = c.good
		}
	}
	c.bad, c.err = now, err
	c.limited = errors.Is(err, explorer.ErrRateLimited)
	c.lying = errors.Is(err, explorer.ErrLying)
}

// failing is since when there was no good answer; false where the last was
// good, or nothing was asked.
func (c *condition) failing(now time.Time, after time.Duration) bool {
	return !c.bad.IsZero() && c.bad.After(c.good) && now.Sub(c.since) >= after
}

// sawTip takes down the height that an explorer shows.
func (h *health) sawTip(name string, height int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of(h.each, name).tip = height
}

// failedOver counts that an explorer did not answer what another was asked
// instead.
func (h *health) failedOver(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of(h.each, name).failed++
}

// covered takes down whether the covered chain reaches the best tip shown, and
// if not, why.
func (h *health) covered(reached bool, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case reached:
		h.behind, h.why = time.Time{}, ""
	case h.behind.IsZero():
		h.behind = h.now()
	}
	if why != nil {
		h.why = words(why)
	}
}

// progressed takes down that a block was covered, though not yet the last.
func (h *health) progressed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.behind.IsZero() {
		h.behind = h.now()
	}
}

// verdict is one outage to begin or to end.
type verdict struct {
	kind, name string
	out        bool
	since      time.Time
	reason     string
}

// judge records the outages that began and ended, and what each explorer
// shows.
func (h *health) judge(ctx context.Context) error {
	verdicts, states := h.verdicts()
	for _, s := range states {
		if err := h.store.SaveExplorer(ctx, s); err != nil {
			return err
		}
	}
	for _, v := range verdicts {
		if err := h.carryOut(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

func (h *health) carryOut(ctx context.Context, v verdict) error {
	key := v.kind + " " + v.name
	h.mu.Lock()
	known := h.outages[key]
	h.mu.Unlock()
	if v.out == known {
		return nil
	}
	var err error
	if v.out {
		h.log.Warn("outage began", "kind", v.kind, "explorer", v.name, "reason", v.reason)
		err = h.writer.BeginOutage(ctx, v.kind, v.name, v.reason, v.since)
	} else {
		h.log.Info("outage over", "kind", v.kind, "explorer", v.name)
		err = h.writer.EndOutage(ctx, v.kind, v.name)
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outages[key] = v.out
	return nil
}

func (h *health) verdicts() (verdicts []verdict, states []sql.ExplorerState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	var best int32
	for _, c := range h.each {
		best = max(best, c.tip)
	}
	for name, c := range h.each {
		if v := c.verdict("explorer", name, now, h.settings.FailingAfter); !c.undecided(v) {
			verdicts = append(verdicts, v)
		}
		states = append(states, c.state(name, best))
		c.failed = 0
	}
	for kind, c := range h.kinds {
		v := c.verdict(kind, "", now, h.settings.BlindAfter)
		if kind == forBlocks && !v.out && !h.behind.IsZero() && now.Sub(h.behind) >= h.settings.BlindAfter {
			v = verdict{kind: kind, out: true, since: h.behind, reason: "no new block could be verified: " + h.why}
		}
		if c.undecided(v) || kind == forBlocks && !v.out && !h.behind.IsZero() && h.outages[kind+" "] {
			continue // bad for too short, or answering again without having caught up
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, states
}

func (c *condition) verdict(kind, name string, now time.Time, after time.Duration) verdict {
	v := verdict{kind: kind, name: name, out: c.failing(now, after), since: c.since}
	if v.out {
		v.reason = words(c.err)
	}
	return v
}

// undecided says that the last answer was bad, but not for long enough to
// begin an outage; one that is open from before goes on.
func (c *condition) undecided(v verdict) bool { return !v.out && c.bad.After(c.good) }

func (c *condition) state(name string, best int32) sql.ExplorerState {
	s := sql.ExplorerState{Name: name, State: "ok", Failovers: c.failed}
	if c.tip > 0 {
		tip := c.tip
		s.TipHeight = &tip
	}
	if !c.good.IsZero() {
		good := c.good
		s.LastSuccess = &good
	}
	if c.bad.After(c.good) {
		bad := c.bad
		s.LastError, s.LastErrorAt = words(c.err), &bad
	}
	switch {
	case c.bad.After(c.good) && c.lying:
		s.State = "lying"
	case c.bad.After(c.good) && c.limited:
		s.State = "limited"
	case c.bad.After(c.good):
		s.State = "failing"
	case c.tip > 0 && c.tip < best-1:
		s.State = "lagging"
	}
	return s
}

// words gives an error as people may read it in an alert. Explorers' own text
// is never in it: their errors are made of ours.
func words(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	return text
}

// badAnswer says that an explorer gave something that cannot be true.
func badAnswer(name, question string, err error) error {
	return fmt.Errorf("%w: %s of %s: %w", explorer.ErrLying, question, name, err)
}
