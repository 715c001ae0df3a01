package explorer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
)

func euro() chain.Currency { return chain.Currency{Code: "EUR", Digits: 2} }

func priceAt(at time.Time) func(ctx context.Context, e *Explorer) (any, error) {
	return func(ctx context.Context, e *Explorer) (any, error) { return e.Prices.Price(ctx, euro(), at) }
}

// scenePrices have a row at each of three times, two days apart.
func scenePrices() *chaintest.Prices {
	p := &chaintest.Prices{}
	p.Set(time.Unix(1_499_904_000, 0), "EUR", "1964", "USD", "2254.9")
	p.Set(time.Unix(1_500_076_800, 0), "EUR", "1751.55", "USD", "2002.125")
	p.Set(time.Unix(1_700_000_000, 0), "EUR", "34567.891", "USD", "37000")
	return p
}

// Kinds differ in which price they give for a time: all say of when it is.
func TestKindsGivePrices(t *testing.T) {
	before, after := Price{196_400, time.Unix(1_499_904_000, 0).UTC()}, Price{175_155, time.Unix(1_500_076_800, 0).UTC()}
	now := Price{3_456_789, time.Unix(1_700_000_000, 0).UTC()}
	forEachKind(t, func(t *testing.T, of subject) {
		e := of.open(t, newScene(t), &badWire{})
		if e.Prices == nil {
			t.Skip("gives no prices")
		}
		then := map[string]Price{"esplora": before, "blockbook": after}[of.kind]
		for at, want := range map[time.Time]Price{{}: now, time.Unix(1_500_000_000, 0): then, before.At: before, after.At: after} {
			if got, err := e.Prices.Price(t.Context(), euro(), at); err != nil || got != want {
				t.Errorf("at %v: %+v, %v; want %+v", at, got, err, want)
			}
		}
		// 2002.125 has more digits than a cent: half goes up.
		if got, err := e.Prices.Price(t.Context(), chain.Currency{Code: "USD", Digits: 2}, after.At); err != nil || got.Minor != 200_213 {
			t.Errorf("in USD: %+v, %v", got, err)
		}
		if got, err := e.Prices.Price(t.Context(), chain.Currency{Code: "KZT", Digits: 2}, time.Time{}); err == nil || got != (Price{}) {
			t.Errorf("in what it does not have: %+v, %v", got, err)
		}
	})
}

