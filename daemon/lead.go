package daemon

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"btcwatch/alerts"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// lead does the leader's work until the context ends or the lead is lost.
func (w *watch) lead(ctx context.Context, lead *sql.Lead) error {
	defer w.pulse.clear()
	writer := w.store.Writer(lead, w.config.Telling(), w.wakeAll)
	l := &leader{watch: w, writer: writer, health: w.resumeHealth(writer)}
	l.health.watches(w.config, w.pulse)
	l.short = newShortfall()
	l.hold = newHold(w.store, holdPause(w.config), w.Now)
	l.ancestors = l.newAncestors()
	l.mempool = l.asker("mempool")
	if err := l.prepare(ctx); err != nil {
		return err
	}
	defer l.settleDisclosures(ctx)
	jobs, err := l.schedule(ctx)
	if err != nil {
		return err
	}
	w.Notify("READY=1\nSTATUS=watching")
	w.standing.set(leading, l.health)
	defer w.standing.set(starting, nil)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { jobs.run(ctx); return ctx.Err() })
	group.Go(guarded(func() error { return l.holdLead(ctx, lead) }))
	for _, work := range l.loops() {
		group.Go(guarded(func() error { return l.every(ctx, work.name, work.pause, work.round) }))
	}
	for _, d := range w.deliverers(writer) {
		group.Go(guarded(func() error { return d.run(ctx) }))
	}
	for _, h := range l.hintListeners(jobs) {
		group.Go(func() error { return h.run(ctx) })
	}
	if w.config.Canary.Address != nil {
		end := w.canaryDeliverer(writer)
		group.Go(guarded(func() error { return end.run(ctx) }))
	}
	if w.config.Heartbeat.URL != "" {
		group.Go(guarded(func() error { return w.heartbeat().run(ctx) }))
	}
	return group.Wait()
}

// loop is work that is done again and again beside the schedule.
type loop struct {
	name  string
	pause time.Duration // between two rounds
	round func(context.Context) error
}

// sumsPause is how often it is looked for messages that are to be summed up.
const sumsPause = time.Minute

func (l *leader) loops() []loop {
	all := []loop{
		{"disclosures", flushPause, l.flushDisclosures},
		{"list", fillPause, l.tellList},
		{"sums", sumsPause, l.writer.TellSums},
		{"ancestors", ancestorsPause, l.ancestors.round},
		{"failures", failuresPause, l.newFailures().save},
		{"health", l.judgePause(), l.health.judge},
	}
	if clean := l.config.Health.Quarantine; clean > 0 {
		probe := prober{l.witnesses("probe"), l.config.Network, probePause(clean)}
		all = append(all, loop{"probe", probe.pause, probe.round})
	}
	if grace := l.config.Health.DisagreeAfter; grace > 0 {
		agree := newAgreement(l.witnesses("agree"), l.mempool, grace)
		all = append(all, loop{"agree", min(agreePause, grace/4), agree.round})
	}
	return append(append(all, l.rateLoops()...), l.askingLoops()...)
}

// askingLoops are those that ask about addresses and their payments beside the
// rounds that are scheduled.
func (l *leader) askingLoops() (all []loop) {
	if l.config.Schedule.Mempool != "" || l.config.Schedule.History != "" {
		all = append(all,
			loop{"fill", fillPause, l.asker("fill").fillRound},
			loop{"second", secondPause, newSecond(l.asker("second")).round},
			loop{"past", pastPause, newPast(l.asker("past"), l.config.Network).round})
	}
	if l.config.Schedule.Mempool != "" {
		after := l.config.Alerts.DroppedAfter
		all = append(all, loop{"missing", min(missingPause, after/4), newMissing(l.asker("missing"), after).round})
	}
	return all
}

func (w *watch) heartbeat() *heartbeat {
	return &heartbeat{
		settings: w.config.Heartbeat, agent: "btcwatch/" + w.Version, now: w.Now, log: w.Log, beats: &w.beats,
		well: func(ctx context.Context) bool { return w.truth(ctx).Ready },
	}
}

// leader is the work of the one daemon that records.
type leader struct {
	*watch
	writer *sql.Writer
	health *health
	hold   *hold
	short  *shortfall

	ancestors *ancestors
	mempool   *asker
	listRest  time.Time // before then changes of the list are not looked for
}

// Pauses of the leader's loops that are not on the schedule.
const (
	fillPause    = 2 * time.Second  // between looks for addresses without a history, and for changes of the list
	leadPause    = 2 * time.Second  // between questions whether the lead still stands
	listPatience = 30 * time.Second // and for each of them beside
	listPause    = 3 * time.Minute  // how long a change of the list waits for its histories before it is told
	leadAnswer   = 20 * time.Second // how long the database may take to answer that

	reportPause = 5 * time.Minute // between tries to record the daily report
)

