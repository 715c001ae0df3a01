package daemon

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql/sqltest"
)

// watchedByAll is an installation over a real btcd node, asked by all five kinds
// of explorers, each behind a tap, as are the heartbeat and who asks for metrics.
type watchedByAll struct {
	*world
	node   *chaintest.Node
	wallet *chaintest.Wallet
	taps   map[string]*tap // by explorer, and those of the heartbeat and the metrics
	coins  []wire.OutPoint // of the wallet, so that payments have nothing in common

	open, other, secret chain.Address // two that are open, one that is confidential
	openIDs, secretIDs  []needle      // of their payments
}

func newWatchedByAll(t *testing.T, mode string, own ...string) *watchedByAll {
	t.Helper()
	node := must(chaintest.StartNode(t.Context(), chaintest.NodeOptions{}))
	t.Cleanup(node.Stop)
	w := &watchedByAll{world: newWorldOver(t, sqltest.Migrated(t)), node: node, wallet: chaintest.NewWallet(node, ""), taps: map[string]*tap{}}
	must(node.Generate(t.Context(), 110))
	change := w.wallet.Address(chain.P2WPKH, 7)
	var coins []chaintest.Output
	for range 10 {
		coins = append(coins, chaintest.Output{Script: change.Script, Value: 1_000_000})
	}
	w.coins = outpoints(must(w.wallet.Pay(t.Context(), coins...)), change.Script)
	must(node.Generate(t.Context(), 1))

	address, user, password := node.RPC()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	w.tapped("node", address, explorer.Settings{User: user, PasswordFile: secret})
	esplora, prices := chaintest.NewEsplora(node, w.config.Network), &chaintest.Prices{}
	prices.Set(time.Now().Add(-time.Minute), "EUR", "82304")
	esplora.Prices = prices
	w.config.Fiat = FiatSettings{Currency: euro(), Every: time.Second, MaxAge: withDays}
	for _, s := range []struct {
		kind   string
		server interface{ Serve() (string, func()) }
	}{
		{"esplora", esplora},
		{"electrum", chaintest.NewElectrum(node, w.config.Network)},
		{"blockbook", chaintest.NewBlockbook(node, w.config.Network)},
		{"blockchaininfo", chaintest.NewBlockchainInfo(node, w.config.Network)},
	} {
		url, stop := s.server.Serve()
		t.Cleanup(stop)
		set := explorer.Settings{}
		if s.kind == "electrum" {
			set.Subscriptions = 1000 // hints are wished for where that is allowed
		}
		w.tapped(s.kind, url, set)
	}
	for i, e := range w.config.Explorers {
		w.config.Explorers[i].Own = slices.Contains(own, e.Name)
	}
	w.config.Privacy.Mode = mode
	beats := newDeadMan(t)
	w.taps["heartbeat"] = newTap(t, beats.url)
	w.config.Heartbeat = HeartbeatSettings{URL: w.taps["heartbeat"].url, Every: time.Second}
	w.config.Metrics.Listen = "127.0.0.1:0"
	w.open, w.other, w.secret = w.wallet.Address(chain.P2WPKH, 1), w.wallet.Address(chain.P2PKH, 2), w.wallet.Address(chain.P2SH, 3)
	w.watch(w.open, "one")
	w.watch(w.other, "another")
	w.watch(w.secret, "confidential")
	w.config.Watch[2].Confidential = true
	return w
}

func (w *watchedByAll) tapped(kind, url string, set explorer.Settings) {
	w.taps[kind] = newTap(w.t, url)
	set.Name, set.Kind, set.URL, set.Operator, set.Timeout = kind, kind, w.taps[kind].url, "operator "+kind, 5*time.Second
	w.config.Explorers = append(w.config.Explorers, set)
}

// pay pays an address with a coin of its own.
func (w *watchedByAll) pay(a chain.Address, ids *[]needle) *wire.MsgTx {
	w.t.Helper()
	coin := w.coins[0]
	w.coins = w.coins[1:]
	return w.send(coin, a, 900_000, ids)
}

func (w *watchedByAll) send(from wire.OutPoint, to chain.Address, value int64, ids *[]needle) *wire.MsgTx {
	w.t.Helper()
	tx := must(w.wallet.Send(w.t.Context(), chaintest.Payment{Spend: []wire.OutPoint{from}, NoChange: true, Outputs: []chaintest.Output{{Script: to.Script, Value: value}}}))
	*ids = append(*ids, transactionNeedles("payment "+tx.TxHash().String(), tx.TxHash())...)
	return tx
}

