package daemon

import (
	"context"
	"time"
)

// noteMempool keeps when the mempool was seen last, or there was nothing to ask
// about, for the next start to know how long nobody looked.
func (h *health) noteMempool(ctx context.Context) error {
	at := h.sawMempool()
	if at.IsZero() {
		return nil
	}
	return h.store.SaveRun(ctx, forMempool, at)
}

// sawMempool is when that was; zero where it is kept already.
func (h *health) sawMempool() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := time.Time{}
	if seen := h.kinds[forMempool]; seen != nil {
		at = seen.good
	}
	if h.idle[forMempool] {
		at = h.now()
	}
	if at.Sub(h.keptMempool) < keepMempool {
		return time.Time{}
	}
	h.keptMempool = at
	return at
}

// keepMempool is how exact that is.
const keepMempool = 10 * time.Second

// tellStop records for how long nobody was asked about unconfirmed payments
// before this lead, where that is longer than what counts as blindness. Blocks
// are caught up with.
func (l *leader) tellStop(ctx context.Context) error {
	if l.config.Schedule.Mempool == "" {
		return nil
	}
	last, err := l.store.LastRun(ctx, forMempool)
	if err != nil || last.IsZero() {
		return err
	}
	cadence, err := ParseSchedule(l.config.Schedule.Mempool, l.config.Zone)
	if err != nil {
		return err
	}
	if l.Now().Sub(cadence.Next(last)) < l.config.Health.BlindAfter {
		return nil
	}
	told, err := l.writer.RecordStop(ctx, last)
	if told {
		l.Log.Warn("nobody was asked about unconfirmed payments for a while", "since", last.UTC())
	}
	return err
}
