package sql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

func euro() chain.Currency { return chain.Currency{Code: "EUR", Digits: 2} }

// priced is a bench whose amounts are told in euros by rates of at most an hour
// from the payment, with a clock that stands.
func priced(t *testing.T, now time.Time, watched ...chain.Address) (*bench, *chaintest.Chain) {
	t.Helper()
	tell := telling()
	tell.Fiat = euro()
	b, c := newBench(t, tell), chaintest.NewChain()
	sql.SetClock(b.store, func() time.Time { return now })
	c.MineEmpty(3)
	b.begin(c, 3)
	for _, a := range watched {
		b.watch(listing(a))
	}
	b.must(b.writer.SetFiat(t.Context(), euro(), time.Hour))
	return b, c
}

// rates records rates in euros, each as "source minor offset", and gives how
// many were news.
func (b *bench) rates(of time.Time, all ...string) int {
	b.Helper()
	var rates []sql.Rate
	for _, text := range all {
		var minor int64
		var source, offset string
		if _, err := fmt.Sscan(text, &source, &minor, &offset); err != nil {
			b.Fatal(err)
		}
		away, err := time.ParseDuration(offset)
		b.must(err)
		rates = append(rates, sql.Rate{Currency: euro(), Minor: minor, At: of.Add(away), Source: source, Own: strings.HasPrefix(source, "own")})
	}
	news, err := b.writer.RecordRates(b.Context(), rates)
	b.must(err)
	return news
}

const fiatColumns = `SELECT concat_ws(' ', amount_fiat, fiat_currency, extract(epoch FROM fiat_rate_at)::bigint, fiat_source) FROM report.transactions`

// The rate at first sight is told of what is unconfirmed, that at block time of
// what is confirmed, and what was told is never told otherwise.
func TestAmountsInFiat(t *testing.T) {
	a, now := address(1), time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	b, c := priced(t, now, a)
	b.rates(now, "beta 9000000 -61m", "alpha 8230400 -7m", "beta 8250000 -8m")
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 1_500_000))
	b.report("alpha", seen(tx))
	told := b.one(alerts.TransactionSeen)
	if want := (alerts.AmountFiat{Value: "1234.56", Currency: "EUR", Source: "alpha", Time: now.Add(-7 * time.Minute)}); told.AmountFiat == nil || *told.AmountFiat != want || told.NoRate != "" {
		t.Errorf("told %+v, %q; want %+v", told.AmountFiat, told.NoRate, want)
	}
	b.expect(fiatColumns, fmt.Sprintf("1234.56 EUR %d alpha", now.Add(-7*time.Minute).Unix()))
	before := b.dump()
	if n := b.rates(now, "gamma 8333334 1m"); n != 1 {
		t.Errorf("%d are news", n)
	}
	if after := b.one(alerts.TransactionSeen); *after.AmountFiat != *told.AmountFiat || before == b.dump() {
		t.Errorf("a rate that came later: %+v", after.AmountFiat)
	}
	// The view goes by what is on record now: 0.015 of 83,333.34 is 1,250.0001.
	b.expect(fiatColumns, fmt.Sprintf("1250.00 EUR %d gamma", now.Add(time.Minute).Unix()))

	c.Mine(tx)
	height, _ := c.Tip()
	mined := c.BlockAt(height).Header.Timestamp.UTC()
	b.rates(mined, "alpha 5000033 60m", "beta 4000000 -61m")
	b.follow(c)
	confirmed := b.one(alerts.TransactionConfirmed)
	// 0.015 of 50,000.33 is 750.00495.
	if want := (alerts.AmountFiat{Value: "750.00", Currency: "EUR", Source: "alpha", Time: mined.Add(time.Hour)}); confirmed.AmountFiat == nil || *confirmed.AmountFiat != want {
		t.Errorf("told %+v, want %+v", confirmed.AmountFiat, want)
	}
	b.expect(fiatColumns, fmt.Sprintf("750.00 EUR %d alpha", mined.Add(time.Hour).Unix()))
}

