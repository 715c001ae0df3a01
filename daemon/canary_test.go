package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

// canary gives the world a canary.
func (w *world) canary(a chain.Address) {
	w.config.Canary = CanarySettings{Address: &a, Every: 24 * time.Hour, Kept: 7 * 24 * time.Hour}
}

// TestCanaryTakesTheWholeRoad, on btcd's chain: it is seen unconfirmed, its
// block is verified, and it comes to the end; the same block's payment of a
// watched address is told to people, and the canary is not.
func TestCanaryTakesTheWholeRoad(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	a, canary := n.wallet.Address(chain.P2WPKH, 1), n.wallet.Address(chain.P2TR, 2)
	n.watch(a, "label")
	n.canary(canary)
	n.config.Metrics.Listen = "127.0.0.1:0"
	n.began(n.node)
	pay := func(to chain.Address, amount int64) *wire.MsgTx {
		return must(n.wallet.Pay(t.Context(), chaintest.Output{Script: to.Script, Value: amount}))
	}
	tests, paid := pay(canary, 70_000), pay(a, 50_000)
	n.await("1", `SELECT count(*) FROM btcwatch.canary_sight WHERE btcwatch.display(txid) = $1`, tests.TxHash().String())
	n.seen(paid, a)
	n.mine()
	n.word(alerts.TransactionConfirmed, paid, a)
	n.await("1", `SELECT count(delivered_at) FROM report.canary`)
	height, hash := must2(n.node.Best(t.Context()))
	n.expect(fmt.Sprint(canary.Text, " ", tests.TxHash(), " 70000 ", height, " ", hash, " proven true true"),
		`SELECT concat_ws(' ', address, txid, amount_sat, block_height, block_hash, proof, CASE WHEN on_chain THEN 'true' END, CASE WHEN seen_unconfirmed THEN 'true' END) FROM report.canary`)
	n.expect("true", `SELECT seen_at <= verified_at AND verified_at <= recorded_at AND recorded_at <= delivered_at AND took_seconds BETWEEN 0 AND 60 FROM report.canary`)
	n.expect("delivered 1", `SELECT state || ' ' || attempts FROM btcwatch.canary_delivery`)
	for _, b := range n.delivered() {
		if b.Data.TxID == tests.TxHash().String() || strings.Contains(fmt.Sprint(b), canary.Text) {
			t.Errorf("people are told of the canary: %+v", b)
		}
	}
	n.expect(paid.TxHash().String(), `SELECT string_agg(txid, ' ') FROM report.transactions`)
	n.expect(a.Text, `SELECT string_agg(address, ' ') FROM report.addresses`)
	truth := awaitFaults(t, n.served())
	if truth.CanaryAge == nil || *truth.CanaryAge > 60 {
		t.Errorf("/ready says %+v", truth)
	}
	_, text := get(t, n.served()+"/metrics")
	got := samples(text)
	if got[`btcwatch_canary_unconfirmed{sight="seen"}`] != "1" || got[`btcwatch_canary_on_their_way`] != "0" || got[`btcwatch_watched_addresses`] != "1" || got[`btcwatch_fault{fault="canary"}`] != "0" {
		t.Errorf("metrics:\n%s", text)
	}
	if strings.Contains(text, canary.Text) || strings.Contains(n.log.String(), canary.Text) {
		t.Error("metrics or log name the canary")
	}
}

// TestCanaryKilledOnItsRoad: the process is killed when the block is recorded
// and nothing is delivered. The next one brings the payment to its end, once.
func TestCanaryKilledOnItsRoad(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	canary := wallet.Address(chain.P2WPKH, 2)
	w.canary(canary)
	p := w.fork("first")
	w.caughtUp(ledger)
	w.exec(`
		CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(4711);
			RETURN NEW;
		END $$;
		CREATE TRIGGER hold BEFORE UPDATE ON btcwatch.canary_delivery FOR EACH ROW EXECUTE FUNCTION public.hold();
		SELECT pg_advisory_lock(4711)`)
	tx := must(wallet.Pay(t.Context(), chaintest.Output{Script: canary.Script, Value: 30_000}))
	ledger.MineMempool()
	w.await("true", `SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted`)
	w.expect(tx.TxHash().String()+" 0", `SELECT txid || ' ' || (SELECT count(delivered_at) FROM report.canary) FROM report.canary`)
	p.kill()
	w.exec(`SELECT pg_advisory_unlock(4711)`)
	w.await("0", `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'btcwatch'`)
	w.expect("0", `SELECT count(delivered_at) FROM report.canary`)
	second := w.fork("second")
	w.await("1 delivered", `SELECT count(*) || ' ' || min(state) FROM btcwatch.canary_delivery WHERE state = 'delivered'`)
	w.expect("1 1", `SELECT count(*) || ' ' || count(delivered_at) FROM report.canary`)
	second.stop()
}

