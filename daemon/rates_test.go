package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

func euro() chain.Currency { return chain.Currency{Code: "EUR", Digits: 2} }

// quoter is an explorer that answers about prices as the test says, and notes
// what it was asked.
type quoter struct {
	answer func(at time.Time) (explorer.Price, error)
	asked  []string
}

func (q *quoter) Price(_ context.Context, currency chain.Currency, at time.Time) (explorer.Price, error) {
	words := "now"
	if !at.IsZero() {
		words = at.UTC().Format(time.RFC3339)
	}
	q.asked = append(q.asked, currency.Code+" "+words)
	return q.answer(at)
}

func says(minor int64, away time.Duration, of func() time.Time) func(time.Time) (explorer.Price, error) {
	return func(at time.Time) (explorer.Price, error) {
		if at.IsZero() {
			at = of()
		}
		return explorer.Price{Minor: minor, At: at.Add(away)}, nil
	}
}

func fails(kind error) func(time.Time) (explorer.Price, error) {
	return func(time.Time) (explorer.Price, error) {
		return explorer.Price{}, &explorer.Error{Kind: kind, Explorer: "one", Question: "price in EUR"}
	}
}

// rating is a rater over quoters, with a clock that the test sets.
type rating struct {
	*asker
	*rater
	log  *syncBuffer
	time time.Time
}

func newRating(t *testing.T, quoters ...*quoter) *rating {
	t.Helper()
	r := &rating{asker: newAsked(t, 2), log: &syncBuffer{}, time: time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)}
	var all []*explorer.Explorer
	for i, q := range quoters {
		all = append(all, &explorer.Explorer{Name: []string{"one", "two", "three"}[i], Prices: q})
	}
	all = append(all, &explorer.Explorer{Name: "electrum"})
	r.rater = &rater{
		store: r.asker.store, writer: r.asker.writer, explorers: all, currency: euro(), trusted: func(string) bool { return true }, beat: func() {},
		now: func() time.Time { return r.time }, log: slog.New(slog.NewTextHandler(r.log, nil)), refused: map[string]time.Time{}, said: map[string]string{},
	}
	return r
}

func (r *rating) clock() time.Time { return r.time }

func (r *rating) recorded(t *testing.T, want int64) {
	t.Helper()
	if got := r.asker.figure(t, `SELECT count(*) FROM btcwatch.rate`); got != want {
		t.Errorf("%d rates on record, want %d", got, want)
	}
}

