package chaintest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"golang.org/x/sync/errgroup"

	"btcwatch/chain"
)

func startNodeFor(t *testing.T) *Node {
	t.Helper()
	n, err := StartNode(t.Context(), NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return n
}

// One story on a real node, told by the server: what it says must be what the
// wallet did.
func TestNodeStory(t *testing.T) {
	ctx := t.Context()
	n := startNodeFor(t)
	must(n.Generate(ctx, 130))
	w := NewWallet(n, "")
	e := NewEsplora(n, n.Params())
	b := serve(t, e)
	a := w.Address(chain.P2WPKH, 1)
	at := "/address/" + a.Text

	b.want("/blocks/tip/height", 200, "130")
	if txs := b.txs("/address/" + MiningAddress("").Text + "/txs/chain"); len(txs) != 25 || txs[0].Status.Height != 130 || txs[0].Fee != 0 || txs[0].Vin[0].Prevout != nil {
		t.Errorf("coinbases: %+v", txs)
	}

	paid := must(w.Pay(ctx, Output{a.Script, 50_000}, Output{a.Script, 7}))
	if got := b.stats(a.Text); got != [2][5]int64{{}, {2, 50_007, 0, 0, 1}} {
		t.Errorf("unconfirmed: %v", got)
	}
	b.want(fmt.Sprintf("/tx/%s/status", paid.TxHash()), 200, `{"confirmed":false}`)

	replaced := must(w.Replace(ctx, paid, Output{a.Script, 60_000}))
	if got := idsOf(b.txs(at + "/txs/mempool")); !slices.Equal(got, ids(replaced)) {
		t.Errorf("after the replacement: %v", got)
	}
	b.want("/tx/"+paid.TxHash().String(), 404, "Transaction not found")

	// A chain of spends, all unconfirmed.
	spent := must(w.Send(ctx, Payment{Spend: []wire.OutPoint{{Hash: replaced.TxHash()}}, Outputs: []Output{{a.Script, 20_000}}, Fee: 1000, Change: a.Script}))
	again := must(w.Send(ctx, Payment{Spend: []wire.OutPoint{{Hash: spent.TxHash()}, {Hash: spent.TxHash(), Index: 1}}, Outputs: []Output{{a.Script, 58_000}}, Fee: 1000}))
	if got := b.txs(at + "/txs/mempool"); !slices.Equal(idsOf(got), ids(replaced, spent, again)) || got[2].Fee != 1000 {
		t.Errorf("chain of spends: %+v", got)
	}
	b.want(fmt.Sprintf("/tx/%s/outspend/1", spent.TxHash()), 200,
		fmt.Sprintf(`{"spent":true,"txid":"%s","vin":1,"status":{"confirmed":false}}`, again.TxHash()))

	block := must(n.Generate(ctx, 1))[0]
	if got := b.stats(a.Text); got != [2][5]int64{{4, 60_000 + 20_000 + 39_000 + 58_000, 3, 119_000, 3}, {}} {
		t.Errorf("confirmed: %v", got)
	}
	for _, tx := range b.txs(at + "/txs/chain") {
		if tx.Status.Hash != block || tx.Status.Height != 131 {
			t.Errorf("confirmed in %+v, want %s", tx.Status, block)
		}
	}

	// A reorg takes them back into the mempool; the next blocks hold them again.
	if err := n.InvalidateBlock(ctx, block); err != nil {
		t.Fatal(err)
	}
	b.want("/blocks/tip/height", 200, "130")
	if got := b.stats(a.Text); got != [2][5]int64{{}, {4, 177_000, 3, 119_000, 3}} {
		t.Errorf("after the reorg: %v", got)
	}
	b.want("/block/"+block.String()+"/status", 200, `{"in_best_chain":false,"height":null,"next_best":null}`)
	other := must(n.Generate(ctx, 2))[0]
	for _, tx := range b.txs(at + "/txs/chain") {
		if tx.Status.Hash != other {
			t.Errorf("confirmed again in %s, want %s", tx.Status.Hash, other)
		}
	}
	if err := n.ReconsiderBlock(ctx, block); err != nil {
		t.Fatal(err)
	}
	b.want("/blocks/tip/height", 200, "132") // the shorter branch stays stale
}

// 120 payments are five pages, and each is there once.
func TestNodePages(t *testing.T) {
	ctx := t.Context()
	n := startNodeFor(t)
	must(n.Generate(ctx, 110))
	w := NewWallet(n, "")
	b := serve(t, NewEsplora(n, n.Params()))
	a := w.Address(chain.P2TR, 1)
	var want []chainhash.Hash
	for i := range 120 {
		tx := must(w.Pay(ctx, Output{a.Script, int64(1000 + i)}))
		want = append(want, tx.TxHash())
		if i%40 == 39 {
			must(n.Generate(ctx, 1))
		}
	}
	var got []chainhash.Hash
	var pages []int
	for path := "/address/" + a.Text + "/txs/chain"; ; path = "/address/" + a.Text + "/txs/chain/" + got[len(got)-1].String() {
		page := idsOf(b.txs(path))
		if len(page) == 0 {
			break
		}
		pages = append(pages, len(page))
		got = append(got, page...)
	}
	if !slices.Equal(pages, []int{25, 25, 25, 25, 20}) {
		t.Errorf("pages of %v", pages)
	}
	sortHashes(got)
	sortHashes(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %d transactions, want %d", len(got), len(want))
	}
	if got := b.stats(a.Text); got != [2][5]int64{{120, 120*1000 + 119*60, 0, 0, 120}, {}} {
		t.Errorf("stats: %v", got)
	}
}

// btcd checks every signature and every rule: it must take what the wallet
// signs for each kind of address, and the blocks of a Chain.
func TestNodeTakesWalletAndChain(t *testing.T) {
	ctx := t.Context()
	n := startNodeFor(t)
	c, w := funded(t)
	var outputs []Output
	for i, kind := range kinds {
		outputs = append(outputs, Output{w.Address(kind, i).Script, 10_000})
	}
	outputs = append(outputs, Output{w.BareKey(9), 10_000})
	paid := must(w.Pay(ctx, outputs...))
	var points []wire.OutPoint
	for i := range outputs {
		points = append(points, wire.OutPoint{Hash: paid.TxHash(), Index: uint32(i)})
	}
	c.MineMempool()
	must(w.Send(ctx, Payment{Spend: points, Outputs: []Output{{w.Address(chain.P2PKH, 3).Script, 55_000}}}))
	c.MineMempool()
	for height := int32(1); ; height++ {
		block := c.BlockAt(height)
		if block == nil {
			break
		}
		if err := n.SubmitBlock(ctx, block); err != nil {
			t.Fatalf("height %d: %v", height, err)
		}
	}
	height, tip := c.Tip()
	if gotHeight, got := must2(n.Best(ctx)); gotHeight != height || got != tip.BlockHash() {
		t.Errorf("btcd is at %d %s, the chain at %d %s", gotHeight, got, height, tip.BlockHash())
	}
}

func TestNodeSaysWhatIsNot(t *testing.T) {
	ctx := t.Context()
	n := startNodeFor(t)
	if _, err := n.BlockHash(ctx, 1); !errors.Is(err, ErrNoBlock) {
		t.Errorf("block hash beyond the tip: %v", err)
	}
	if _, err := n.RawBlock(ctx, chainhash.Hash{1}); !errors.Is(err, ErrNoBlock) {
		t.Errorf("unknown block: %v", err)
	}
	if _, err := n.RawTx(ctx, chainhash.Hash{1}); !errors.Is(err, ErrNoTransaction) {
		t.Errorf("unknown transaction: %v", err)
	}
}

// A hung node makes its explorer stale and not slow; when the node goes on, so
// does the explorer.
func TestNodeHung(t *testing.T) {
	ctx := t.Context()
	n := startNodeFor(t)
	must(n.Generate(ctx, 3))
	e := NewEsplora(n, n.Params())
	e.Patience = 200 * time.Millisecond
	b := serve(t, e)
	b.want("/blocks/tip/height", 200, "3")
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := n.Height(brief); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused node answers: %v", err)
	}
	b.want("/blocks/tip/height", 200, "3")
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	must(n.Generate(ctx, 1))
	if err := e.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	b.want("/blocks/tip/height", 200, "4")
}