// TestCanaryOfTwoDaemons: one leads, and one stands by; each payment is taken
// once, and the one that takes over goes on with it.
func TestCanaryOfTwoDaemons(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	canary := wallet.Address(chain.P2WPKH, 2)
	w.canary(canary)
	w.start()
	w.caughtUp(ledger)
	other := newWorldOver(t, w.config.DatabaseURL, ledger)
	other.canary(canary)
	other.start()
	other.awaitLog("standing by")
	pay := func(want string) {
		t.Helper()
		must(wallet.Pay(t.Context(), chaintest.Output{Script: canary.Script, Value: 30_000}))
		ledger.MineMempool()
		w.await(want, `SELECT count(*) || ' ' || count(delivered_at) FROM report.canary`)
	}
	pay("1 1")
	since := w.ask(`SELECT since FROM btcwatch.canary`)
	w.stop()
	pay("2 2")
	w.expect(since, `SELECT since FROM btcwatch.canary`)
	w.await("2 1", `SELECT count(*) || ' ' || max(attempts) FROM btcwatch.canary_delivery WHERE state = 'delivered'`)
	other.stop()
}

// canaryLookout is a lookout with a canary that is expected every hour.
func canaryLookout(t *testing.T, canary chain.Address) *lookout {
	l := newLookoutTelling(t, 4, sql.Telling{Confirmations: []int32{1}, Canary: &canary})
	must(l.writer.SetCanary(t.Context()))
	l.health.jobs, l.health.pulse = []string{forBlocks}, newPulse(l.now)
	l.health.canary.settings = CanarySettings{Address: &canary, Every: time.Hour, Kept: time.Hour}
	return l
}

// deaf answers no question.
type deaf struct{ voice }

func (deaf) Tip(context.Context) (int32, error) { return 0, errUnavailable }

// goOn lets time pass in which a block comes every ten minutes, and the first of
// them holds the payments.
func (l *lookout) goOn(length time.Duration, shown bool, txs ...*wire.MsgTx) {
	l.t.Helper()
	for range int(length / (10 * time.Minute)) {
		l.ledger.Mine(txs...)
		txs = nil
		tip, _ := l.ledger.Tip()
		l.explorers = []*explorer.Explorer{{Name: "one", Chain: deaf{}}}
		if shown {
			l.explorers = nil
			l.explorer("one", honest(l.ledger, tip))
		}
		_ = l.watch(10 * time.Minute) // what goes wrong is the test's
		end := &deliverer{
			name: sql.CanaryChannel, channel: canarySink{l.store}, store: l.store.Canaries(), writer: l.writer, log: l.log, pulse: newPulse(l.now), zone: time.UTC,
		}
		must(end.deliverDue(l.t.Context()))
	}
}

