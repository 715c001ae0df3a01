package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// What explorers are asked for. To be blind for blocks or the mempool is an
// outage.
const (
	forTip          = "tip"
	forBlocks       = "blocks"
	forMempool      = "mempool"
	forTransactions = "transactions"
	forProofs       = "proofs"   // of what is long past
	forPayments     = "payments" // whether they show what blocks hold
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
	each    map[string]*sight     // by explorer
	kinds   map[string]*condition // of all explorers together, by what cannot be seen without them
	behind  time.Time             // since when the covered chain lags what explorers show; zero: it does not
	why     string                // the last reason why no block could be taken
	open    time.Time             // since when tips are shown of which no round says whether they are covered
	silent  time.Time             // last good answer of an earlier life that ended without any since; zero: it did not
	begun   bool                  // following has a start
	height  int32                 // of the position, as last judged
	judged  time.Time
	outages map[string]bool // kind and name of what is out, as recorded
	idle    map[string]bool // kinds for which there is nothing to ask

	keptMempool time.Time // when the mempool was seen last, as kept in the database

	moved     time.Time // when the position moved last, as last judged
	depths    []depth   // how many blocks were not read yet, oldest first
	pulse     *pulse
	jobs      []string // of the schedule
	channels  []string // configured
	late      []sql.LateChannel
	lateSince firstSeen
	past      map[string]flaps // of explorers in an earlier life
	canary    canaryHealth
	sound     time.Time // when everything was judged last

	freed    map[string]time.Time      // when an explorer came out of quarantine last
	suspects map[string]*suspect       // by explorer: those in quarantine
	paces    map[string]*explorer.Pace // by explorer: those with a budget
	spent    map[string]string         // by explorer, as saved last
	asked    map[string]*explorer.Pace // by explorer: where its failures are counted
}

// sight is what is known of one explorer. A good answer to one sort of question
// does not make up for bad ones to another.
type sight struct {
	uses     map[string]*condition // by what was asked for
	tip      int32
	tipSince time.Time // since when it shows that one
	behind   time.Time // since when it is behind the chain verified here; zero: it is not
	good     time.Time // last good answer
	bad      time.Time // last bad one
	err      error     // what was bad about it
	failed   int64     // failovers not saved yet
	flaps
}

func newHealth(settings HealthSettings, writer *sql.Writer, store *sql.Store, now func() time.Time, log *slog.Logger) *health {
	return &health{
		settings: settings, writer: writer, store: store, now: now, log: log,
		each: map[string]*sight{}, kinds: map[string]*condition{}, outages: map[string]bool{}, idle: map[string]bool{},
		lateSince: firstSeen{}, past: map[string]flaps{},
		freed: map[string]time.Time{}, suspects: map[string]*suspect{}, paces: map[string]*explorer.Pace{}, spent: map[string]string{},
		asked: map[string]*explorer.Pace{},
	}
}

// load reads which outages are open from an earlier life, and closes those of
// explorers that are not configured any more.
func (h *health) load(ctx context.Context, configured []explorer.Settings) error {
	open, err := h.store.OpenOutages(ctx)
	if err != nil {
		return err
	}
	silent, err := h.store.SilentSince(ctx)
	if err != nil {
		return err
	}
	if silent != nil {
		h.resume(*silent)
	}
	names := map[string]bool{}
	for _, e := range configured {
		names[e.Name] = true
	}
	h.keepOnly(names)
	if err := h.loadFlaps(ctx, open); err != nil {
		return err
	}
	if err := h.loadQuarantines(ctx, open); err != nil {
		return err
	}
	for _, o := range open {
		if o.Kind == "explorer" && !names[o.Name] || h.unwatched(o) {
			if err := h.writer.ForgetOutage(ctx, o.Kind, o.Name); err != nil {
				return err
			}
			continue
		}
		h.mu.Lock()
		h.outages[o.Kind+" "+o.Name] = true
		h.mu.Unlock()
	}
	return nil
}

