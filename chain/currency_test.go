package chain

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestCurrencies(t *testing.T) {
	for code, digits := range map[string]int{"EUR": 2, "USD": 2, "JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3, "UZS": 2, "KZT": 2, "XOF": 0} {
		if c, err := ParseCurrency(code); err != nil || c.Code != code || c.Digits != digits {
			t.Errorf("%s: %+v, %v", code, c, err)
		}
	}
	for _, code := range []string{"", "eur", "EURO", "EU", " EU", "U E", "XAU", "XXX", "BTC", "EUR ", "UR ", "€"} {
		if c, err := ParseCurrency(code); err == nil {
			t.Errorf("%q is taken for %+v", code, c)
		}
	}
	all := map[string]bool{}
	for _, code := range strings.Fields(noDigits + twoDigits + threeDigits) {
		if all[code] || len(code) != 3 {
			t.Errorf("%s stands twice, or is no code", code)
		}
		all[code] = true
	}
}

func TestRatesAreReadExactly(t *testing.T) {
	for _, c := range []struct {
		code, text string
		want       int64
	}{
		{"EUR", "1964", 196_400}, {"USD", "2254.9", 225_490}, {"USD", "0.01", 1}, {"USD", "87654.32", 8_765_432},
		{"USD", "28374.124999", 2_837_412}, {"USD", "28374.125", 2_837_413}, {"USD", "0.005", 1}, {"USD", "99.995", 10_000},
		{"JPY", "13000000.5", 13_000_001}, {"JPY", "13000000.49999", 13_000_000}, {"KWD", "26000.1234", 26_000_123},
		{"EUR", "007.50", 750}, {"EUR", "9999999999999.99", 999_999_999_999_999}, {"USD", "90071992547.41", 9_007_199_254_741},
	} {
		currency, err := ParseCurrency(c.code)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := currency.Rate(c.text); err != nil || got != c.want {
			t.Errorf("%s %s: %d, %v; want %d", c.text, c.code, got, err, c.want)
		}
	}
	euro := Currency{"EUR", 2}
	for _, text := range []string{"", "0", "0.00", "0.004", "-1", "-0.01", "+5", "1e5", "1E5", "5.", ".5", "1,000", "1 000", "NaN", "Infinity", "inf", "0x10",
		"null", `"5"`, "10000000000000", "99999999999999999999", "1.2.3", "٣", strings.Repeat("0", 65) + "1"} {
		if got, err := euro.Rate(text); err == nil || got != 0 {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

func TestAmountsAsText(t *testing.T) {
	for _, c := range []struct {
		digits int
		minor  int64
		want   string
	}{{2, 0, "0.00"}, {2, 5, "0.05"}, {2, 123_450, "1234.50"}, {0, 17, "17"}, {3, 17, "0.017"}, {2, -5, "-0.05"}, {2, math.MaxInt64, "92233720368547758.07"}, {2, math.MinInt64, "-92233720368547758.08"}} {
		if got := (Currency{"XYZ", c.digits}).Text(c.minor); got != c.want {
			t.Errorf("%d with %d digits: %s, want %s", c.minor, c.digits, got, c.want)
		}
	}
}

// What satoshis are worth, by hand and against numbers of any size.
func TestWorth(t *testing.T) {
	for _, c := range []struct{ sat, rate, want int64 }{
		{100_000_000, 8_230_400, 8_230_400}, {1_500_000, 8_230_400, 123_456}, // 0.015 of 82,304.00 is 1,234.56
		{0, 8_230_400, 0}, {1, 8_230_400, 0}, // 0.08 cents
		{1, 50_000_000, 1}, {1, 49_999_999, 0}, {3, 50_000_000, 2}, // exactly half goes up
		{2_100_000_000_000_000, 100_000_000, 2_100_000_000_000_000},
	} {
		if got, ok := Worth(c.sat, c.rate); !ok || got != c.want {
			t.Errorf("%d at %d: %d, %v; want %d", c.sat, c.rate, got, ok, c.want)
		}
	}
	for _, c := range [][2]int64{{-1, 5}, {5, -1}, {math.MaxInt64, math.MaxInt64}, {2_100_000_000_000_000, MaxRate}, {math.MaxInt64, 100_000_001}} {
		if got, ok := Worth(c[0], c[1]); ok {
			t.Errorf("%d at %d gives %d", c[0], c[1], got)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		sat, rate := random.Int64N(2_100_000_000_000_000), 1+random.Int64N(MaxRate)>>random.IntN(50)
		exact := new(big.Int).Mul(big.NewInt(sat), big.NewInt(rate))
		exact.Add(exact, big.NewInt(50_000_000)).Quo(exact, big.NewInt(100_000_000))
		got, ok := Worth(sat, rate)
		if ok != exact.IsInt64() || ok && got != exact.Int64() {
			t.Fatalf("%d at %d: %d, %v; want %s", sat, rate, got, ok, exact)
		}
	}
}