func (w *watchedByAll) mine(blocks int) {
	w.t.Helper()
	must(w.node.Generate(w.t.Context(), blocks))
}

// live is all that can happen: payments from before the watch, payments in and
// out, seen and mined, two stretches, a reorganisation, and questions about the
// watch itself.
func (w *watchedByAll) live() {
	w.t.Helper()
	elsewhere := w.wallet.Address(chain.P2TR, 9)
	early := w.pay(w.open, &w.openIDs)
	w.pay(w.other, &w.openIDs)
	w.pay(w.secret, &w.secretIDs)
	w.mine(2)
	w.began(w.node)

	paid := []*wire.MsgTx{w.pay(w.open, &w.openIDs), w.pay(w.other, &w.openIDs)}
	hidden := w.pay(w.secret, &w.secretIDs)
	if w.config.Privacy.Mode != PrivacyBlocks {
		w.word(alerts.TransactionSeen, paid[0], w.open)
		w.word(alerts.TransactionSeen, paid[1], w.other)
	} else {
		w.rounds(3)
	}
	w.mine(1)
	w.word(alerts.TransactionConfirmed, paid[0], w.open)
	w.word(alerts.TransactionConfirmed, hidden, w.secret)

	spends := []*wire.MsgTx{w.send(wire.OutPoint{Hash: paid[0].TxHash()}, elsewhere, 800_000, &w.openIDs),
		w.send(wire.OutPoint{Hash: early.TxHash()}, elsewhere, 800_000, &w.openIDs)}
	gone := w.send(wire.OutPoint{Hash: hidden.TxHash()}, elsewhere, 800_000, &w.secretIDs)
	w.mine(1)
	for _, tx := range spends {
		w.word(alerts.TransactionConfirmed, tx, w.open)
	}
	w.word(alerts.TransactionConfirmed, gone, w.secret)

	_, tip := must2(w.node.Best(w.t.Context()))
	if err := w.node.InvalidateBlock(w.t.Context(), tip); err != nil {
		w.t.Fatal(err)
	}
	w.mine(2)
	w.word(alerts.TransactionReorged, spends[0], w.open)
	w.caughtUp(w.node)
	w.restart()
	last := w.pay(w.other, &w.openIDs)
	w.mine(1)
	w.word(alerts.TransactionConfirmed, last, w.other)
	w.caughtUp(w.node)
	w.rounds(2)
	w.asksOfItself()
	w.stop()
	if w.taps["heartbeat"].size() == 0 {
		w.t.Error("no heartbeat was sent")
	}
}

// rounds waits until the mempool job has run so often: what it would ask, it has.
func (w *watchedByAll) rounds(more int) {
	w.t.Helper()
	tips := w.taps["esplora"]
	before := strings.Count(tips.text(), "/blocks/tip/height") + more
	for deadline := time.Now().Add(60 * time.Second); strings.Count(tips.text(), "/blocks/tip/height") < before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("no rounds go on\n%s", w.log)
		}
	}
}

