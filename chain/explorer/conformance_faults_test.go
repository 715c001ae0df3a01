package explorer

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// inquiry is a question of the kit's scene.
type inquiry struct {
	name string
	ask  func(ctx context.Context, e *Explorer) (any, error)
}

// inquiries gives every question that an explorer can be asked, each of which
// has more than nothing for an answer.
func inquiries(s *scene, e *Explorer) (all []inquiry) {
	add := func(name string, ask func(ctx context.Context, e *Explorer) (any, error)) {
		all = append(all, inquiry{name, ask})
	}
	if e.Chain != nil {
		add("Tip", func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.Tip(ctx) })
		add("BlockHash", func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.BlockHash(ctx, s.paidAt) })
	}
	if e.Blocks != nil {
		add("Block", func(ctx context.Context, e *Explorer) (any, error) { return e.Blocks.Block(ctx, s.blockAt(s.paidAt)) })
	}
	if e.Headers != nil {
		add("Headers", func(ctx context.Context, e *Explorer) (any, error) {
			return e.Headers.Headers(ctx, 100, s.blockAt(100))
		})
	}
	if e.Addresses != nil {
		add("Counters", func(ctx context.Context, e *Explorer) (any, error) { return e.Addresses.Counters(ctx, s.busy) })
		add("History", func(ctx context.Context, e *Explorer) (any, error) { return readAll(ctx, e, s.busy) })
		add("Mempool", func(ctx context.Context, e *Explorer) (any, error) {
			txs, complete, err := e.Addresses.Mempool(ctx, s.busy)
			if err != nil && complete {
				return "complete", err
			}
			return txs, err
		})
	}
	if e.Transactions != nil {
		add("Transaction", func(ctx context.Context, e *Explorer) (any, error) {
			return e.Transactions.Transaction(ctx, s.paid.TxHash())
		})
	}
	if e.Spends != nil {
		add("Spends", func(ctx context.Context, e *Explorer) (any, error) { return e.Spends.Spends(ctx, s.paid.TxHash()) })
	}
	if e.Proofs != nil {
		add("Branch", func(ctx context.Context, e *Explorer) (any, error) {
			return e.Proofs.Branch(ctx, s.paid.TxHash(), s.paidAt)
		})
		add("Coinbase", func(ctx context.Context, e *Explorer) (any, error) {
			return e.Proofs.Coinbase(ctx, s.blockAt(s.paidAt), s.paidAt)
		})
	}
	if e.Prices != nil {
		add("Price", priceAt(time.Time{}))
		add("Price of then", priceAt(time.Unix(1_500_000_000, 0)))
	}
	return all
}

// refused demands an error of one of these kinds, with nothing in hand.
func refused(t *testing.T, what string, got any, err error, kinds ...error) {
	t.Helper()
	if got != nil && !reflect.ValueOf(got).IsZero() {
		t.Errorf("%s: gave %v", what, got)
	}
	if !slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) }) {
		t.Errorf("%s: %v, want one of %v", what, err, kinds)
	}
}

func TestKindsThatAreAskedTooOften(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		for _, q := range inquiries(s, of.open(t, s, &badWire{})) {
			w := &badWire{}
			e := of.open(t, s, w)
			if _, err := q.ask(t.Context(), e); err != nil {
				t.Errorf("%s: %v", q.name, err)
			}
			w.limit()
			got, err := q.ask(t.Context(), e)
			refused(t, q.name, got, err, ErrRateLimited)
			if pause, ok := RetryAfter(err); !ok || pause <= 0 || e.Pace.PausedUntil().IsZero() {
				t.Errorf("%s: nobody says for how long to leave it alone: %v", q.name, err)
			}
			sent := e.Pace.Requests()
			got, err = q.ask(t.Context(), e)
			refused(t, q.name, got, err, ErrRateLimited)
			if e.Pace.Requests() != sent {
				t.Errorf("%s: asked again though it wants to be left alone", q.name)
			}
			if n := e.Pace.Failures()[ErrRateLimited.Error()]; n != 1 {
				t.Errorf("%s: counted %v", q.name, e.Pace.Failures())
			}
		}
	})
}