// What mempool.space's documentation shows, as recorded.
func TestRecordedPrices(t *testing.T) {
	then := string(recorded.Read(t, "recorded", "mempool", "v1_historical_price.json"))
	e := opened(t, text("%s", then))
	got, err := e.Prices.Price(t.Context(), euro(), time.Unix(1_500_000_000, 0))
	if want := (Price{196_400, time.Date(2017, 7, 13, 0, 0, 0, 0, time.UTC)}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err := e.Prices.Price(t.Context(), chain.Currency{Code: "CHF", Digits: 2}, time.Unix(1_500_000_000, 0)); err == nil || got != (Price{}) || !strings.Contains(err.Error(), "CHF: missing") {
		t.Errorf("francs, by today's rate between currencies: %+v, %v", got, err)
	}
	now := string(recorded.Read(t, "recorded", "mempool", "v1_prices.json"))
	for _, code := range []string{"USD", "EUR"} {
		got, err := opened(t, text("%s", now)).Prices.Price(t.Context(), chain.Currency{Code: code, Digits: 2}, time.Time{})
		if err != nil || got.Minor <= 0 || got.At.Year() < 2020 || !strings.Contains(now, fmt.Sprintf(`"%s": %d`, code, got.Minor/100)) {
			t.Errorf("%s: %+v, %v of %s", code, got, err, now)
		}
	}
}

// What is no price is refused and says why; none of it is read as zero.
func TestNoPriceIsReadAsZero(t *testing.T) {
	for _, c := range []struct {
		rate string
		kind error
		says string
	}{
		{"0", ErrNotFound, "no price of then"}, {"-1", ErrNotFound, "no price of then"}, {"0.0", ErrMalformed, "EUR: zero"}, {"0.001", ErrMalformed, "EUR: zero"},
		{"-5", ErrMalformed, "EUR: not a number in plain"}, {"-0.5", ErrMalformed, "EUR: not a number in plain"}, {"1e5", ErrMalformed, "EUR: not a number in plain"},
		{"99999999999999999999", ErrMalformed, "EUR: too large"}, {"10000000000000", ErrMalformed, "EUR: too large"}, {`"34567"`, ErrMalformed, "EUR: a number was to come"},
		{`"NaN"`, ErrMalformed, "EUR: a number was to come"}, {"NaN", ErrMalformed, "EUR: a number was to come"}, {"Infinity", ErrMalformed, "EUR: a number was to come"},
		{"null", ErrMalformed, "EUR: a number was to come"}, {"true", ErrMalformed, "EUR: a number was to come"}, {"[1]", ErrMalformed, "EUR: a number was to come"},
		{"01", ErrMalformed, "EUR: not a number"}, {".5", ErrMalformed, "EUR: a number was to come"},
	} {
		for kind, answer := range map[string]string{
			"esplora": `{"time":1700000000,"EUR":` + c.rate + `}`, "blockbook": `{"ts":1700000000,"rates":{"eur":` + c.rate + `}}`,
		} {
			e := opened(t, text("%s", answer), func(s *Settings) { s.Kind = kind })
			got, err := e.Prices.Price(t.Context(), euro(), time.Time{})
			says := c.says
			if kind == "blockbook" {
				says = strings.Replace(says, "EUR:", "eur:", 1)
			}
			if got != (Price{}) || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "fetch price in EUR from witness") {
				t.Errorf("%s, %s: %+v, %v; want %v: %s", kind, c.rate, got, err, c.kind, says)
			}
		}
	}
	for _, at := range []string{"0", "-5", "1231006504", "4294967296", "1.5", "null", `"1700000000"`} {
		e := opened(t, text("%s", `{"time":`+at+`,"EUR":5}`))
		if got, err := e.Prices.Price(t.Context(), euro(), time.Time{}); got != (Price{}) || !errors.Is(err, ErrMalformed) {
			t.Errorf("at %s: %+v, %v", at, got, err)
		}
	}
	for _, answer := range []string{`{"prices":[]}`, `{"prices":null}`, `{"prices":[{"time":1700000000,"EUR":5},{"time":1700000001,"EUR":6}]}`, `{"prices":[{"time":1279497600,"EUR":0}]}`} {
		e := opened(t, text("%s", answer))
		if got, err := e.Prices.Price(t.Context(), euro(), time.Unix(1_500_000_000, 0)); got != (Price{}) || err == nil {
			t.Errorf("%s: %+v, %v", answer, got, err)
		}
	}
}

// A question says the currency and the time, and nothing else.
func TestWhatAPriceQuestionSays(t *testing.T) {
	for kind, want := range map[string][2]string{
		"esplora":   {"/v1/prices", "/v1/historical-price?currency=EUR&timestamp=1500000000"},
		"blockbook": {"/tickers?currency=eur", "/tickers?currency=eur&timestamp=1500000000"},
	} {
		var asked []string
		e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked = append(asked, r.Method+" "+r.RequestURI+string(body))
			w.WriteHeader(http.StatusInternalServerError)
		}), func(s *Settings) { s.Kind = kind })
		_, _ = e.Prices.Price(t.Context(), euro(), time.Time{})
		_, _ = e.Prices.Price(t.Context(), euro(), time.Unix(1_500_000_000, 0))
		if len(asked) != 2 || asked[0] != "GET "+want[0] || asked[1] != "GET "+want[1] {
			t.Errorf("%s was asked %q", kind, asked)
		}
	}
}