// note takes down one answer of an explorer. That something does not exist is
// an answer; that it is refused is none.
func (h *health) note(name, askedFor string, err error) {
	if errors.Is(err, context.Canceled) || notPut(err) {
		return
	}
	if errors.Is(err, explorer.ErrNotFound) {
		err = nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if err == nil {
		h.of(name).healed(askedFor, h.settings.FailingAfter)
	}
	h.of(name).note(askedFor, now, err)
	h.countLie(name, err)
	h.catch(name, now, err)
	switch askedFor {
	case forTip: // whether there are blocks to be had above them, covered says
		h.noteBlocks(now, err)
	case forMempool:
		delete(h.idle, forMempool) // whoever was asked had something to be asked for
		ofKind(h.kinds, forMempool).note(now, err)
	}
}

// resume takes up an earlier life's silence: a daemon that is started again and
// again while nobody answers would else never be blind for long enough.
func (h *health) resume(silent time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = silent
}

// noteBlocks takes down whether tips are shown. The silence of an earlier life
// goes on only with a bad answer in this one.
func (h *health) noteBlocks(now time.Time, err error) {
	c := ofKind(h.kinds, forBlocks)
	c.note(now, err)
	if err != nil && !h.silent.IsZero() {
		c.good, c.first = h.silent, h.silent
	}
	h.silent = time.Time{}
}

func (h *health) of(name string) *sight {
	if h.each[name] == nil {
		h.each[name] = &sight{uses: map[string]*condition{}, flaps: h.past[name]}
	}
	return h.each[name]
}

func ofKind(all map[string]*condition, key string) *condition {
	if all[key] == nil {
		all[key] = &condition{}
	}
	return all[key]
}

func (s *sight) note(askedFor string, now time.Time, err error) {
	c := ofKind(s.uses, askedFor)
	if c.old(askedFor, now) {
		*c = condition{good: c.good} // two failures far apart are no stretch of failing
	}
	c.note(now, err)
	if err == nil {
		s.good = now
		return
	}
	s.bad, s.err = now, err
}

// failedOver counts that an explorer did not answer what another was asked
// instead.
func (h *health) failedOver(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of(name).failed++
}

// verdict is one outage to begin or to end.
type verdict struct {
	kind, name string
	out        bool
	since      time.Time
	reason     string
	caught     bool
	times      int // how often it went bad in an outage that is over; 0: not known
}

// judge records the outages that began and ended, and what each explorer
// shows.
func (h *health) judge(ctx context.Context) error {
	position, err := h.store.Position(ctx)
	if err != nil {
		return err
	}
	h.stands(position)
	if err := h.readLate(ctx); err != nil {
		return err
	}
	if err := h.keepQuarantines(ctx); err != nil {
		return err
	}
	if err := h.keepBudgets(ctx); err != nil {
		return err
	}
	if err := h.lookAfterCanary(ctx); err != nil {
		return err
	}
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
	if err := h.noteMempool(ctx); err != nil {
		return err
	}
	if err := h.forgetIdle(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sound = h.now()
	return nil
}

func (h *health) carryOut(ctx context.Context, v verdict) error {
	key := v.kind + " " + v.name
	h.mu.Lock()
	known := h.outages[key]
	h.mu.Unlock()
	if h.untold(v) && known {
		if err := h.writer.ForgetOutage(ctx, v.kind, v.name); err != nil {
			return err
		}
		known = false
	}
	if v.out == known {
		return nil
	}
	err := h.tell(ctx, v)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outages[key] = v.out
	h.toldCaught(v)
	if e := h.each[v.name]; v.kind == "explorer" && e != nil && !v.out {
		e.over = h.now()
	}
	return nil
}

// tell records that an outage begins or is over.
func (h *health) tell(ctx context.Context, v verdict) error {
	if v.out {
		h.log.Warn("outage began", "kind", v.kind, "name", v.name, "reason", v.reason)
		return h.writer.BeginOutage(ctx, v.kind, v.name, v.reason, v.since)
	}
	h.log.Info("outage over", "kind", v.kind, "name", v.name)
	switch v.kind {
	case quietTip: // no more was promised
		return h.writer.ForgetOutage(ctx, v.kind, v.name)
	case "explorer":
		return h.writer.EndFlapping(ctx, v.name, v.times)
	}
	return h.writer.EndOutage(ctx, v.kind, v.name)
}

func (h *health) verdicts() (verdicts []verdict, states []sql.ExplorerState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	best := h.best()
	for name, e := range h.each {
		e.compare(h.height, now)
		v, decided := e.verdict(name, now, h.settings.FailingAfter)
		v, decided = h.worse(name, e, now, v, decided)
		if e.merge(&v, decided, h.outages["explorer "+name], now) {
			verdicts = append(verdicts, v)
		}
		states = append(states, h.stateOf(name, e, now))
		e.failed = 0
	}
	for kind, c := range h.kinds {
		v, decided := c.verdict(kind, now, h.settings.BlindAfter)
		behind := h.lags(best)
		lags := kind == forBlocks && !behind.IsZero()
		if lags && !v.out && now.Sub(behind) >= h.settings.BlindAfter {
			v, decided = verdict{kind: kind, out: true, since: behind, reason: "no new block could be verified: " + h.reason()}, true
		}
		if lags && !v.out && h.outages[kind+" "] {
			continue // answering again, without having caught up
		}
		if kind == forMempool && v.out && h.answers(forMempool, now) && !h.outages[kind+" "] {
			continue // of several that were asked beside each other the last one failed
		}
		if decided {
			verdicts = append(verdicts, v)
		}
	}
	verdicts = append(verdicts, h.tipVerdicts(now, best)...)
	verdicts = append(verdicts, h.backlogVerdict(now)...)
	verdicts = append(verdicts, h.jobVerdicts(now)...)
	verdicts = append(verdicts, h.canaryVerdict()...)
	return append(verdicts, h.deliveryVerdicts(now)...), states
}
