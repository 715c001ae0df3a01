package explorer

import (
	"context"
	"sync"

	"btcwatch/chain"
)

// statuses is what a server told on its feed of histories: for each script, by
// the protocol's hash of it, the last status.
type statuses struct {
	mu   sync.Mutex
	last map[string]string
}

func (s *statuses) set(script, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[string]string{}
	}
	s.last[script] = status
}

func (s *statuses) get(script string) (status string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, known = s.last[script]
	return status, known
}

// correct puts a status in the place of one that turned out to be old, unless
// the server has told of another one since.
func (s *statuses) correct(script, old, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, known := s.last[script]; known && now == old {
		s.last[script] = status
	}
}

func (s *statuses) drop(script string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, script)
}

func (s *statuses) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.last)
}

// borneOut holds a list against the status that the server told of it, and gives
// the list to go by. What was told may be older than the list, or later: where
// they differ the server is asked, for the status, the list, and the status
// again. Only where that stays as it was on one connection, and is not that of
// the list between, does the server contradict itself.
func (e electrum) borneOut(ctx context.Context, a chain.Address, list listing) (listing, error) {
	told, known := e.told.get(scriptHash(a.Script))
	if !known || !list.canonical() || list.has(told) {
		return list, nil
	}
	line := e.client.lines.opened.Load()
	before, err := e.status(ctx, a)
	if err != nil {
		return list, err
	}
	if list, err = e.list(ctx, "counters", a); err != nil || !list.canonical() {
		return list, err
	}
	if list.has(before) { // a feed that is deaf costs this once
		e.told.correct(scriptHash(a.Script), told, before)
		return list, nil
	}
	after, err := e.status(ctx, a)
	if err != nil || after != before || e.client.lines.opened.Load() != line {
		return list, err
	}
	return listing{}, e.client.about(question{words: "counters of " + a.Text},
		e.client.count(lying("the status that it gives of the history is not that of the history it lists")))
}

// status asks for the status of a history. The server takes it for a wish to be
// told of further ones; what it tells on this connection is passed over.
func (e electrum) status(ctx context.Context, a chain.Address) (string, error) {
	q := question{words: "status of " + a.Text, limit: textLimit, calls: []call{{wishScript, []any{scriptHash(a.Script)}}}}
	return ask(ctx, e.client, q, func(body []byte) (string, error) {
		return readNullable(body, e.refusal(q), readStatus)
	})
}
