package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// suspect is an explorer that was caught in something false. What it says about
// addresses, transactions and the mempool is neither asked for nor counted until
// a person clears it or it was clean for long enough. Blocks and headers are
// verified here whoever serves them, so it may still give those, after all
// others: the watch must not be blind because the last source once lied.
type suspect struct {
	sql.Quarantine
	probed time.Time // when it was last probed and nothing false seen; zero: not since the last lie, or in this life
	told   bool      // the open outage names the lie
	dirty  bool      // something is not saved yet
	lied   bool      // since it was last judged
	last   string    // what was false last; empty: not since an earlier life
}

// contested is an answer that contradicts a person's word, and not what anybody
// can compute: it may be the person who is wrong.
type contested struct{ error }

func (c contested) Unwrap() error { return c.error }

// provable says whether an answer is false by what it says itself, or by the
// work in the chain: not by the clock of this machine, nor by a person's word.
func provable(err error) bool {
	var word contested
	return errors.Is(err, explorer.ErrLying) && !errors.Is(err, chain.ErrEarly) && !errors.As(err, &word)
}

// countLie counts an answer that was found false when it was held to the chain.
// What shows itself in the answer alone its client has counted.
func (h *health) countLie(name string, err error) {
	var counted *explorer.Error
	if pace := h.asked[name]; pace != nil && provable(err) && !errors.As(err, &counted) {
		pace.Refuted()
	}
}

// catch takes down a lie.
func (h *health) catch(name string, now time.Time, err error) {
	if h.settings.Quarantine == 0 || !provable(err) {
		return
	}
	s := h.suspects[name]
	if s == nil {
		s = &suspect{Quarantine: sql.Quarantine{Explorer: name, Since: now, Reason: words(err)}}
		h.suspects[name] = s
		h.log.Warn("explorer caught in something false, it is in quarantine", "explorer", name, "error", err)
	}
	s.LastLie, s.Clean, s.probed, s.dirty, s.lied, s.last = now, 0, time.Time{}, true, true, words(err)
}

// trusted says whether an explorer's word counts.
func (h *health) trusted(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.suspects[name] == nil
}

// probed takes down that an explorer was probed and nothing false seen. The time
// since the probe before counts as clean, as far as it was watched.
func (h *health) probed(name string, pause time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, now := h.suspects[name], h.now()
	if s == nil {
		return
	}
	if !s.probed.IsZero() {
		s.Clean += max(0, min(now.Sub(s.probed), 2*pause))
	}
	s.probed, s.dirty = now, true
}

// inQuarantine names the explorers that are.
func (h *health) inQuarantine() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := map[string]bool{}
	for name := range h.suspects {
		names[name] = true
	}
	return names
}

