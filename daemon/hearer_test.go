package daemon

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/watchlist"
)

// guarded puts the guard of a mode before an asker's explorers.
func (a *asker) guarded(mode string, own ...string) *privacy {
	config := &Config{Privacy: PrivacySettings{Mode: mode}}
	for _, e := range a.explorers {
		config.Explorers = append(config.Explorers, explorer.Settings{Name: e.Name, Own: slices.Contains(own, e.Name)})
	}
	p := newPrivacy(config, a.store, a.now)
	for i, e := range a.explorers {
		a.explorers[i] = p.guard(e)
	}
	return p
}

// figure reads a number.
func (a *asker) figure(t *testing.T, query string) int64 {
	t.Helper()
	db := must(pgx.Connect(t.Context(), a.store.URL()))
	defer db.Close(context.Background())
	var number int64
	if err := db.QueryRow(t.Context(), query).Scan(&number); err != nil {
		t.Fatal(err)
	}
	return number
}

// counted gives an explorer that counts how often it is asked for counters.
func counted(name string, asked *atomic.Int64) *explorer.Explorer {
	return scriptedExplorer(name, scripted{counters: func(chain.Address) (explorer.Counters, error) {
		asked.Add(1)
		return explorer.Counters{Signal: "same"}, nil
	}})
}