// Everybody is asked for the price of now; who refuses not again for hours; what
// is no price is not recorded and said once.
func TestPricesOfNow(t *testing.T) {
	t.Parallel()
	one, two, three := &quoter{}, &quoter{answer: fails(explorer.ErrRefused)}, &quoter{answer: fails(explorer.ErrMalformed)}
	r := newRating(t, one, two, three)
	one.answer = says(8_230_400, -time.Minute, r.clock)
	for range 3 {
		if err := r.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.time = r.time.Add(10 * time.Minute)
	}
	if len(one.asked) != 3 || len(two.asked) != 1 || len(three.asked) != 3 || one.asked[0] != "EUR now" {
		t.Errorf("asked %q, %q, %q", one.asked, two.asked, three.asked)
	}
	r.recorded(t, 3)
	if n := strings.Count(r.log.String(), "no price from an explorer"); n != 2 {
		t.Errorf("said %d times\n%s", n, r.log)
	}
	one.answer = says(8_230_400, 11*time.Minute, r.clock)
	if err := r.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.recorded(t, 3)
	if !strings.Contains(r.log.String(), "lies in the future") {
		t.Errorf("a price of the future is not named\n%s", r.log)
	}
	r.time = r.time.Add(refusedPause)
	three.answer, two.answer, one.answer = says(8_230_500, 0, r.clock), says(8_000_000, 0, r.clock), says(8_230_400, 0, r.clock)
	for range 2 {
		if err := r.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.recorded(t, 6)
	// 8,230,500 is 2.88 % over 8,000,000 and fine; 8,250,000 is 3.125 % over it.
	if strings.Contains(r.log.String(), "rates differ") {
		t.Errorf("they do not differ much\n%s", r.log)
	}
	r.time = r.time.Add(time.Hour)
	three.answer = says(8_250_000, 0, r.clock)
	for range 2 {
		if err := r.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(r.log.String(), "rates differ"); n != 1 || !strings.Contains(r.log.String(), "explorer=two rate=80000.00 other=three other_rate=82500.00") {
		t.Errorf("said %d times\n%s", n, r.log)
	}
}

// The prices of the past are asked for on a grid that has nothing to do with what
// was paid: noon UTC of each day, newest first, whatever is recorded.
func TestPricesOfThePastFollowAGrid(t *testing.T) {
	t.Parallel()
	one := &quoter{}
	r := newRating(t, one)
	one.answer = says(5, -5*time.Minute, r.clock)
	var want []string
	for day := 1; day <= 40; day++ {
		want = append(want, "EUR "+time.Date(2026, 3, 2-day, 12, 0, 0, 0, time.UTC).Format(time.RFC3339))
	}
	r.asker.begun(t)
	for n := range 40 {
		if n == 20 { // a payment comes, and time passes within the day
			tx := wire.NewMsgTx(2)
			tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{9}}, nil, nil))
			tx.AddTxOut(wire.NewTxOut(50_000, numbered(1).Script))
			recorded := must(r.asker.writer.Record(t.Context(), "one", []*chain.Transaction{{ID: tx.TxHash(), Msg: tx, Spent: []*wire.TxOut{nil}}}))
			if recorded.News != 1 {
				t.Fatalf("recorded %+v", recorded)
			}
			r.time = r.time.Add(3 * time.Hour)
		}
		if err := r.dayRound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(one.asked, want) {
		t.Errorf("asked\n%q, want\n%q", one.asked, want)
	}
	r.recorded(t, 40)
	// The next day comes before the older ones.
	r.time = r.time.AddDate(0, 0, 1)
	if err := r.dayRound(t.Context()); err != nil || one.asked[40] != "EUR 2026-03-02T12:00:00Z" {
		t.Errorf("the next day: %q, %v", one.asked[40:], err)
	}
}

// A day is done when somebody has a price or all properly have none; where one
// may have it later it is asked again.
func TestADayWithoutAPrice(t *testing.T) {
	t.Parallel()
	one, two := &quoter{answer: fails(explorer.ErrNotFound)}, &quoter{answer: fails(explorer.ErrUnavailable)}
	r := newRating(t, one, two)
	day := func() {
		t.Helper()
		if err := r.dayRound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	day()
	day()
	if len(two.asked) != 2 || two.asked[0] != two.asked[1] {
		t.Errorf("asked %q", two.asked)
	}
	two.answer = fails(explorer.ErrMalformed)
	day()
	day()
	if n := len(one.asked); n != 4 || one.asked[2] != one.asked[0] || one.asked[3] != "EUR 2026-02-28T12:00:00Z" {
		t.Errorf("asked %q", one.asked)
	}
	r.recorded(t, 0)
}

// A payment is told with what it was worth at first sight, and only the price of
// now was asked for; who has no prices was asked once.
func TestPaymentsAreToldInFiat(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	prices := &chaintest.Prices{}
	quoted := time.Now().Add(-5 * time.Minute).Truncate(time.Second).UTC()
	prices.Set(quoted.AddDate(0, 0, -1), "EUR", "1", "USD", "2")
	prices.Set(quoted, "EUR", "82304", "USD", "90000.5")
	w.servers[0].Prices = prices
	w.config.Fiat = FiatSettings{Currency: euro(), Every: time.Second, MaxAge: time.Hour}
	w.began(ledger)
	w.await("1", `SELECT count(*) FROM btcwatch.rate`)
	for _, server := range w.servers {
		if err := server.Faults.Await(t.Context(), "/v1/prices", 1); err != nil {
			t.Fatal(err)
		}
	}
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 1_500_000}))
	told := w.word(alerts.TransactionSeen, paid, a)
	if want := (alerts.AmountFiat{Value: "1234.56", Currency: "EUR", Source: "one", Time: quoted}); told.AmountFiat == nil || *told.AmountFiat != want {
		t.Errorf("told %+v, want %+v", told.AmountFiat, want)
	}
	w.expect("1234.56 EUR one", `SELECT concat_ws(' ', amount_fiat, fiat_currency, fiat_source) FROM report.transactions`)
	w.stop()
	if n := w.servers[0].Faults.Count("/v1/historical-price"); n != 0 {
		t.Errorf("%d questions about the past", n)
	}
	if n := w.servers[1].Faults.Count("/v1/prices"); n != 1 {
		t.Errorf("who has no prices was asked %d times", n)
	}
	w.expect("1", `SELECT count(*) FROM btcwatch.rate`)
}

