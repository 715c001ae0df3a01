package explorer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// moving is an address whose list moves while it is read page by page.
type moving struct {
	t       *testing.T
	chain   *chaintest.Chain
	wallet  *chaintest.Wallet
	address chain.Address
	asked   int
	mu      sync.Mutex
}

func newMoving(t *testing.T, history int) *moving {
	m := &moving{t: t, chain: chaintest.NewChain()}
	m.chain.MineEmpty(150)
	m.wallet = chaintest.NewWallet(m.chain, "")
	m.address = m.wallet.Address(chain.P2WPKH, 1)
	for n := history; n > 0; n -= 20 { // twenty to a block
		m.chain.History(m.address.Script, min(n, 20))
	}
	return m
}

func (m *moving) pay(n int) (all []chainhash.Hash) {
	for range n {
		tx, err := m.wallet.Pay(m.t.Context(), chaintest.Output{Script: m.address.Script, Value: 40_000})
		if err != nil {
			m.t.Error(err)
			return all
		}
		all = append(all, tx.TxHash())
	}
	return all
}

// open puts an explorer of a kind before a server; move is called before each
// answer about the address, with its number.
func (m *moving) open(kind string, server http.Handler, move func(page int)) *Explorer {
	return openedOn(m.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, m.address.Text) {
			m.mu.Lock()
			m.asked++
			if move != nil {
				move(m.asked)
			}
			m.mu.Unlock()
		}
		server.ServeHTTP(w, r)
	}), kind, &chaincfg.RegressionNetParams)
}

// wantAll reads the history and holds it against the chain as it is then: each
// transaction of the address, last told of the block where it stands.
func (m *moving) wantAll(e *Explorer) { m.t.Helper(); m.wantUpTo(e, nil) }

// wantUpTo demands no more than up to a height; nil: the tip in the end.
func (m *moving) wantUpTo(e *Explorer, top *int32) {
	m.t.Helper()
	last := map[chainhash.Hash]chainhash.Hash{}
	for page, err := range e.Addresses.History(m.t.Context(), m.address) {
		if err != nil {
			m.t.Fatal(err)
		}
		for _, tx := range page {
			last[tx.ID] = tx.Place.Block
		}
	}
	tip, _ := m.chain.Tip()
	if top != nil {
		tip = *top
	}
	count := 0
	for height := int32(0); height <= tip; height++ {
		block := m.chain.BlockAt(height)
		for _, tx := range block.Transactions {
			for _, out := range tx.TxOut {
				if string(out.PkScript) == string(m.address.Script) {
					count++
					if last[tx.TxHash()] != block.BlockHash() {
						m.t.Errorf("a payment at height %d was told of block %s", height, last[tx.TxHash()])
					}
				}
			}
		}
	}
	if len(last) < count || count == 0 {
		m.t.Errorf("%d transactions, there are %d", len(last), count)
	}
}

// §3.3: of what the mempool pushes off the first page some versions show nothing
// on any page. With a height to go up to, the mempool is out of it.
func TestBlockbookHolesBehindTheMempool(t *testing.T) {
	for _, holes := range []bool{true, false} {
		m := newMoving(t, 130)
		open := m.pay(30)
		server := chaintest.NewBlockbook(m.chain, m.chain.Params())
		server.Holes = holes
		e := m.open("blockbook", server, nil)
		m.wantAll(e)
		txs, complete, err := e.Addresses.Mempool(t.Context(), m.address)
		if err != nil || !complete || len(txs) != len(open) {
			t.Errorf("%d of %d unconfirmed, complete %v, %v", len(txs), len(open), complete, err)
		}
	}
}

// §3.3 and regtest/README.md, 3: beyond the last page comes the last again.
func TestBlockbookPageBeyondTheEndIsTheLast(t *testing.T) {
	for _, n := range []int{1, 49, 50, 51, 100, 150} {
		m := newMoving(t, n)
		e := m.open("blockbook", chaintest.NewBlockbook(m.chain, m.chain.Params()), nil)
		m.wantAll(e)
		if most := n/bookPage + 1; m.asked > most {
			t.Errorf("%d transactions took %d pages, want no more than %d", n, m.asked, most)
		}
	}
}