// prepare brings the database in line with the configuration.
func (l *leader) prepare(ctx context.Context) error {
	if err := l.writer.FreeClaims(ctx); err != nil {
		return err
	}
	if err := l.store.SetExplorers(ctx, l.config.Explorers); err != nil {
		return err
	}
	if err := l.takeUpPrivacy(ctx); err != nil {
		return err
	}
	if err := l.takeUpFiat(ctx); err != nil {
		return err
	}
	changed, err := l.store.SyncConfig(ctx, l.config.Watch)
	if err != nil {
		return err
	}
	if changed.Import != 0 {
		l.Log.Info("watch list changed", "added", changed.Added, "changed", changed.Changed, "retired", changed.Retired)
	}
	if err := l.writer.GiveUpUnconfigured(ctx); err != nil {
		return err
	}
	if err := l.tellStop(ctx); err != nil {
		return err
	}
	if err := l.health.resumeBudgets(ctx, l.explorers); err != nil {
		return err
	}
	if err := l.tellCanary(ctx); err != nil {
		return err
	}
	return l.health.load(ctx, l.config.Explorers)
}

func (l *leader) schedule(ctx context.Context) (*scheduler, error) {
	jobs := newSchedule(l.config.Zone, l.Log, l.Now)
	jobs.onPanic = l.health.panicked
	follow := l.follower()
	s := l.config.Schedule
	for _, job := range []struct {
		name, expr string
		do         func(context.Context) error
	}{
		{"blocks", s.Blocks, follow.round},
		{"mempool", s.Mempool, l.withCanary(l.mempool.mempoolRound)},
		{"history", s.History, l.asker("history").historyRound},
		{"report", s.Report, l.report},
	} {
		if err := l.add(ctx, jobs, job.name, job.expr, job.do); err != nil {
			return nil, err
		}
	}
	return jobs, l.addFeeds(ctx, jobs)
}

func (l *leader) follower() *follower {
	return &follower{
		store: l.store, writer: l.writer, explorers: l.explorers, params: l.config.Network, start: l.config.Start,
		health: l.health, beat: func() { l.pulse.beat("blocks") }, now: l.Now, log: l.Log, began: l.Now(),
		ancestors: l.ancestors, compared: map[string]string{}, weighed: map[string]weight{}, turns: newTurns(), told: l.Progress,
	}
}

func (l *leader) newAncestors() *ancestors {
	return &ancestors{
		store: l.store, writer: l.writer, explorers: l.explorers, params: l.config.Network, health: l.health,
		beat: func() { l.pulse.beat("ancestors"); l.pulse.beat("blocks") }, now: l.Now, log: l.Log,
	}
}

func (l *leader) asker(job string) *asker {
	return &asker{
		store: l.store, writer: l.writer, explorers: l.privacy.askers(l.explorers), health: l.health, hold: l.hold, short: l.short,
		beat: func() { l.pulse.beat(job) }, now: l.Now, log: l.Log,
	}
}

// witnesses is an asker of all explorers, also of those that may hear nothing:
// for work that asks these only for what does not depend on what is watched. The
// guard has taken from them what else they could be asked.
func (l *leader) witnesses(job string) *asker {
	a := l.asker(job)
	a.explorers = l.explorers
	return a
}

// holdPause is how long the follower may take to prove what an explorer says
// is confirmed before it is recorded as reported.
func holdPause(config *Config) time.Duration {
	if config.Schedule.Blocks == "" {
		return 0
	}
	return min(2*time.Minute, config.Health.BlindAfter)
}

// add puts a job on the schedule that notes its runs. Those that a database
// without them never had are not overdue, but for blocks and mempool.
func (l *leader) add(ctx context.Context, jobs *scheduler, name, expr string, do func(context.Context) error) error {
	if expr == "" {
		return nil
	}
	last, err := l.store.LastRun(ctx, name)
	if err != nil {
		return err
	}
	if name == "blocks" || name == "mempool" {
		last = time.Time{} // at once
	} else if last.IsZero() {
		last = l.Now()
		if err := l.store.SaveRun(ctx, name, last); err != nil {
			return err
		}
	}
	cadence, err := ParseSchedule(expr, l.config.Zone)
	if err != nil {
		return err
	}
	if name == "mempool" {
		l.mempool.until = cadence.Next
	}
	l.pulse.expect(name, cadence.Next(l.Now()))
	return jobs.add(name, expr, last, func(ctx context.Context) {
		l.pulse.begin(name)
		defer func() { l.pulse.end(name, cadence.Next(l.Now())) }()
		if name == "history" { // the report notes when it is recorded
			if err := l.store.SaveRun(ctx, name, l.Now()); err != nil {
				l.failed(ctx, name, err)
				return
			}
		}
		if err := l.rounds.time(name, func() error { return do(ctx) }); err != nil {
			l.failed(ctx, name, err)
		}
	})
}

