package explorer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

const (
	// historyPasses is how often a history is read from the top while the
	// chain, or a balancer between differing servers, moves under it.
	historyPasses = 4
	// pageTries is how often a page is asked for before a history that has
	// begun is given up: starting over would cost all its pages again.
	pageTries = 4
	// historyPatience is the longest that a history begun waits for a page.
	historyPatience = 2 * time.Minute
)

var (
	errStopped = errors.New("the caller has enough")
	errMoved   = errors.New("the chain moved under the reading")
)

// paged is one reading of one address's history, page by page.
type paged struct {
	asked   *client
	address chain.Address
	told    map[chainhash.Hash]chainhash.Hash // transactions yielded, and in which block
	yield   func([]*chain.Transaction, error) bool
	begun   bool
}

func newPaged(c *client, a chain.Address, yield func([]*chain.Transaction, error) bool) paged {
	return paged{asked: c, address: a, told: map[chainhash.Hash]chainhash.Hash{}, yield: yield}
}

// passes reads a history until one pass comes to its end undisturbed. about is
// the question that an error is told of.
func (r *paged) passes(ctx context.Context, pass func(context.Context) error, about question) {
	for range historyPasses {
		err := pass(ctx)
		switch {
		case err == nil, errors.Is(err, errStopped):
			return
		case !errors.Is(err, errMoved):
			r.yield(nil, err)
			return
		}
	}
	moving := &Error{Kind: ErrUnavailable, Detail: fmt.Sprintf("its chain moved under the reading %d times", historyPasses)}
	r.yield(nil, r.asked.about(about, r.asked.count(moving)))
}

// tell yields what was not told yet, or told of another block.
func (r *paged) tell(page []*chain.Transaction) (more bool) {
	var news []*chain.Transaction
	for _, tx := range page {
		if block, ok := r.told[tx.ID]; !ok || block != tx.Place.Block {
			r.told[tx.ID] = tx.Place.Block
			news = append(news, tx)
		}
	}
	r.begun = true
	return len(news) == 0 || r.yield(news, nil)
}

// patiently asks again, after a while, where a history that has begun would
// otherwise be lost to a passing trouble. The first page is asked for once: the
// caller may have another explorer to turn to.
func patiently[T any](ctx context.Context, r *paged, ask func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		answer, err := ask()
		if err == nil || !r.begun || try == pageTries || ctx.Err() != nil {
			return answer, err
		}
		if !errors.Is(err, ErrRateLimited) && !errors.Is(err, ErrUnavailable) {
			return answer, err
		}
		pause, told := RetryAfter(err)
		if !told {
			pause = time.Second << try
		}
		if pause > historyPatience || r.asked.pace.sleep(ctx, pause) != nil {
			return answer, err
		}
	}
}