// TestDisclosuresAreNeverLess: what is on record is never less than what was
// asked, at any moment and after a kill, and exact when the lead ended in order;
// and a round of many addresses is few commits.
func TestDisclosuresAreNeverLess(t *testing.T) {
	t.Parallel()
	const addresses = 250
	var asked atomic.Int64
	a := newAsked(t, addresses, counted("one", &asked))
	a.begun(t)
	a.allKnown(t)
	a.guarded(PrivacyAsk)
	rounds := func(times int) {
		t.Helper()
		for range times {
			if err := a.mempoolRound(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What is known has other counters than these: each is asked for its mempool
	// and history too, the first time.
	rounds(1)
	if got := a.figure(t, `SELECT count(DISTINCT xmin::text) FROM btcwatch.disclosure`); got > 2+addresses/mostAnnounced {
		t.Errorf("%d commits for %d addresses", got, addresses)
	}
	rounds(2)
	const questions = `SELECT sum(asked) FROM report.disclosures WHERE about = 'address'`
	truth := asked.Load()
	if truth < 3*addresses {
		t.Fatalf("only %d questions were put", truth)
	}
	// The program is killed here: nothing is settled, and another begins.
	record := a.figure(t, questions)
	if unsure := a.figure(t, `SELECT sum(unsure) FROM report.disclosures`); record < truth || unsure == 0 {
		t.Errorf("%d on record, %d unsure, %d in truth", record, unsure, truth)
	}
	if most := a.figure(t, `SELECT max(unsure) FROM report.disclosures`); most > eachAnnounced {
		t.Errorf("up to %d too many of an address, %d are announced", most, eachAnnounced)
	}
	p := newPrivacy(&Config{Privacy: PrivacySettings{Mode: PrivacyAsk}, Explorers: []explorer.Settings{{Name: "one"}}}, a.store, a.now)
	one := p.guard(counted("one", &asked))
	for n := range 5 {
		if _, err := one.Addresses.Counters(t.Context(), numbered(byte(n+1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if got := a.figure(t, questions); got != record+5 {
		t.Errorf("%d on record after five more and an end in order, want %d", got, record+5)
	}
}

// TestStopAmidAnnouncing: a stop in the moment in which the database commits what
// is announced leaves nothing unsure behind when the lead then ends in order.
func TestStopAmidAnnouncing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	a := newAsked(t, 1, counted("one", &asked))
	a.begun(t)
	p := a.guarded(PrivacyAsk)
	db := must(pgx.Connect(t.Context(), a.store.URL()))
	defer db.Close(context.Background())
	must(db.Exec(t.Context(), `
		CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_sleep(1);
			RETURN NULL;
		EXCEPTION WHEN query_canceled THEN -- too late: it is committed
			RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON btcwatch.disclosure
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.dawdle()`))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = a.explorers[0].Addresses.Counters(ctx, numbered(1)) // whether it is put in the end does not matter
	}()
	for a.figure(t, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	<-done
	must(db.Exec(t.Context(), `DROP TRIGGER dawdle ON btcwatch.disclosure`))
	if err := p.flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if got := a.figure(t, `SELECT sum(announced) FROM btcwatch.disclosure`); got != 0 {
		t.Errorf("%d stay announced", got)
	}
}

// TestDisclosuresCountExactly when nothing is killed, by day and operator.
func TestDisclosuresCountExactly(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	a := newAsked(t, 3, counted("one", &asked))
	clock := time.Date(2026, 5, 1, 23, 59, 0, 0, time.UTC)
	a.now = func() time.Time { return clock }
	p := a.guarded(PrivacyAsk)
	for day := range 3 {
		for range day + 1 {
			must(a.explorers[0].Addresses.Counters(t.Context(), numbered(1)))
		}
		clock = clock.Add(24 * time.Hour)
	}
	if err := errors.Join(p.flush(t.Context(), true), p.flush(t.Context(), true)); err != nil {
		t.Fatal(err)
	}
	for day, want := range map[string]int64{"2026-05-01": 1, "2026-05-02": 2, "2026-05-03": 3} {
		if got := a.figure(t, `SELECT sum(asked) FROM report.disclosures WHERE unsure = 0 AND day = '`+day+`'`); got != want {
			t.Errorf("%s: %d on record, want %d", day, got, want)
		}
	}
	if got := a.figure(t, `SELECT count(*) FROM report.disclosures`); got != 3 {
		t.Errorf("%d rows", got)
	}
}

// TestConfidentialAmidARound: an address that becomes confidential while a round
// runs is not asked about any more, which is nobody's failure.
func TestConfidentialAmidARound(t *testing.T) {
	t.Parallel()
	var a *asker
	asked := map[string]int{}
	e := scriptedExplorer("one", scripted{counters: func(of chain.Address) (explorer.Counters, error) {
		asked[of.Text]++
		if len(asked) == 1 {
			for n := range 3 {
				if address := numbered(byte(n + 1)); address.Text != of.Text {
					must(a.store.Watch(context.Background(), watchlist.Listing{Address: address, List: "command", Confidential: true}, "test"))
				}
			}
		}
		return explorer.Counters{}, nil
	}})
	a = newAsked(t, 3, e)
	a.begun(t)
	a.allKnown(t)
	a.guarded(PrivacyAsk)
	if err := a.mempoolRound(t.Context()); err != nil {
		t.Error(err)
	}
	if len(asked) != 1 {
		t.Errorf("%d addresses were asked about", len(asked))
	}
	if s := a.health.each["one"]; s == nil || s.err != nil {
		t.Errorf("the explorer is blamed: %+v", s)
	}
}

// TestWhatNobodyMayHear: refused are unlisted addresses, transactions of which
// nobody knows whom they concern, and any that a confidential address has a part
// in; a statement of whom it concerns lets the question through.
func TestWhatNobodyMayHear(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	a := newAsked(t, 2, counted("one", &asked), counted("own", &asked))
	must(a.store.Watch(t.Context(), watchlist.Listing{Address: numbered(9), List: "command", Confidential: true}, "test"))
	open, _, err := a.store.AddressConcern(t.Context(), numbered(1).Script)
	secret, private, err2 := a.store.AddressConcern(t.Context(), numbered(9).Script)
	if err := errors.Join(err, err2); err != nil || !private {
		t.Fatal(err, private)
	}
	unknown, canary := chainhash.Hash{7}, numbered(50)
	one, own := &explorer.Explorer{Name: "one"}, &explorer.Explorer{Name: "own"}
	for _, c := range []struct {
		mode    string
		to      *explorer.Explorer
		ctx     context.Context
		about   inquiry
		allowed bool
	}{
		{PrivacyAsk, one, t.Context(), aboutScript(numbered(1)), true},
		{PrivacyAsk, one, t.Context(), aboutScript(numbered(9)), false},
		{PrivacyAsk, one, t.Context(), aboutScript(numbered(77)), false},
		{PrivacyAsk, one, t.Context(), aboutTransaction(unknown), false},
		{PrivacyAsk, one, concerning(t.Context(), []int64{open}), aboutTransaction(unknown), true},
		{PrivacyAsk, one, concerning(t.Context(), []int64{open, secret}), aboutTransaction(unknown), false},
		{PrivacyOwn, one, t.Context(), aboutScript(numbered(1)), false},
		{PrivacyOwn, one, concerning(t.Context(), []int64{open}), aboutTransaction(unknown), false},
		{PrivacyOwn, own, t.Context(), aboutScript(numbered(1)), true},
		{PrivacyOwn, own, t.Context(), aboutScript(numbered(9)), false},
		{PrivacyBlocks, own, t.Context(), aboutScript(numbered(1)), false},
		{"", own, t.Context(), aboutScript(numbered(1)), false},
		{PrivacyAsk, one, blindly(t.Context()), aboutTransaction(unknown), true},
		{PrivacyAsk, one, blindly(concerning(t.Context(), []int64{open, secret})), aboutTransaction(unknown), false},
		{PrivacyOwn, one, blindly(t.Context()), aboutTransaction(unknown), false},
		{PrivacyBlocks, own, blindly(t.Context()), aboutTransaction(unknown), false},
		{PrivacyAsk, one, t.Context(), aboutScript(canary), true},
		{PrivacyOwn, one, t.Context(), aboutScript(canary), false},
		{PrivacyOwn, own, t.Context(), aboutScript(canary), true},
		{PrivacyBlocks, own, t.Context(), aboutScript(canary), false},
	} {
		p := newPrivacy(&Config{Privacy: PrivacySettings{Mode: c.mode}, Canary: CanarySettings{Address: &canary}, Explorers: []explorer.Settings{{Name: "one"}, {Name: "own", Own: true}}}, a.store, time.Now)
		err := p.asks(c.ctx, c.to, c.about)
		if (err == nil) != c.allowed || err != nil && !errors.Is(err, errPrivate) {
			t.Errorf("mode %q, explorer %s, %+v: %v", c.mode, c.to.Name, c.about, err)
		}
	}
}

// TestCanaryThatIsWatched: a canary that has come to be on a list is like any
// other address there: who is told of it is on record, and where it is
// confidential nobody is.
func TestCanaryThatIsWatched(t *testing.T) {
	t.Parallel()
	a := newAsked(t, 1, &explorer.Explorer{Name: "one"})
	must(a.store.Watch(t.Context(), watchlist.Listing{Address: numbered(9), List: "command", Confidential: true}, "test"))
	for _, c := range []struct {
		canary  chain.Address
		allowed bool
		told    int64
	}{{numbered(50), true, 0}, {numbered(9), false, 0}, {numbered(1), true, 1}} {
		p := newPrivacy(&Config{Privacy: PrivacySettings{Mode: PrivacyAsk}, Canary: CanarySettings{Address: &c.canary}, Explorers: []explorer.Settings{{Name: "one"}}}, a.store, time.Now)
		err := p.asks(t.Context(), &explorer.Explorer{Name: "one", Operator: "o"}, aboutScript(c.canary))
		if (err == nil) != c.allowed {
			t.Errorf("%s: %v", c.canary.Text, err)
		}
		if err := p.flush(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if got := a.figure(t, `SELECT coalesce(sum(asked), 0)::bigint FROM report.disclosures`); got != c.told {
			t.Errorf("%s: %d questions on record, want %d", c.canary.Text, got, c.told)
		}
	}
}

// TestEveryCapabilityIsDecided: an explorer that can do something new does not
// get past the guard unseen.
func TestEveryCapabilityIsDecided(t *testing.T) {
	passes := []string{"Chain", "Blocks", "Headers", "Prices"} // heights, headers, whole blocks, and prices, of which rates_test.go shows when they are asked for
	guarded := []string{"Addresses", "Transactions", "Spends", "Proofs", "Hints"}
	kind := reflect.TypeFor[explorer.Explorer]()
	for i := range kind.NumField() {
		f := kind.Field(i)
		if f.Type.Kind() == reflect.Interface && !slices.Contains(passes, f.Name) && !slices.Contains(guarded, f.Name) {
			t.Errorf("explorer.Explorer can do %s, and privacy.guard does not know whether that gives addresses away", f.Name)
		}
	}
	full := &explorer.Explorer{Name: "one", Addresses: scripted{}, Transactions: guardedTransactions{}, Spends: guardedSpends{}, Proofs: guardedProofs{}, Hints: guardedHints{}}
	p := newPrivacy(&Config{Privacy: PrivacySettings{Mode: PrivacyBlocks}, Explorers: []explorer.Settings{{Name: "one", Own: true}}}, nil, time.Now)
	if e := p.guard(full); e.Addresses != nil || e.Transactions != nil || e.Spends != nil || e.Proofs != nil || len(p.askers([]*explorer.Explorer{e})) != 0 {
		t.Errorf("with mode blocks an explorer keeps %+v", e)
	} else if own, guarded := e.Hints.(guardedHints); !guarded || own.behind == nil {
		t.Errorf("hints of blocks are %T, and addresses get past the guard there", e.Hints)
	}
}

// TestFeedIsGuarded: on a connection for hints too nothing is wished for that
// may not be asked about, whoever wishes.
func TestFeedIsGuarded(t *testing.T) {
	t.Parallel()
	a := newAsked(t, 1)
	a.begun(t)
	ledger, _ := newLedger()
	server := chaintest.NewElectrum(ledger, &chaincfg.RegressionNetParams)
	url, stop := server.Serve()
	t.Cleanup(stop)
	a.explorers = []*explorer.Explorer{must(explorer.Open(explorer.Settings{Name: "one", Kind: "electrum", URL: url}, &chaincfg.RegressionNetParams))}
	a.guarded(PrivacyAsk)
	feed := must(a.explorers[0].Hints.Listen(t.Context()))
	defer feed.Close()
	if err := feed.Address(t.Context(), numbered(99)); !errors.Is(err, errPrivate) {
		t.Errorf("one that is not watched: %v", err)
	}
	if err := feed.Address(t.Context(), numbered(1)); err != nil {
		t.Error(err)
	}
	if err := server.Faults.Await(t.Context(), "/blockchain.scripthash.subscribe", 1); err != nil {
		t.Fatal(err)
	}
	if n := server.Faults.Count("/blockchain.scripthash.subscribe"); n != 1 {
		t.Errorf("%d addresses were wished for, want the one that is watched", n)
	}
	if got := a.figure(t, `SELECT sum(asked) FROM report.disclosures`); got < 1 {
		t.Errorf("%d disclosures on record", got)
	}
}

// TestModeChanges at a restart: what was disclosed stays on record, nothing is
// added to it in mode blocks, and what that left out is a gap when it ends.
func TestModeChanges(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.began(ledger)
	seen := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 40_000}))
	w.word(alerts.TransactionSeen, seen, a)
	w.stop()
	const rows = `SELECT string_agg(concat(address, explorer, operator, day, about, asked), ' ' ORDER BY explorer, day, about) FROM report.disclosures`
	before := w.ask(rows)
	if asked, _ := strconv.Atoi(w.ask(`SELECT sum(asked) FROM report.disclosures`)); asked == 0 {
		t.Fatal("nothing is on record")
	}
	for _, s := range w.servers {
		s.Faults.Forget()
	}

	w.config.Privacy.Mode, w.config.Schedule.Mempool = PrivacyBlocks, ""
	w.start()
	w.awaitLog("privacy mode taken up")
	hidden := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 50_000}))
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, hidden, a)
	w.word(alerts.TransactionConfirmed, seen, a)
	w.stop()
	w.expect(before, rows)
	w.expect("0", `SELECT count(*) FROM btcwatch.alert WHERE type = 'transaction.seen' AND tx_id = (SELECT tx_id FROM btcwatch.tx_now n JOIN btcwatch.tx t ON t.id = n.tx_id WHERE btcwatch.display(t.txid) = $1)`, hidden.TxHash().String())
	for _, s := range w.servers {
		if n := s.Faults.Count("/address/**") + s.Faults.Count("/tx/**"); n != 0 {
			t.Errorf("%d questions about addresses and transactions with mode blocks", n)
		}
	}

	w.config.Privacy.Mode, w.config.Schedule.Mempool = PrivacyAsk, "@every 1s"
	w.start()
	again := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 60_000}))
	w.word(alerts.TransactionSeen, again, a)
	w.expect("the privacy mode was blocks, so that nobody was asked about unconfirmed payments", `SELECT reason FROM report.gaps WHERE kind = 'mempool'`)
	w.expect("{blocks,ask}", `SELECT array_agg(mode ORDER BY id) FROM btcwatch.privacy`)
	w.expect("0", `SELECT count(*) FROM btcwatch.outage WHERE kind = 'mempool'`)
}