func TestReadRates(t *testing.T) {
	for text, want := range map[string]string{
		"2026-03-01T12:00:00Z,82304.5": "2026-03-01T12:00:00Z 8230450 csv",
		"time,rate\n2026-03-01,82304":  "2026-03-01T12:00:00Z 8230400 csv",
		"\ufeffTime,Rate,Source\r\n2026-03-01T15:00:00+03:00, 82304.005 ,ECB\r\n\r\n2026-03-02,1,\r\n": "2026-03-01T12:00:00Z 8230401 ECB; 2026-03-02T12:00:00Z 100 csv",
		"# a remark\n2026-03-01,5,a\n2026-03-01,6,b\n":                                                 "2026-03-01T12:00:00Z 500 a; 2026-03-01T12:00:00Z 600 b",
	} {
		all, faults := readRates(strings.NewReader(text), euro())
		var got []string
		for _, r := range all {
			got = append(got, fmt.Sprint(r.At.Format(time.RFC3339), " ", r.Minor, " ", r.Source))
			if !r.Own || r.Currency != euro() {
				t.Errorf("%+v", r)
			}
		}
		if strings.Join(got, "; ") != want || len(faults) > 0 {
			t.Errorf("%q: %q, %q; want %q", text, got, faults, want)
		}
	}
	for text, want := range map[string]string{
		"": "holds no rate", "time,rate\n": "holds no rate",
		"2026-03-01,5\n2026-03-02": "line 2: has 1 columns", "2026-03-01,5,a,b": "line 1: has 4 columns",
		"yesterday,5": `line 1: "yesterday" is no time`, "2026-03-01 12:00,5": "line 1: ", "1700000000,5": "line 1: ", "2008-01-01,5": "line 1: ",
		"time,rate\n2026-03-01,0": `line 2: the rate "0" is zero`, "2026-03-01,-5": `line 1: the rate "-5" is not a number`, "2026-03-01,1e5": "line 1: the rate",
		"2026-03-01,": `line 1: the rate "" is`, "2026-03-01,99999999999999999": "line 1: the rate", "2026-03-01,5\n2026-03-01T12:00:00Z,6": "line 2: 2026-03-01T12:00:00Z csv stands on line 1",
		"2026-03-01,5,\x1b[31m": "line 1: the source", "2026-03-01,\"5": "line 1: ", "2026-03-01,5,": "",
	} {
		all, faults := readRates(strings.NewReader(text), euro())
		if want == "" {
			if len(faults) > 0 {
				t.Errorf("%q: %q", text, faults)
			}
			continue
		}
		if len(faults) != 1 || !strings.HasPrefix(faults[0], want) {
			t.Errorf("%q: %d rates, %q; want %q", text, len(all), faults, want)
		}
	}
	if _, faults := readRates(strings.NewReader(strings.Repeat("x,y\n", 1000)), euro()); len(faults) != maxRateFaults+1 {
		t.Errorf("%d faults are told", len(faults))
	}
}

