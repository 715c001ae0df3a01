package explorer

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

// inclusionBy puts together what proves a transaction, as its three answers say.
func inclusionBy(t *testing.T, e *Explorer, id, block chainhash.Hash, height int32) (*chain.Inclusion, error) {
	t.Helper()
	placed, err := e.Proofs.Branch(t.Context(), id, height)
	if err != nil {
		return nil, err
	}
	if placed.Height != height {
		return nil, errors.New("placed elsewhere")
	}
	coinbase, err := e.Proofs.Coinbase(t.Context(), block, height)
	if err != nil {
		return nil, err
	}
	beside, err := e.Proofs.Branch(t.Context(), coinbase.TxHash(), height)
	if err != nil {
		return nil, err
	}
	return &chain.Inclusion{Branch: placed.Branch, Coinbase: coinbase, CoinbaseSiblings: beside.Branch.Siblings}, nil
}

func TestKindsProve(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Proofs == nil {
			t.Skip("gives no proofs")
		}
		for _, height := range []int32{1, s.paidAt, s.spentAt, s.place(t, s.history[0].TxHash()).Height} {
			block := s.chain.BlockAt(height)
			for _, tx := range block.Transactions {
				in, err := inclusionBy(t, e, tx.TxHash(), block.BlockHash(), height)
				if err == nil {
					err = in.Check(tx, &block.Header, height, len(block.Transactions), &chaincfg.RegressionNetParams)
				}
				if err != nil {
					t.Errorf("%s in block %d: %v", tx.TxHash(), height, err)
				}
			}
		}
		for name, id := range map[string]chainhash.Hash{"unconfirmed": s.pending.TxHash(), "no transaction": {7}} {
			if got, err := e.Proofs.Branch(t.Context(), id, s.paidAt); got != nil || !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		for _, height := range []int32{s.paidAt, s.height() + 5} {
			if got, err := e.Proofs.Coinbase(t.Context(), chainhash.Hash{7}, height); got != nil || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrRefused) {
				t.Errorf("of no block at %d: %v, %v", height, got, err)
			}
		}
		// Looked for in the wrong block it is in the right one, or in none.
		if got, err := e.Proofs.Branch(t.Context(), s.paid.TxHash(), s.spentAt); err == nil && got.Height != s.paidAt || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("at another height: %+v, %v", got, err)
		}
	})
}

// A lie about where a transaction stands is refused, or does not lead to the
// block's Merkle root.
func TestKindsThatLieAboutPlaces(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		if of.open(t, s, &badWire{}).Proofs == nil {
			t.Skip("gives no proofs")
		}
		block := s.chain.BlockAt(s.paidAt)
		coinbase := block.Transactions[0]
		for name, lie := range map[string]struct{ asks, answers []string }{
			"another sibling":                  {nil, hashes(coinbase.TxHash(), s.spent.TxHash())},
			"another place":                    {nil, []string{`"pos":1`, `"pos":0`}},
			"another height":                   {nil, []string{`"block_height":` + strconv.Itoa(int(s.paidAt)), `"block_height":` + strconv.Itoa(int(s.spentAt))}},
			"another transaction's branch":     {hashes(s.paid.TxHash(), s.spent.TxHash()), nil},
			"another block's coinbase":         {hashes(block.BlockHash(), s.blockAt(s.spentAt)), nil},
			"another transaction for coinbase": {nil, []string{coinbase.TxHash().String(), s.paid.TxHash().String()}},
		} {
			w := &badWire{}
			e := of.open(t, s, w)
			var misled atomic.Bool
			w.lie(func(asked string) string {
				other := instead(lie.asks...)(asked)
				if other != asked {
					misled.Store(true)
				}
				return other
			}, instead(lie.answers...))
			in, err := inclusionBy(t, e, s.paid.TxHash(), block.BlockHash(), s.paidAt)
			if err == nil {
				err = in.Check(s.paid, &block.Header, s.paidAt, len(block.Transactions), &chaincfg.RegressionNetParams)
			}
			if err == nil && (w.spoils() > 0 || misled.Load()) {
				t.Errorf("%s: believed", name)
			}
			if lie.answers != nil && w.spoils() == 0 {
				t.Errorf("%s: nothing was told falsely", name)
			}
		}
	})
}

// The recorded answer of an Electrum server, from the protocol's documentation.
func TestRecordedProofOfElectrum(t *testing.T) {
	id := txid(t, "08901b81e39bc61d632c93241c44ec3763366bd57444b01494481ed46079c898")
	url, _ := onLines(t, func(method string, params []any, _ net.Conn) string {
		if method != "blockchain.transaction.get_merkle" || params[0] != id.String() || params[1] != 172165.0 {
			t.Errorf("asked %s %v", method, params)
		}
		return recordedReply(t, "recorded", "electrum", "blockchain-transaction-get-merkle.json")
	})
	got, err := openedElectrum(t, url).Proofs.Branch(t.Context(), id, 172165)
	if err != nil || got.Height != 172165 || got.Branch.Index != 28 || len(got.Branch.Siblings) != 7 ||
		!strings.HasPrefix(got.Branch.Siblings[0].String(), "221057f51521fd35") {
		t.Errorf("%+v, %v", got, err)
	}
}

// How servers say that there is no proof is read as that, and no other refusal
// is.
func TestElectrumWithoutAProof(t *testing.T) {
	for text, want := range map[string]error{
		`{"code":1,"message":"tx 0808 not in block at height 5"}`:                             ErrNotFound,
		`{"code":1,"message":"No transaction matching the requested hash found at height 5"}`: ErrNotFound,
		`"missing transaction"`:                              ErrNotFound,
		`"tx 0808 not found or is unconfirmed"`:              ErrNotFound,
		`{"code":-32601,"message":"unknown method"}`:         ErrRefused,
		`{"code":-101,"message":"excessive resource usage"}`: ErrRateLimited,
		`"something else"`:                                   ErrRefused,
	} {
		url, _ := onLines(t, func(string, []any, net.Conn) string { return `{"jsonrpc":"2.0","id":ID,"error":` + text + `}` })
		if got, err := openedElectrum(t, url).Proofs.Branch(t.Context(), chainhash.Hash{8}, 5); got != nil || !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v; want %v", text, got, err, want)
		}
	}
}