// Where no rate is near enough, none is told, and it is said that none is known.
func TestNoRateIsNeverZero(t *testing.T) {
	a, now := address(1), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b, _ := priced(t, now, a)
	b.rates(now, "alpha 8230400 -61m", "alpha 8230400 61m")
	_, err := b.writer.RecordRates(t.Context(), []sql.Rate{{Currency: chain.Currency{Code: "USD", Digits: 2}, Minor: 9_000_000, At: now, Source: "alpha"}})
	b.must(err)
	b.report("alpha", seen(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 1_500_000))))
	if told := b.one(alerts.TransactionSeen); told.AmountFiat != nil || told.NoRate != "EUR" {
		t.Errorf("told %+v, %q", told.AmountFiat, told.NoRate)
	}
	b.expect(`SELECT concat(amount_fiat, fiat_currency, fiat_rate_at, fiat_source) FROM report.transactions`, "")
	b.expect(`SELECT count(*)::text FROM report.transactions WHERE amount_fiat IS NULL AND fiat_currency IS NULL AND fiat_rate_at IS NULL AND fiat_source IS NULL`, "1")
}

// Without a currency nothing of it is in an alert or in the views.
func TestWithoutFiat(t *testing.T) {
	a := address(1)
	b, _ := started(t, a)
	b.must(b.writer.SetFiat(t.Context(), chain.Currency{}, 0))
	b.rates(time.Now(), "alpha 8230400 0s")
	b.report("alpha", seen(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 1_500_000))))
	b.expect(`SELECT count(*)::text FROM btcwatch.alert WHERE convert_from(body, 'UTF8') LIKE '%fiat%'`, "0")
	b.expect(`SELECT count(*)::text FROM report.transactions WHERE amount_fiat IS NULL AND fiat_source IS NULL`, "1")
	b.expect(`SELECT count(*)::text FROM btcwatch.fiat`, "0")
}

// Which rate is taken does not depend on the order in which they came: the
// operator's own, then the nearest, then the earlier, then the first by name.
func TestWhichRateIsTaken(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		rates []string
		want  string
	}{
		{[]string{"beta 200 5m", "alpha 100 6m"}, "beta 200"},
		{[]string{"beta 200 -5m", "alpha 100 5m"}, "beta 200"},
		{[]string{"beta 200 5m", "alpha 100 5m"}, "alpha 100"},
		{[]string{"own 300 -59m", "alpha 100 0s"}, "own 300"},
		{[]string{"own 300 -61m", "alpha 100 60m"}, "alpha 100"},
		{[]string{"own 300 -60m1s", "alpha 100 60m1s"}, ""},
		{[]string{"alpha 100 5m", "alpha 101 5m"}, "alpha 101"},
		{[]string{"alpha 100 5m", "alpha 101 5m", "alpha 100 5m"}, "alpha 100"},
	} {
		for _, turn := range []bool{false, true} {
			b, _ := priced(t, now)
			rates := c.rates
			if turn && !strings.HasPrefix(rates[1], "alpha 101") {
				rates = []string{rates[1], rates[0]}
			}
			for _, r := range rates {
				if n := b.rates(now, r); n != 1 {
					t.Errorf("%s: %d are news", r, n)
				}
			}
			if n := b.rates(now, rates[len(rates)-1]); n != 0 {
				t.Errorf("%s again: %d are news", rates[len(rates)-1], n)
			}
			if got := strings.Join(b.lines(`SELECT concat_ws(' ', source, minor) FROM btcwatch.rate_at($1)`, now), ""); got != c.want {
				t.Errorf("of %q: %q, want %q", rates, got, c.want)
			}
		}
	}
}

// Sources that differ by more than three percent are named so, in the alert too.
func TestRatesThatDiffer(t *testing.T) {
	a, now := address(1), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b, _ := priced(t, now, a)
	b.rates(now, "alpha 100000 -5m", "beta 103000 -4m") // three percent exactly
	b.expect(`SELECT DISTINCT disputed::text FROM report.rates`, "false")
	b.rates(now, "gamma 103001 -30m", "alpha 100000 -90m")
	b.expect(`SELECT string_agg(concat_ws(' ', source, disputed), ', ' ORDER BY at DESC) FROM report.rates`, "beta f, alpha t, gamma t, alpha f")
	b.report("alpha", seen(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 1_500_000))))
	if told := b.one(alerts.TransactionSeen); told.AmountFiat == nil || told.AmountFiat.Source != "beta" || told.AmountFiat.Disputed {
		t.Errorf("told %+v", told.AmountFiat)
	}
	b.rates(now, "delta 1 -4m")
	b.report("alpha", seen(transaction(2, []wire.OutPoint{stranger(2)}, pays(a, 2_500_000))))
	if all := b.bodies(alerts.TransactionSeen, true); len(all) != 2 || all[1].AmountFiat == nil || !all[1].AmountFiat.Disputed {
		t.Errorf("told %+v", all)
	}
	b.rates(now, "delta 103000 -4m", "gamma 103000 -30m") // they correct themselves
	b.expect(`SELECT count(*)::text FROM report.rates WHERE disputed AND source IN ('alpha', 'beta')`, "0")
}