// A table of one's own is on record before anything is told, goes before what
// explorers say, and is read again with the configuration.
func TestOwnRates(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	now := time.Now().UTC().Truncate(time.Second)
	w.config.Fiat = FiatSettings{Currency: euro(), Every: time.Hour, MaxAge: 2 * time.Hour, Table: []sql.Rate{{Currency: euro(), Minor: 5_000_000, At: now.Add(-time.Hour), Source: "ECB", Own: true}}}
	w.began(ledger)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 1_500_000}))
	told := w.word(alerts.TransactionSeen, paid, a)
	if f := told.AmountFiat; f == nil || f.Value != "750.00" || f.Source != "ECB" {
		t.Errorf("told %+v", f)
	}
	next := *w.config
	next.Fiat.Table = append(slices.Clone(next.Fiat.Table), sql.Rate{Currency: euro(), Minor: 6_000_000, At: now, Source: "ECB", Own: true})
	w.next = &next
	w.reload <- struct{}{}
	w.await("2", `SELECT count(*) FROM btcwatch.rate`)
	w.await("900.00", `SELECT amount_fiat FROM report.transactions`)
}

// The keys of [fiat], from a file.
func TestFiatSettings(t *testing.T) {
	const rest = "[explorers.one]\nkind = \"esplora\"\nurl = \"https://explorer.example/api\"\n[channels.screen]\nkind = \"stdout\"\n"
	if c := load(t, rest); c.Fiat.Currency != (chain.Currency{}) || c.Fiat.Every != 10*time.Minute || c.Fiat.MaxAge != time.Hour {
		t.Errorf("by default %+v", c.Fiat)
	}
	table := filepath.Join(t.TempDir(), "rates.csv")
	if err := os.WriteFile(table, []byte("time,rate\n2026-03-01,13000000.5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, rest+"[fiat]\ncurrency = \"JPY\"\nevery = \"1h\"\nmax_age = \"12h\"\ncsv = \""+table+"\"\n")
	if c.Fiat.Currency != (chain.Currency{Code: "JPY"}) || c.Fiat.Every != time.Hour || c.Fiat.MaxAge != withDays || len(c.Fiat.Table) != 1 || c.Fiat.Table[0].Minor != 13_000_001 {
		t.Errorf("%+v", c.Fiat)
	}
	if err := os.WriteFile(table, []byte("time,rate\n2026-03-01,5\n\nx,5\n2026-03-02,-5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"currency = \"eur\"": {"7: fiat.currency: \"eur\" is no currency code"},
		"csv = \"x\"":        {"7: fiat.csv: is not read while currency is empty"},
		"currency = \"EUR\"\ncsv = \"" + table + "\"":      {"8: fiat.csv: " + table + " line 4: \"x\" is no time", "8: fiat.csv: " + table + " line 5: the rate \"-5\""},
		"currency = \"EUR\"\ncsv = \"" + table + ".none\"": {"8: fiat.csv: " + table + ".none cannot be read"},
		"currency = \"EUR\"\nevery = \"1s\"":               {"8: fiat.every: 1s is out of bounds"},
		"currency = \"EUR\"\nmax_age = \"72h\"":            {"8: fiat.max_age: 72h is out of bounds"},
		"currency = \"EUR\"\nevery = \"2h\"":               {"8: fiat.every: 2h is longer than max_age, 1h"},
		"currency = \"EUR\"\nrate = \"5\"":                 {"8: fiat.rate: unknown key"},
		"currency = 5":                                     {"7: fiat.currency: a whole number stands here"},
	} {
		_, err := Load(write(t, rest+"[fiat]\n"+text+"\n"))
		if err == nil {
			t.Errorf("%s: loaded", text)
			continue
		}
		for i, line := range strings.Split(err.Error(), "\n") {
			if i >= len(want) || !strings.Contains(line, ":"+want[i]) {
				t.Errorf("%s: told\n%s", text, err)
			}
		}
	}
	if _, err := Load(write(t, "network = \"signet\"\n"+rest+"[fiat]\ncurrency = \"EUR\"\n")); err == nil || !strings.Contains(err.Error(), "coins of signet have no value") {
		t.Errorf("signet: %v", err)
	}
	electrum := strings.Replace(strings.Replace(rest, "esplora", "electrum", 1), "https://explorer.example/api", "ssl://explorer.example:50002", 1)
	if _, err := Load(write(t, electrum+"[fiat]\ncurrency = \"EUR\"\n"), CheckExplorers); err == nil || !strings.Contains(err.Error(), "no explorer is of a kind that knows prices") {
		t.Errorf("electrum alone: %v", err)
	}
}