// asksOfItself reads what the daemon tells of itself, as a tap that recorded it.
func (w *watchedByAll) asksOfItself() {
	w.t.Helper()
	record := &tap{}
	recorder := recorder{record, record.connection()}
	for _, page := range []string{"/metrics", "/ready", "/health", "/"} {
		response := must((&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(w.served() + page))
		must(io.Copy(recorder, response.Body))
		_ = response.Body.Close()
	}
	w.taps["metrics"] = record
}

// hearers names the taps that hold one of the needles, in order.
func (w *watchedByAll) hearers(all ...[]needle) (names []string) {
	for name, tap := range w.taps {
		if len(tap.holds(slices.Concat(all...))) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestNothingLeaves: with mode blocks not a byte of a watched address, its script,
// its hashes or the ids of its payments and of what these spend is sent to
// anybody but the database and the channels; all confirmed payments are told.
func TestNothingLeaves(t *testing.T) {
	t.Parallel()
	w := newWatchedByAll(t, PrivacyBlocks)
	parents := transactionNeedles("previous transaction", w.coins[0].Hash)
	w.live()
	all := slices.Concat(addressNeedles("open", w.open), addressNeedles("other", w.other), addressNeedles("secret", w.secret), w.openIDs, w.secretIDs, parents)
	for name, tap := range w.taps {
		if tap.size() == 0 {
			t.Errorf("%s: nothing was recorded at all", name)
		}
		for _, what := range tap.holds(all) {
			t.Errorf("%s was sent to %s", what, name)
		}
	}
	w.expect("0", `SELECT count(*) FROM report.disclosures`)
	pricesAsked(w)
	w.expect("0", `SELECT count(*) FROM btcwatch.outage WHERE kind = 'mempool'`)
	w.expect("0", `SELECT count(*) FROM report.gaps WHERE kind = 'mempool'`)
	w.expect("3", `SELECT count(*) FROM report.balances WHERE balance_sat IS NULL`)
	w.expect("unconfirmed payments are not seen: privacy mode blocks false", `SELECT DISTINCT not_seen || ' ' || debits_complete FROM report.coverage`)
	w.expect("0", `SELECT count(*) FROM btcwatch.asked`)
	w.expect("0", `SELECT count(*) FROM btcwatch.tx_now WHERE proof <> 'proven'`)
}

// TestWhatLeavesWhenAsked: the same taps see it all leave in mode ask, so that
// TestNothingLeaves can fail; and nothing of the address that is confidential.
func TestWhatLeavesWhenAsked(t *testing.T) {
	t.Parallel()
	w := newWatchedByAll(t, PrivacyAsk)
	w.live()
	if got, want := w.hearers(addressNeedles("open", w.open), addressNeedles("other", w.other)), []string{"blockbook", "blockchaininfo", "electrum", "esplora"}; !slices.Equal(got, want) {
		t.Errorf("the addresses were sent to %q, want %q", got, want)
	}
	if got := w.hearers(w.openIDs); !slices.Contains(got, "node") || !slices.Contains(got, "esplora") {
		t.Errorf("payments were asked about of %q", got)
	}
	if got := w.hearers(addressNeedles("secret", w.secret), w.secretIDs); len(got) > 0 {
		t.Errorf("the confidential address was given away to %q", got)
	}
	if got := w.hearers([]needle{{"a wish for hints", []byte("blockchain.scripthash.subscribe"), true}}); !slices.Equal(got, []string{"electrum"}) {
		t.Errorf("hints were wished for of %q", got)
	}
	w.disclosed("blockbook blockchaininfo electrum esplora")
}

// TestWhatLeavesToOwn: with mode own only at explorers of one's own.
func TestWhatLeavesToOwn(t *testing.T) {
	t.Parallel()
	w := newWatchedByAll(t, PrivacyOwn, "electrum", "node")
	w.live()
	if got := w.hearers(addressNeedles("open", w.open), addressNeedles("other", w.other)); !slices.Equal(got, []string{"electrum"}) {
		t.Errorf("the addresses were sent to %q", got)
	}
	if got := w.hearers(w.openIDs); !slices.Equal(got, []string{"electrum", "node"}) {
		t.Errorf("payments were asked about of %q", got)
	}
	if got := w.hearers(addressNeedles("secret", w.secret), w.secretIDs); len(got) > 0 {
		t.Errorf("the confidential address was given away to %q", got)
	}
	w.disclosed("electrum")
}

// disclosed holds the record of who was told against who was.
func (w *watchedByAll) disclosed(addresses string) {
	w.t.Helper()
	w.expect(addresses, `SELECT string_agg(DISTINCT explorer, ' ' ORDER BY explorer) FROM report.disclosures WHERE about = 'address'`)
	told := w.lines(`SELECT DISTINCT explorer FROM report.disclosures`)
	slices.Sort(told)
	if heard := w.hearers(addressNeedles("open", w.open), addressNeedles("other", w.other), w.openIDs); !slices.Equal(heard, told) {
		w.t.Errorf("on record were told %q, in truth %q", told, heard)
	}
	w.expect("node", `SELECT DISTINCT explorer FROM report.disclosures WHERE explorer = 'node' AND about = 'transaction'`)
	w.expect("0", `SELECT count(*) FROM report.disclosures WHERE address = $1`, w.secret.Text)
	w.expect("0", `SELECT sum(unsure) FROM report.disclosures`)
	w.expect("0", `SELECT count(*) FROM report.disclosures WHERE operator <> 'operator ' || explorer OR asked < 1`)
}

// pricesAsked holds what was asked about prices to the clock: those of now, and
// of noon UTC.
func pricesAsked(w *watchedByAll) {
	w.t.Helper()
	asked := regexp.MustCompile(`GET /v1/\S*`).FindAllString(w.taps["esplora"].text(), -1)
	for _, line := range asked {
		_, stamp, then := strings.Cut(line, "?currency=EUR&timestamp=")
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if line != "GET /v1/prices" && (!then || err != nil || seconds%86400 != 43200) {
			w.t.Errorf("asked %s", line)
		}
	}
	if !slices.Contains(asked, "GET /v1/prices") || len(asked) < 3 {
		w.t.Errorf("prices were asked for by %q", asked)
	}
}
