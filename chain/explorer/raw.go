package explorer

import (
	"bytes"
	"context"
	"errors"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// readRawTransaction reads the transaction with an id in hexadecimal.
func readRawTransaction(r *jsonReader, id chainhash.Hash) *wire.MsgTx {
	raw := r.hex()
	if r.err != nil {
		return nil
	}
	tx, err := rawTransaction(raw, id)
	if err != nil {
		r.err = err
		return nil
	}
	return tx
}

func rawTransaction(raw []byte, id chainhash.Hash) (*wire.MsgTx, error) {
	tx, rest := new(wire.MsgTx), bytes.NewReader(raw)
	if err := tx.Deserialize(rest); err != nil || rest.Len() > 0 {
		return nil, malformed("not a whole transaction")
	}
	if got := tx.TxHash(); got != id {
		return nil, lying("another transaction came: %s", got)
	}
	// Beyond the txid: a transaction that no node would take was made up.
	if err := blockchain.CheckTransactionSanity(btcutil.NewTx(tx)); err != nil {
		return nil, lying("transaction %s breaks the consensus rules", id)
	}
	return tx, nil
}

// readRawHeaders reads headers one after the other in hexadecimal.
func readRawHeaders(r *jsonReader) (headers []wire.BlockHeader) {
	raw := r.hex()
	if r.err == nil && (len(raw) == 0 || len(raw)%wire.MaxBlockHeaderPayload != 0) {
		r.fail("not block headers")
	}
	if r.err != nil {
		return nil
	}
	for rest := bytes.NewReader(raw); rest.Len() > 0; {
		var header wire.BlockHeader
		if err := header.Deserialize(rest); err != nil {
			r.fail("not block headers")
			return nil
		}
		headers = append(headers, header)
	}
	return headers
}

// parents finds out which outputs a transaction spends, where an explorer gives
// raw transactions only: what has the id that an input names is what it spends.
type parents struct {
	get   func(ctx context.Context, id chainhash.Hash) (*wire.MsgTx, error)
	known map[chainhash.Hash]*wire.MsgTx          // met already; may be nil
	may   func(id chainhash.Hash, asked int) bool // whether one more is asked for; nil: up to mostParents
}

// mostParents bounds what is asked about one transaction: one that gathers
// thousands of small outputs would hold everything else up.
const mostParents = 25

// spent gives for each input the output that it spends, and nil for a coinbase
// and where nobody said.
func (p parents) spent(ctx context.Context, tx *wire.MsgTx) ([]*wire.TxOut, error) {
	spent, asked := make([]*wire.TxOut, len(tx.TxIn)), 0
	met := map[chainhash.Hash]*wire.MsgTx{}
	for i, in := range tx.TxIn {
		if isCoinbase(in) {
			continue
		}
		at := in.PreviousOutPoint
		parent, ok := met[at.Hash]
		if !ok {
			parent = p.known[at.Hash]
		}
		if parent == nil && !ok && p.asks(at.Hash, asked) {
			asked++
			var err error
			if parent, err = p.get(ctx, at.Hash); err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
		}
		met[at.Hash] = parent
		if parent == nil {
			continue
		}
		if int64(at.Index) >= int64(len(parent.TxOut)) {
			return nil, lying("transaction %s spends an output that there is not", tx.TxHash())
		}
		spent[i] = parent.TxOut[at.Index]
	}
	return spent, nil
}

func (p parents) asks(id chainhash.Hash, asked int) bool {
	if p.may != nil {
		return p.may(id, asked)
	}
	return asked < mostParents
}

// checkDescent checks that the first header has that hash and each of the
// others is the one that the one before it names.
func checkDescent(headers []wire.BlockHeader, hash chainhash.Hash) error {
	for i := range headers {
		switch got := headers[i].BlockHash(); {
		case got == hash:
			hash = headers[i].PrevBlock
		case i == 0:
			return lying("another block's header came: %s", got)
		default:
			return malformed("blocks that do not follow each other")
		}
	}
	return nil
}