// TestCanaryOverdue: it is told when no payment came through for its time and
// half of it again in which blocks were followed, once, and when one does.
func TestCanaryOverdue(t *testing.T) {
	t.Parallel()
	canary := chaintest.NewWallet(chaintest.NewChain(), "").Address(chain.P2WPKH, 2)
	l := canaryLookout(t, canary)
	pay := func(n byte) *wire.MsgTx {
		tx := wire.NewMsgTx(2)
		tx.LockTime = uint32(n)
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: [32]byte{n}}, []byte{0x51}, nil))
		tx.AddTxOut(wire.NewTxOut(10_000, canary.Script))
		return tx
	}
	const key = "canary "
	l.goOn(80*time.Minute, true)
	l.wantsOut("it was not paid yet", key, false)
	l.goOn(10*time.Minute, true, pay(1))
	l.goOn(80*time.Minute, true)
	l.wantsOut("it was paid 80 minutes ago", key, false)
	l.goOn(10*time.Hour, false)
	l.wantsOut("nobody shows blocks", "blocks ", true)
	l.wantsOut("nobody shows blocks", key, false)
	l.at = l.at.Add(24 * time.Hour) // the machine slept
	l.ledger.MineEmpty(1)

	again := newHealth(l.health.settings, l.writer, l.store, l.now, l.log) // started again
	again.jobs, again.pulse, again.canary.settings = l.health.jobs, l.health.pulse, l.health.canary.settings
	if err := again.load(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	l.health = again
	l.follower.health = again
	l.goOn(50*time.Minute, true)
	l.wantsOut("blocks were followed for long enough, over two lives", key, true)
	alertsOf := func() (all []string) {
		for _, b := range bodies(l) {
			if b.Data.Kind == forCanary {
				all = append(all, string(b.Type)+" "+b.Data.Severity)
			}
		}
		return all
	}
	l.health.canary.settings.Every = 100 * time.Hour // another configuration is no payment
	l.goOn(20*time.Minute, true)
	l.wantsOut("it may take longer now", key, true)
	if told := alertsOf(); !slices.Equal(told, []string{"watch.blind severe"}) {
		t.Errorf("told %q", told)
	}
	l.goOn(20*time.Minute, true, pay(2))
	l.wantsOut("a payment came through", key, false)
	if told := alertsOf(); !slices.Equal(told, []string{"watch.blind severe", "watch.restored severe"}) {
		t.Errorf("told %q", told)
	}

	must(l.store.Watch(t.Context(), watchlist.Listing{Address: canary, List: "command"}, "somebody"))
	l.goOn(10*time.Minute, true)
	l.wantsOut("it is watched", key, true)
	if told := alertsOf(); len(told) != 3 || told[2] != "watch.blind low" {
		t.Errorf("told %q", told)
	}
}

// bodies are those of all alerts, in order.
func bodies(l *lookout) (all []alerts.Body) {
	l.t.Helper()
	w := &world{t: l.t, config: &Config{DatabaseURL: l.store.URL()}}
	for _, text := range strings.Split(w.ask(`SELECT string_agg(convert_from(body, 'UTF8'), E'\n' ORDER BY seq) FROM btcwatch.alert`), "\n") {
		if text != "" {
			all = append(all, must(alerts.Decode([]byte(text))))
		}
	}
	return all
}

// TestCanaryConfiguration: what may not be a canary is refused with its line.
func TestCanaryConfiguration(t *testing.T) {
	const canary = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
	const rest = `
[explorers.one]
kind = "esplora"
url = "https://example.org/api"
[watch."3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG"]
[channels.screen]
kind = "stdout"
`
	for text, want := range map[string]string{
		"[canary]\naddress = \"\"": "",
		"[canary]\naddress = \"" + canary + "\"\nevery = \"2h\"\nkept = \"24h\"": "",
		"[canary]\naddress = \"BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ\"":     "",
		"[canary]\naddress = \"3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG\"":             "is watched too",
		"[canary]\naddress = \"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdx\"":     ":2: canary.address",
		"[canary]\naddress = \"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx\"":     ":2: canary.address",
		"[canary]\naddress = 7":    "whole number",
		"[canary]\nevery = \"1m\"": "out of bounds",
		"[canary]\nkept = \"0s\"":  "out of bounds",
		"[canary]\nadress = \"\"":  "did you mean address",
		"[schedule]\nblocks = \"\"\n[canary]\naddress = \"" + canary + "\"": "[schedule] blocks",
	} {
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(text+rest), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := Load(path)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s\n%v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\n%v, want %q", text, err, want)
		case want == "" && strings.Contains(text, "24h") && (config.Canary.Every != 2*time.Hour || config.Canary.Kept != 24*time.Hour || config.Canary.Address.Text != canary):
			t.Errorf("%+v", config.Canary)
		}
	}
}