// New blocks shift numbered pages, but not those up to a height.
func TestBlockbookPagesWhileBlocksArrive(t *testing.T) {
	m := newMoving(t, 170)
	top, _ := m.chain.Tip()
	m.wantUpTo(m.open("blockbook", m.server("blockbook"), func(page int) {
		if page > 1 && page < 4 {
			m.chain.History(m.address.Script, 7)
		}
	}), &top)
}

// A reorganisation between two pages takes transactions away from the first and
// lets others slip past: the reading begins again.
func TestPagesOfAnotherChainAreReadAgain(t *testing.T) {
	for _, kind := range []string{"blockbook", "blockchaininfo"} {
		for at := 2; at <= 4; at++ {
			t.Run(fmt.Sprint(kind, " before page ", at), func(t *testing.T) {
				m := newMoving(t, 160)
				left := m.chain.History(m.address.Script, 12)
				m.wantAll(m.open(kind, m.server(kind), func(page int) {
					if page == at {
						m.chain.Reorg(2, left[:2]...)
						for _, tx := range left[2:] {
							m.chain.DropMempool(tx.TxHash())
						}
					}
				}))
			})
		}
	}
}

func (m *moving) server(kind string) http.Handler {
	if kind == "blockbook" {
		return chaintest.NewBlockbook(m.chain, m.chain.Params())
	}
	return chaintest.NewBlockchainInfo(m.chain, m.chain.Params())
}

// §4: pages are counted from the newest transaction on, unconfirmed ones too:
// what arrives shifts them one way, what leaves the mempool the other.
func TestBlockchainInfoPagesShift(t *testing.T) {
	for _, c := range []struct{ arrive, leave int }{{3, 0}, {0, 3}, {0, 5}, {0, 20}, {20, 0}, {2, 20}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			m := newMoving(t, 120)
			open := m.pay(20)
			m.wantAll(m.open("blockchaininfo", m.server("blockchaininfo"), func(page int) {
				if page == 2 {
					m.pay(c.arrive)
					for _, id := range open[:c.leave] {
						m.chain.DropMempool(id)
					}
				}
			}))
		})
	}
}

// A list of exactly as many as there are on a page, one less and one more.
func TestBlockchainInfoPagesEnd(t *testing.T) {
	for _, n := range []int{1, 4, 5, 6, 49, 50, 51, 95, 96, 100} {
		m := newMoving(t, n)
		m.wantAll(m.open("blockchaininfo", m.server("blockchaininfo"), nil))
	}
}

// A page that lists nothing, of an address with transactions, is no history.
func TestCountedAndNotListedIsNoHistory(t *testing.T) {
	m := newMoving(t, 3)
	for kind, list := range map[string]string{"blockbook": "transactions", "blockchaininfo": "txs"} {
		server := m.server(kind)
		e := openedOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kept := httptest.NewRecorder()
			server.ServeHTTP(kept, r)
			body := kept.Body.String()
			if strings.Contains(r.URL.Path, m.address.Text) {
				var page map[string]any
				if err := json.Unmarshal([]byte(body), &page); err != nil {
					t.Error(err)
				}
				page[list] = []any{}
				body = string(asJSON(page))
			}
			w.Write([]byte(body))
		}), kind, &chaincfg.RegressionNetParams)
		all, err := readAll(t.Context(), e, m.address)
		if len(all) != 0 || !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %d transactions, %v", kind, len(all), err)
		}
	}
}