// What the view says is what chain.Worth says, in currencies of all digits.
func TestViewRoundsAsAlertsDo(t *testing.T) {
	b, _ := started(t)
	random := dice(t, 7)
	for range 300 {
		sat, rate, digits := random.Int64N(2_100_000_000_000_000), 1+random.Int64N(1<<40), []int{0, 2, 3}[random.IntN(3)]
		minor, ok := chain.Worth(sat, rate)
		if !ok {
			continue
		}
		b.expect(`SELECT btcwatch.worth($1, ROW(0, 'EUR', $2, $3, now(), 'x', false, now())::btcwatch.rate)::text`,
			chain.Currency{Code: "EUR", Digits: digits}.Text(minor), sat, digits, rate)
	}
	b.expect(`SELECT btcwatch.worth(1, ROW(0, 'EUR', 2, 50000000, now(), 'x', false, now())::btcwatch.rate)::text`, "0.01")
	b.expect(`SELECT coalesce(btcwatch.worth(1, NULL)::text, 'null')`, "null")
}

// Days are asked of one after the other, newest first, whatever was paid.
func TestDaysToAskOf(t *testing.T) {
	b, _ := started(t)
	first, last := time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	for _, want := range []string{"2026-03-01", "2026-02-28", "2026-02-27"} {
		day, ok, err := b.store.NextRateDay(t.Context(), euro(), first, last)
		if err != nil || !ok || day.Format(time.DateOnly) != want || day.Hour() != 0 || day.Location() != time.UTC {
			t.Fatalf("%v, %v, %v; want %s", day, ok, err, want)
		}
		b.must(b.writer.RecordRateDay(t.Context(), euro(), day, nil))
	}
	if day, ok, err := b.store.NextRateDay(t.Context(), euro(), first, last); ok || err != nil {
		t.Errorf("%v, %v", day, err)
	}
	if day, ok, err := b.store.NextRateDay(t.Context(), euro(), first, last.AddDate(0, 0, 2)); !ok || err != nil || day.Format(time.DateOnly) != "2026-03-03" {
		t.Errorf("two days later: %v, %v", day, err)
	}
	if day, ok, err := b.store.NextRateDay(t.Context(), chain.Currency{Code: "USD", Digits: 2}, first, last); !ok || err != nil || day.Format(time.DateOnly) != "2026-03-01" {
		t.Errorf("in another currency: %v, %v", day, err)
	}
}

// The setting is a row where it changes, and only there.
func TestSetFiat(t *testing.T) {
	b, _ := started(t)
	dollar := chain.Currency{Code: "USD", Digits: 2}
	for _, set := range []struct {
		currency chain.Currency
		age      time.Duration
		rows     string
		now      string
	}{
		{chain.Currency{}, 0, "0", ""}, {euro(), time.Hour, "1", "EUR 01:00:00"}, {euro(), time.Hour, "1", "EUR 01:00:00"},
		{euro(), 12 * time.Hour, "2", "EUR 12:00:00"}, {dollar, 12 * time.Hour, "3", "USD 12:00:00"}, {chain.Currency{}, time.Hour, "4", ""}, {chain.Currency{}, 0, "4", ""},
	} {
		b.must(b.writer.SetFiat(t.Context(), set.currency, set.age))
		b.expect(`SELECT count(*)::text FROM btcwatch.fiat`, set.rows)
		if got := strings.Join(b.lines(`SELECT concat_ws(' ', currency, max_age) FROM btcwatch.fiat_now`), ""); got != set.now {
			t.Errorf("in force is %q, want %q", got, set.now)
		}
	}
}