func TestNodeStopLeavesNothing(t *testing.T) {
	n, err := StartNode(t.Context(), NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.Stop()
	n.Stop()
	if err := syscall.Kill(n.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("btcd %d still runs: %v", n.PID(), err)
	}
	if _, err := os.Stat(n.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", n.dir, err)
	}
}

func sortHashes(list []chainhash.Hash) {
	slices.SortFunc(list, func(a, b chainhash.Hash) int { return slices.Compare(a[:], b[:]) })
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// btcd must not outlive a test binary that is killed. The test runs itself as
// that binary.
func TestNodeDiesWithItsParent(t *testing.T) {
	const childOf = "BTCWATCH_TEST_NODE_CHILD"
	if os.Getenv(childOf) != "" {
		n := startNodeFor(t)
		fmt.Println("btcd", n.PID())
		select {} // until killed
	}
	child := exec.Command(os.Args[0], "-test.run=^TestNodeDiesWithItsParent$")
	child.Env = append(os.Environ(), childOf+"=1", "TMPDIR="+t.TempDir())
	out := must(child.StdoutPipe())
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	var pid int
	if _, err := fmt.Fscanf(out, "btcd %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed, as it should be
	for start := time.Now(); runs(pid); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("btcd %d outlives its parent", pid)
		}
	}
}

// runs says whether a process is there and no zombie.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// Test binaries run beside each other, so nodes must too.
func TestNodesBesideEachOther(t *testing.T) {
	var group errgroup.Group
	for i := range 3 {
		group.Go(func() error {
			n, err := StartNode(t.Context(), NodeOptions{Seed: fmt.Sprint(i)})
			if err != nil {
				return err
			}
			defer n.Stop()
			if _, err := n.Generate(t.Context(), 101+i); err != nil {
				return err
			}
			_, err = NewWallet(n, fmt.Sprint(i)).Pay(t.Context(), Output{[]byte{0x51}, 1})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}