// loadQuarantines takes up those of an earlier life.
func (h *health) loadQuarantines(ctx context.Context, open []sql.Outage) error {
	kept, err := h.store.Quarantines(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range kept {
		s := &suspect{Quarantine: q}
		for _, o := range open {
			s.told = s.told || o.Kind == "explorer" && o.Name == q.Explorer && !o.At.Before(q.Since)
		}
		if before := h.suspects[q.Explorer]; before != nil && !q.LastLie.After(before.LastLie) { // as another daemon may have led meanwhile
			s.LastLie, s.Clean, s.probed, s.dirty = before.LastLie, before.Clean, before.probed, true
		}
		if h.settings.Quarantine > 0 {
			h.suspects[q.Explorer] = s
		}
	}
	return nil
}

// keepQuarantines records who was caught and who is clean by now, and takes up
// whom a person cleared.
func (h *health) keepQuarantines(ctx context.Context) error {
	kept, err := h.store.Quarantines(ctx)
	if err != nil {
		return err
	}
	lasts := map[int64]bool{}
	for _, q := range kept {
		lasts[q.ID] = true
	}
	for name, s := range h.suspected() {
		switch {
		case s.ID != 0 && !lasts[s.ID]:
			h.cleared(name, s)
		case s.Clean >= h.settings.Quarantine:
			h.log.Info("explorer was clean for long enough, its quarantine is over", "explorer", name, "since", s.Since)
			if err = h.writer.EndQuarantine(ctx, name); err == nil {
				h.release(name, s)
			}
		case s.dirty:
			err = h.keepQuarantine(ctx, name, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// suspected is a copy of them all.
func (h *health) suspected() map[string]suspect {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]suspect{}
	for name, s := range h.suspects {
		all[name] = *s
	}
	return all
}

func (h *health) keepQuarantine(ctx context.Context, name string, s suspect) error {
	q := s.Quarantine
	if q.ID == 0 {
		var err error
		if q, err = h.writer.BeginQuarantine(ctx, q); err != nil {
			return err
		}
	}
	if err := h.store.SaveClean(ctx, q); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.suspects[name]; now != nil {
		now.ID, now.lied = q.ID, now.LastLie != s.LastLie
		now.dirty = now.lied || now.probed != s.probed
	}
	return nil
}

// cleared takes up that a person trusts an explorer again. What it said that is
// false since it was last judged begins another quarantine.
func (h *health) cleared(name string, s suspect) {
	h.log.Info("quarantine cleared", "explorer", name, "since", s.Since)
	h.release(name, s)
}

// release trusts an explorer again, as it was judged: its lies are forgotten, its
// failures not. What it said that is false since begins another quarantine.
func (h *health) release(name string, judged suspect) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.suspects[name]; s != nil && (judged.lied || s.LastLie != judged.LastLie) {
		again := sql.Quarantine{Explorer: name, Since: s.LastLie, Reason: s.last, LastLie: s.LastLie}
		if again.Reason == "" {
			again.Reason = s.Reason // of an earlier life, which kept no other
		}
		h.suspects[name] = &suspect{Quarantine: again, dirty: true, last: s.last}
		return
	}
	delete(h.suspects, name)
	h.freed[name] = h.now()
	if e := h.each[name]; e != nil {
		for askedFor, c := range e.uses {
			if errors.Is(c.err, explorer.ErrLying) {
				delete(e.uses, askedFor)
			}
		}
	}
}

// believedSince is when an explorer came out of quarantine last: what it said
// before that is held against it no more. Zero: it was in none.
func (h *health) believedSince(name string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.freed[name]
}

// worse is the verdict on an explorer where it is worse than its answers alone:
// it was caught, or it shows an old chain.
func (h *health) worse(name string, e *sight, now time.Time, v verdict, decided bool) (verdict, bool) {
	if s := h.suspects[name]; s != nil {
		return verdict{kind: "explorer", name: name, out: true, since: s.Since, reason: s.Reason, caught: true}, true
	}
	if !v.out && h.stale(e, now) {
		return verdict{kind: "explorer", name: name, out: true, since: e.tipSince, reason: e.staleWords(h.height, now)}, true
	}
	return v, decided
}

// untold says whether an open outage has to be told anew, because the explorer
// was caught since.
func (h *health) untold(v verdict) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.suspects[v.name]
	return v.out && v.caught && s != nil && !s.told
}

// toldCaught takes down that people know.
func (h *health) toldCaught(v verdict) {
	if s := h.suspects[v.name]; s != nil && v.caught {
		s.told = v.out
	}
}

// errNotBegun says why nobody is asked about the mempool yet.
var errNotBegun = errors.New("following has no start yet, and addresses join the watch with it")

// errNobodyAble and errNobodyTrusted say why nobody can be asked about addresses.
var errNobodyAble = errors.New("no explorer is configured that can be asked about addresses: add one, or set mempool = \"\" and history = \"\" under [schedule]")
var errNobodyTrusted = errors.New("no explorer that can be asked about addresses is trusted: btcwatch explorers list shows why")

// nobody is a round in which there was nobody to ask.
func (a *asker) nobody() error {
	why := errNobodyAble
	for _, e := range a.explorers {
		if e.Addresses != nil {
			why = errNobodyTrusted
		}
	}
	a.health.nobodyToAsk(forMempool, why)
	return why
}

// nobodyToAsk takes down that there was something to ask for, and nobody whose
// word counts.
func (h *health) nobodyToAsk(kind string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.idle, kind)
	ofKind(h.kinds, kind).note(h.now(), err)
}

// unlinked says whether an explorer lies that gave a block which does not follow
// what it shows below: it is asked again, for its chain may have been
// reorganised between two questions.
func (f *follower) unlinked(ctx context.Context, e shown, tip chain.Tip, why error) error {
	f.forgetList(e.Name)
	_, again := f.verified(ctx, e.Explorer, tip)
	below, err := f.shownAt(ctx, e, tip.Height)
	if err == nil && below == tip.Hash && errors.Is(again, chain.ErrUnlinked) {
		return badAnswer(e.Name, fmt.Sprintf("block %d", tip.Height+1), why)
	}
	return fmt.Errorf("%w: %s changed its chain while it was asked for block %d", explorer.ErrUnavailable, e.Name, tip.Height+1)
}

// sharesOurs says whether an explorer shows the chain that is followed here at a
// height: then nothing of another block there can be true. One that follows
// another chain may be right, and ours wrong.
func (a *asker) sharesOurs(ctx context.Context, e *explorer.Explorer, height int32) bool {
	if e.Chain == nil {
		return false
	}
	ours, known, err := a.store.ChainHash(ctx, height)
	if err != nil || !known {
		return false
	}
	theirs, err := e.Chain.BlockHash(ctx, height)
	a.beat()
	return err == nil && theirs == ours
}

// blamePlace notes that explorers placed a payment where it does not stand.
func (p *past) blamePlace(ctx context.Context, names []string, u *sql.Unproven, why error) {
	for _, e := range p.explorers {
		if slices.Contains(names, e.Name) {
			said := why
			if u.Said != u.Block() && !p.sharesOurs(ctx, e, u.Height) {
				said = contested{why}
			}
			p.caught(e, badAnswer(e.Name, fmt.Sprintf("place of %s", u.Msg.TxHash()), said))
		}
	}
}

// believed leaves out of those that show tips who is in quarantine. Where nobody
// else is left it is one of them alone, so that nothing looks agreed upon.
func (h *health) believed(seen []shown) []shown {
	bad := h.inQuarantine()
	var kept []shown
	for _, e := range seen {
		if !bad[e.Name] {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 && len(seen) > 0 {
		return seen[:1]
	}
	return kept
}

// quarantinedLast puts explorers in quarantine behind all others.
func (h *health) quarantinedLast(seen []shown) []shown {
	bad := h.inQuarantine()
	var first, last []shown
	for _, e := range seen {
		if bad[e.Name] {
			last = append(last, e)
		} else {
			first = append(first, e)
		}
	}
	return append(first, last...)
}