func (l *leader) failed(ctx context.Context, job string, err error) {
	if ctx.Err() == nil {
		l.Log.Error("round failed", "job", job, "error", err)
	}
}

// every does work again and again with a pause between.
func (l *leader) every(ctx context.Context, name string, pause time.Duration, work func(context.Context) error) error {
	for ctx.Err() == nil {
		l.pulse.begin(name)
		err := l.rounds.time(name, guarded(func() error { return work(ctx) }))
		l.pulse.end(name, l.Now().Add(pause))
		if err != nil {
			l.failed(ctx, name, err)
		}
		sleep(ctx, pause)
	}
	return ctx.Err()
}

// judgePause is how often health is judged: often enough for the shortest
// time configured.
func (l *leader) judgePause() time.Duration {
	shortest := min(l.config.Health.FailingAfter, l.config.Health.BlindAfter)
	if l.config.Health.NoBlockAfter > 0 {
		shortest = min(shortest, l.config.Health.NoBlockAfter)
	}
	return min(max(shortest/5, 500*time.Millisecond), 10*time.Second)
}

// tellList tells of changes of the list. It does not wait for the reading of
// histories, which may take as long as an explorer likes.
func (l *leader) tellList(ctx context.Context) error {
	if l.Now().Before(l.listRest) {
		return nil
	}
	began := time.Now()
	_, err := l.writer.TellImports(ctx, listPause, listPatience)
	// What is missing of a list of a million is not counted again and again.
	l.listRest = l.Now().Add(20 * time.Since(began))
	return err
}

// holdLead returns as soon as the lead is lost.
func (l *leader) holdLead(ctx context.Context, lead *sql.Lead) error {
	for {
		sleep(ctx, leadPause)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		asking, cancel := context.WithTimeout(ctx, leadAnswer)
		err := lead.Held(asking)
		cancel()
		if err != nil {
			return err
		}
	}
}

// report records the daily report, and tries until it is recorded: a day
// without one says that the watch is dead.
func (l *leader) report(ctx context.Context) error {
	for {
		began := l.Now()
		err := guarded(func() error { return l.tellDaily(ctx, began) })()
		if err == nil {
			return l.store.SaveRun(ctx, "report", began)
		}
		l.failed(ctx, "report", err)
		l.pulse.beat("report")
		sleep(ctx, reportPause)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (l *leader) tellDaily(ctx context.Context, now time.Time) error {
	server, err := l.store.ServerVersion(ctx)
	if err != nil {
		return err
	}
	round, err := l.roundLengths(ctx)
	if err != nil {
		return err
	}
	return l.writer.TellDaily(ctx, sql.Daily{
		Date: now.In(l.config.Zone).Format(time.DateOnly), Round: round,
		Versions: []string{"btcwatch " + l.Version, "PostgreSQL " + server},
	})
}

// roundLengths says how long a mempool round really takes at each explorer's
// pace, when nothing has changed: one question an address, shared among all.
func (l *leader) roundLengths(ctx context.Context) (map[string]time.Duration, error) {
	questions, err := l.store.Questions(ctx)
	if err != nil {
		return nil, err
	}
	return RoundLengths(l.config, len(questions)), nil
}

// deliverers gives one for each channel that this daemon serves. Standing by it
// leaves what is bound to this machine to the leader.
func (w *watch) deliverers(writer *sql.Writer) []*deliverer {
	var all []*deliverer
	for _, c := range w.channels {
		if writer == nil && alerts.Local(c.settings) {
			continue
		}
		all = append(all, &deliverer{
			name: c.settings.Name, channel: c.channel, store: w.store.Queue, writer: writer, zone: w.config.Zone,
			wake: c.wake, log: w.Log, pulse: w.pulse, failing: writer != nil,
		})
	}
	return all
}

// standBy shares the deliveries until it is told to stop.
func (w *watch) standBy(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group errgroup.Group
	for _, d := range w.deliverers(nil) {
		group.Go(guarded(func() error { return d.run(ctx) }))
	}
	return func() {
		cancel()
		_ = group.Wait() // deliverers log their own errors
	}
}

// RoundLengths says how long a mempool round over so many addresses takes at
// the configured paces: the addresses are shared among the explorers that can be
// asked about them, and each takes what its pace and its budget allow. It is at least what the schedule says.
func RoundLengths(config *Config, addresses int) map[string]time.Duration {
	var total float64 // requests a second, all together
	free := false
	asked := slices.DeleteFunc(slices.Clone(config.Explorers), func(e explorer.Settings) bool {
		return !config.Hears(e) || !explorer.HasAddresses(e.Kind, config.Network)
	})
	for _, e := range asked {
		total += e.AddressesPerSecond()
		free = free || e.AddressesPerSecond() == 0
	}
	round := map[string]time.Duration{}
	for _, e := range asked {
		if !free && total > 0 {
			round[e.Name] = time.Duration(float64(addresses) / total * float64(time.Second))
		}
	}
	return round
}