// Without bytes in its answers they are asked for one by one.
func TestBlockbookWithoutBytesIsAskedForThem(t *testing.T) {
	m := newMoving(t, 60)
	m.pay(2)
	server := chaintest.NewBlockbook(m.chain, m.chain.Params())
	server.NoHex = true
	e := m.open("blockbook", server, nil)
	m.wantAll(e)
	if n := server.Faults.Count("/api/v2/tx-specific/*"); n != 60 {
		t.Errorf("bytes asked for %d times", n)
	}
	if txs, _, err := e.Addresses.Mempool(t.Context(), m.address); len(txs) != 2 || err != nil {
		t.Errorf("%d unconfirmed, %v", len(txs), err)
	}
}

// Unconfirmed replacements that pay the same change the signal.
func TestReplacementChangesTheSignal(t *testing.T) {
	for _, kind := range []string{"blockbook", "blockchaininfo"} {
		m := newMoving(t, 2)
		tx, err := m.wallet.Pay(t.Context(), chaintest.Output{Script: m.address.Script, Value: 5_000})
		if err != nil {
			t.Fatal(err)
		}
		e := m.open(kind, m.server(kind), nil)
		before := must(e.Addresses.Counters(t.Context(), m.address))
		must(m.wallet.Replace(t.Context(), tx, chaintest.Output{Script: m.address.Script, Value: 5_000}))
		after := must(e.Addresses.Counters(t.Context(), m.address))
		if before.Unconfirmed != 1 || after.Unconfirmed != 1 || before.Signal == after.Signal {
			t.Errorf("%s: %+v, then %+v", kind, before, after)
		}
	}
}

// As many arrive as leave: nothing shifts and the count is the same, but what
// was read first is of another chain.
func TestPagesOfAnotherChainOfTheSameLength(t *testing.T) {
	m := newMoving(t, 120)
	left := m.chain.History(m.address.Script, 2)
	var others []*wire.MsgTx
	for range left {
		others = append(others, must(m.wallet.Build(t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: m.address.Script, Value: 3_000}}})))
	}
	m.wantAll(m.open("blockbook", m.server("blockbook"), func(page int) {
		if page == 2 {
			m.chain.Reorg(1, others...)
			for _, tx := range left {
				m.chain.DropMempool(tx.TxHash())
			}
		}
	}))
}

// TestBlockchainInfoMovesBetweenQuestions: a block that leaves between the question
// about a transaction and the one about its block makes nobody a liar; a place that
// is stated again and again, and is not so, does.
func TestBlockchainInfoMovesBetweenQuestions(t *testing.T) {
	for _, kind := range []string{"transaction", "history"} {
		m := newMoving(t, 3)
		id := m.pay(1)[0]
		m.chain.MineMempool()
		server, moves := m.server("blockchaininfo"), 0
		e := openedOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			server.ServeHTTP(w, r)
			if moves == 0 && (strings.HasSuffix(r.URL.Path, "/rawtx/"+id.String()) || strings.Contains(r.URL.Path, m.address.Text)) {
				moves++
				m.chain.Reorg(1)
			}
		}), "blockchaininfo", &chaincfg.RegressionNetParams)
		switch kind {
		case "transaction":
			tx, err := e.Transactions.Transaction(t.Context(), id)
			if err != nil || tx.Place != nil {
				t.Errorf("%+v, %v: it is unconfirmed again", tx, err)
			}
		case "history":
			m.wantAll(e)
		}
		if n := e.Pace.Failures()[ErrLying.Error()]; n != 0 || moves != 1 {
			t.Errorf("%s: held to be lying %d times, moved %d times", kind, n, moves)
		}
	}
	m := newMoving(t, 3)
	id := m.pay(1)[0]
	m.chain.MineMempool()
	tip, _ := m.chain.Tip()
	server := m.server("blockchaininfo")
	e := openedOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, r)
		text := strings.ReplaceAll(answer.Body.String(), fmt.Sprintf(`"block_height":%d`, tip), fmt.Sprintf(`"block_height":%d`, tip-1))
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		_, _ = w.Write([]byte(text))
	}), "blockchaininfo", &chaincfg.RegressionNetParams)
	if _, err := e.Transactions.Transaction(t.Context(), id); !errors.Is(err, ErrLying) {
		t.Errorf("a place that is not so: %v", err)
	}
}
