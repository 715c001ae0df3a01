package chaintest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Height is the height of the best block.
func (n *Node) Height(ctx context.Context) (int32, error) {
	var height int32
	err := n.rpc.call(ctx, &height, "getblockcount")
	return height, err
}

// Best is the height and the hash of the best block.
func (n *Node) Best(ctx context.Context) (int32, chainhash.Hash, error) {
	var best struct {
		Height int32          `json:"height"`
		Hash   chainhash.Hash `json:"hash"`
	}
	err := n.rpc.call(ctx, &best, "getbestblock")
	return best.Height, best.Hash, err
}

// Generate mines n blocks of what the mempool holds.
func (n *Node) Generate(ctx context.Context, blocks int) ([]chainhash.Hash, error) {
	var hashes []chainhash.Hash
	err := n.rpc.call(ctx, &hashes, "generate", blocks)
	return hashes, err
}

// BlockHash is the hash of the block at a height, or ErrNoBlock.
func (n *Node) BlockHash(ctx context.Context, height int32) (chainhash.Hash, error) {
	var hash chainhash.Hash
	err := n.rpc.call(ctx, &hash, "getblockhash", height)
	return hash, asNone(err, rpcOutOfRange, ErrNoBlock)
}

// RawBlock is a block that btcd knows, also one that left the chain, or
// ErrNoBlock.
func (n *Node) RawBlock(ctx context.Context, hash chainhash.Hash) ([]byte, error) {
	var text string
	if err := n.rpc.call(ctx, &text, "getblock", hash.String(), 0); err != nil {
		return nil, asNone(err, rpcNotFound, ErrNoBlock)
	}
	return hex.DecodeString(text)
}

// RawTx is a transaction, confirmed or not, or ErrNoTransaction.
func (n *Node) RawTx(ctx context.Context, id chainhash.Hash) (*wire.MsgTx, error) {
	var text string
	if err := n.rpc.call(ctx, &text, "getrawtransaction", id.String()); err != nil {
		return nil, asNone(err, rpcNotFound, ErrNoTransaction)
	}
	tx := new(wire.MsgTx)
	return tx, tx.Deserialize(hex.NewDecoder(strings.NewReader(text)))
}

// SendRaw puts a transaction into the mempool; btcd's refusal is the error.
func (n *Node) SendRaw(ctx context.Context, tx *wire.MsgTx) (chainhash.Hash, error) {
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return chainhash.Hash{}, err
	}
	var id chainhash.Hash
	if err := n.rpc.call(ctx, &id, "sendrawtransaction", hex.EncodeToString(raw.Bytes())); err != nil {
		return id, err
	}
	n.remember(id.String(), tx)
	return id, nil
}

// SubmitBlock gives btcd a block made elsewhere; its refusal is the error.
func (n *Node) SubmitBlock(ctx context.Context, block *wire.MsgBlock) error {
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		return err
	}
	var refusal *string
	if err := n.rpc.call(ctx, &refusal, "submitblock", hex.EncodeToString(raw.Bytes())); err != nil {
		return err
	}
	if refusal != nil {
		return fmt.Errorf("submit block %s: %s", block.BlockHash(), *refusal)
	}
	return nil
}

// InvalidateBlock takes a block and all above it from the chain. Their
// transactions return to the mempool.
func (n *Node) InvalidateBlock(ctx context.Context, hash chainhash.Hash) error {
	return n.rpc.call(ctx, nil, "invalidateblock", hash.String())
}

// ReconsiderBlock takes an InvalidateBlock back: the branch with most work is
// the chain again.
func (n *Node) ReconsiderBlock(ctx context.Context, hash chainhash.Hash) error {
	return n.rpc.call(ctx, nil, "reconsiderblock", hash.String())
}

// seenTx is a transaction that was in the mempool, with its place in the order
// of arrival.
type seenTx struct {
	tx    *wire.MsgTx
	order int
}

// Mempool gives the unconfirmed transactions in the order in which they were
// sent through SendRaw or first seen here: btcd itself keeps no order.
func (n *Node) Mempool(ctx context.Context) ([]*wire.MsgTx, error) {
	var ids []string
	if err := n.rpc.call(ctx, &ids, "getrawmempool"); err != nil {
		return nil, err
	}
	slices.Sort(ids) // what is new arrives in an order that a test can repeat
	var list []*seenTx
	for _, id := range ids {
		seen, err := n.look(ctx, id)
		if err != nil {
			return nil, err
		}
		if seen != nil {
			list = append(list, seen)
		}
	}
	slices.SortFunc(list, func(a, b *seenTx) int { return a.order - b.order })
	txs := make([]*wire.MsgTx, len(list))
	for i, seen := range list {
		txs[i] = seen.tx
	}
	return txs, nil
}

// look gives a transaction of the mempool; nil when it has just left.
func (n *Node) look(ctx context.Context, id string) (*seenTx, error) {
	n.mu.Lock()
	seen := n.seen[id]
	n.mu.Unlock()
	if seen != nil {
		return seen, nil
	}
	hash, err := chainhash.NewHashFromStr(id)
	if err != nil {
		return nil, err
	}
	tx, err := n.RawTx(ctx, *hash)
	if errors.Is(err, ErrNoTransaction) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return n.remember(id, tx), nil
}

func (n *Node) remember(id string, tx *wire.MsgTx) *seenTx {
	n.mu.Lock()
	defer n.mu.Unlock()
	if seen := n.seen[id]; seen != nil {
		return seen
	}
	n.seen[id] = &seenTx{tx: tx, order: len(n.seen)}
	return n.seen[id]
}

const rpcUser = "chaintest"

// btcd's error codes that mean "there is none".
const (
	rpcOutOfRange = -1 // getblockhash beyond the tip
	rpcNotFound   = -5
)

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("btcd: %s (%d)", e.Message, e.Code) }

// asNone turns btcd's "there is none" into the sentinel.
func asNone(err error, code int, none error) error {
	var refused *rpcError
	if errors.As(err, &refused) && refused.Code == code {
		return fmt.Errorf("%w: %w", none, err)
	}
	return err
}

// rpcClient speaks JSON-RPC. btcd's own rpcclient takes no context and repeats
// a failed request ten times, so a paused node would hold a test for ever.
type rpcClient struct {
	http              *http.Client
	address, password string
}

func newRPCClient(address, password string) *rpcClient {
	return &rpcClient{http: &http.Client{Transport: &http.Transport{}}, address: address, password: password}
}

// call asks one thing. result is nil where the answer does not matter.
func (c *rpcClient) call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(rpcUser, c.password)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask btcd for %s: %w", method, err)
	}
	defer resp.Body.Close()
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read btcd's answer to %s (HTTP %d): %w", method, resp.StatusCode, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %w", method, answer.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}
