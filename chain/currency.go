package chain

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Currency is a currency of ISO 4217. Amounts of it are whole numbers of its
// minor unit, such as cents; the zero value is none.
type Currency struct {
	Code   string // such as "EUR"
	Digits int    // how many decimal digits the minor unit makes: 2 for cents
}

// The codes of ISO 4217 that name money which people have, by the digits of
// their minor unit. Metals, funds and test codes are left out.
const (
	noDigits    = " BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF "
	threeDigits = " BHD IQD JOD KWD LYD OMR TND "
	twoDigits   = " AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC " +
		"CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS " +
		"KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB " +
		"PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD " +
		"TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG "
)

// ParseCurrency reads a code of ISO 4217, in capital letters.
func ParseCurrency(code string) (Currency, error) {
	for digits, codes := range map[int]string{0: noDigits, 2: twoDigits, 3: threeDigits} {
		if len(code) == 3 && !strings.Contains(code, " ") && strings.Contains(codes, " "+code+" ") {
			return Currency{code, digits}, nil
		}
	}
	return Currency{}, fmt.Errorf("%q is no currency code of ISO 4217; write one such as EUR, USD or JPY", code)
}

// MaxRate is the most minor units that a bitcoin may be stated to be worth: a
// thousand times more than in any currency there is.
const MaxRate = 1_000_000_000_000_000

// Rate reads what a bitcoin is worth, in plain decimal digits of the major unit
// ("87654.5"), and gives minor units. Digits beyond the minor unit are rounded,
// half up. A sign, an exponent, nothing at all, zero and what is beyond MaxRate
// are refused: none of them is a price.
func (c Currency) Rate(text string) (int64, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if !plainDigits(whole) || dotted && !plainDigits(fraction) || len(text) > 64 {
		return 0, fmt.Errorf("not a number in plain decimal digits")
	}
	up := len(fraction) > c.Digits && fraction[c.Digits] >= '5'
	for len(fraction) < c.Digits {
		fraction += "0"
	}
	minor, err := strconv.ParseInt(whole+fraction[:c.Digits], 10, 64)
	if err != nil || minor >= MaxRate {
		return 0, fmt.Errorf("too large for what a bitcoin is worth")
	}
	if up {
		minor++
	}
	if minor == 0 {
		return 0, fmt.Errorf("zero, which is no price")
	}
	return minor, nil
}

func plainDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// Text writes minor units as a decimal number of the major unit, with all its
// digits: 1234.50.
func (c Currency) Text(minor int64) string {
	sign, abs := "", uint64(minor)
	if minor < 0 {
		sign, abs = "-", -uint64(minor)
	}
	text := strconv.FormatUint(abs, 10)
	if c.Digits == 0 {
		return sign + text
	}
	for len(text) <= c.Digits {
		text = "0" + text
	}
	at := len(text) - c.Digits
	return sign + text[:at] + "." + text[at:]
}

// Worth is what satoshis are worth at a rate in minor units for a bitcoin: minor
// units, rounded half up. It is false for negative amounts and where the result
// does not fit.
func Worth(sat, rate int64) (minor int64, ok bool) {
	if sat < 0 || rate < 0 {
		return 0, false
	}
	const half, whole = 50_000_000, 100_000_000
	high, low := bits.Mul64(uint64(sat), uint64(rate))
	low, carry := bits.Add64(low, half, 0)
	if high += carry; high >= whole {
		return 0, false
	}
	quotient, _ := bits.Div64(high, low, whole)
	return int64(quotient), quotient <= 1<<63-1
}