// Whatever an answer is spoilt to, it is never read as none.
func TestKindsThatAnswerNonsense(t *testing.T) {
	nonsense := map[string]func(string) string{
		"nothing":     func(string) string { return "" },
		"a web page":  func(string) string { return webPage },
		"null":        func(string) string { return "null" },
		"an object":   func(string) string { return "{}" },
		"a number":    func(string) string { return "-1" },
		"half of it":  func(s string) string { return ifLong(s, s[:len(s)/2]) },
		"it twice":    func(s string) string { return ifLong(s, s+s) },
		"a bit wrong": func(s string) string { return ifLong(s, "x"+s[1:]) },
		"numbers as text": func(s string) string {
			return ifLong(s, aNumber.ReplaceAllString(s, `:"x$1"`))
		},
	}
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		for _, q := range inquiries(s, of.open(t, s, &badWire{})) {
			for name, spoil := range nonsense {
				w := &badWire{}
				e := of.open(t, s, w)
				w.lie(nil, spoil)
				got, err := q.ask(t.Context(), e)
				if w.spoils() == 0 {
					continue
				}
				refused(t, q.name+", "+name, got, err, ErrMalformed, ErrLying, ErrUnavailable)
				if err != nil && strings.Contains(err.Error(), "evil") {
					t.Errorf("%s: passes on the explorer's text: %v", q.name, err)
				}
				if len(e.Pace.Failures()) != 1 {
					t.Errorf("%s, %s: counted %v", q.name, name, e.Pace.Failures())
				}
			}
		}
	})
}

// ifLong spoils only an answer that can be seen to be spoilt: a height cut off
// is another height, which only looks like lagging.
func ifLong(answer, spoilt string) string {
	if len(answer) < 30 {
		return answer
	}
	return spoilt
}

// The lies that one explorer's answer gives away by itself.
func TestKindsThatLie(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		can := inquiries(s, of.open(t, s, &badWire{}))
		root := s.chain.BlockAt(95).Header.MerkleRoot
		if of.oneHeader {
			root = s.chain.BlockAt(100).Header.MerkleRoot
		}
		for _, lie := range []struct {
			about   string // the question
			name    string
			asks    []string
			answers []string
		}{
			{"Transaction", "another transaction", hashes(s.paid.TxHash(), s.spent.TxHash()), nil},
			{"Transaction", "another amount", nil, amounts(paidValue, paidValue+1)},
			{"Transaction", "another script", nil, addresses(s.busy, s.empty)},
			{"History", "another address's history", addresses(s.busy, s.long), nil},
			{"History", "another amount", nil, amounts(paidValue, paidValue+1)},
			{"History", "another script", nil, addresses(s.busy, s.empty)},
			{"Mempool", "another address's", addresses(s.busy, s.long), nil},
			{"Mempool", "another amount", nil, amounts(777_777, 777_778)},
			{"Block", "another block", hashes(s.blockAt(s.paidAt), s.blockAt(s.spentAt)), nil},
			{"Headers", "another Merkle root", nil, hashes(root, chainhash.Hash{5})},
		} {
			i := slices.IndexFunc(can, func(q inquiry) bool { return q.name == lie.about })
			if i < 0 {
				continue
			}
			w := &badWire{}
			e := of.open(t, s, w)
			w.lie(instead(lie.asks...), instead(lie.answers...))
			got, err := can[i].ask(t.Context(), e)
			refused(t, lie.about+", "+lie.name, got, err, ErrLying, ErrMalformed)
			if lie.asks != nil && !errors.Is(err, ErrLying) {
				t.Errorf("%s, %s: %v, which does not call it a lie", lie.about, lie.name, err)
			}
		}
	})
}
