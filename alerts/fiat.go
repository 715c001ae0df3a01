package alerts

import (
	"time"

	"btcwatch/chain"
)

// Fiat is what a payment was worth in a currency, by a rate that somebody
// states. It is no fact of the chain, and nothing of it is proven.
type Fiat struct {
	Minor    int64     // of the currency: cents, rounded half up
	Currency string    // code of ISO 4217
	Source   string    // who states the rate
	At       time.Time // of when the rate is, by its source
	Disputed bool      // another source states a rate more than three percent off for that time
}

// AmountFiat is how a body says what a payment was worth.
type AmountFiat struct {
	Value    string    `json:"value"` // decimal digits of the major unit, with those of the minor unit: "1234.50"
	Currency string    `json:"currency"`
	Source   string    `json:"source"` // who states the rate: an explorer, or what the operator's table names
	Time     time.Time `json:"time"`   // of when the rate is
	Disputed bool      `json:"disputed,omitempty"`
}

// fiat gives what the body says; where a rate was looked for and none is known,
// the currency in which there is none. Without an amount there is neither.
func (p Payment) fiat() (amount *AmountFiat, missing string) {
	if p.AmountSat == nil {
		return nil, ""
	}
	if p.Fiat == nil {
		return nil, p.FiatCurrency
	}
	currency, err := chain.ParseCurrency(p.Fiat.Currency)
	if err != nil {
		return nil, p.FiatCurrency
	}
	return &AmountFiat{
		Value: currency.Text(p.Fiat.Minor), Currency: currency.Code, Source: p.Fiat.Source,
		Time: p.Fiat.At.UTC(), Disputed: p.Fiat.Disputed,
	}, ""
}

// amount writes an amount for people, and what it was worth beside it where
// that is known.
func (d Data) amount() string {
	text := btc(*d.AmountSat)
	if d.AmountFiat != nil {
		text += " (" + d.AmountFiat.words() + ")"
	}
	return text
}

// amountSaid is amount for a sentence that may end in "proven", which the rate
// never is.
func (d Data) amountSaid() string {
	text := btc(*d.AmountSat)
	if d.AmountFiat != nil {
		text += " (" + d.AmountFiat.words() + " by the rate of " + clean(d.AmountFiat.Source) + ")"
	}
	return text
}

// words is the amount as people read it: 1,234.50 EUR.
func (a AmountFiat) words() string { return groupedDecimal(clean(a.Value)) + " " + clean(a.Currency) }

// fiatField is the amount for programs that read fields: 1234.50 EUR.
func (d Data) fiatField() string {
	if d.AmountFiat == nil {
		return ""
	}
	return clean(d.AmountFiat.Value) + " " + clean(d.AmountFiat.Currency)
}

// worth says by whose rate it is, and where there is none, that there is none.
func (d Data) worth() string {
	switch {
	case d.NoRate != "":
		return "not known: no rate known in " + clean(d.NoRate)
	case d.AmountFiat == nil:
		return ""
	}
	a := d.AmountFiat
	text := a.words() + ", by the rate of " + clean(a.Source) + " of " + clock(a.Time, nil)
	if a.Disputed {
		text += "; another source states a rate more than 3 % off"
	}
	return text
}

// groupedDecimal writes commas between the thousands of a decimal number.
func groupedDecimal(text string) string {
	end := len(text)
	for i, r := range text {
		if r == '.' {
			end = i
			break
		}
	}
	for i := end - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
