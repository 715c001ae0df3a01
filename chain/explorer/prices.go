package explorer

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"btcwatch/chain"
)

// Prices answers what a bitcoin is worth. No answer can be checked, and the
// question tells nothing but the currency and the time that it names.
type Prices interface {
	// Price is what the explorer says that a bitcoin was worth at a time, or is
	// now for the zero time; ErrNotFound where it properly says that it has no
	// price of then. Kinds answer with that before or after the time: Price.At
	// says which.
	Price(ctx context.Context, currency chain.Currency, at time.Time) (Price, error)
}

// Price is what a bitcoin was worth, by the word of one explorer.
type Price struct {
	Minor int64     // minor units of the currency for one bitcoin; positive
	At    time.Time // when it was worth that, as the answer says, UTC
}

// The first block was mined then: nothing was worth a bitcoin before.
const firstPrice = 1231006505

// priceQuestion words a question about a price.
func priceQuestion(currency chain.Currency, at time.Time, path string) question {
	words := "price in " + currency.Code
	if !at.IsZero() {
		words += " at " + at.UTC().Format(time.RFC3339)
	}
	return question{words: words, path: path, limit: textLimit}
}

// Price asks mempool.space's own service beside the Esplora interface; other
// servers of the kind do not have it, and refuse.
func (e esplora) Price(ctx context.Context, currency chain.Currency, at time.Time) (Price, error) {
	if at.IsZero() {
		q := priceQuestion(currency, at, "/v1/prices")
		return ask(ctx, e.client, q, func(body []byte) (Price, error) { return checkPrice(body, readPriceIn(currency)) })
	}
	q := priceQuestion(currency, at, fmt.Sprintf("/v1/historical-price?currency=%s&timestamp=%d", currency.Code, at.Unix()))
	return ask(ctx, e.client, q, func(body []byte) (Price, error) {
		return checkPrice(body, func(r *jsonReader) statedPrice { return readPriceThen(r, currency) })
	})
}

// statedPrice is a price as it stands in an answer. Servers that have none of
// it write 0 or -1.
type statedPrice struct {
	Price
	none bool
}

func checkPrice(body []byte, read func(r *jsonReader) statedPrice) (Price, error) {
	p, err := readJSON(body, read)
	return p.known(err)
}

func (p statedPrice) known(err error) (Price, error) {
	if err == nil && p.none {
		err = &Error{Kind: ErrNotFound, Detail: "it has no price of then"}
	}
	if err != nil {
		return Price{}, err
	}
	return p.Price, nil
}

// readPriceIn reads an object with a time and prices by their currency.
func readPriceIn(currency chain.Currency) func(r *jsonReader) statedPrice {
	return func(r *jsonReader) (p statedPrice) {
		r.object(func(key string) {
			switch key {
			case "time":
				p.At = readPriceTime(r)
			case currency.Code:
				p.Minor, p.none = readRate(r, currency)
			default:
				r.skip()
			}
		}, "time", currency.Code)
		return p
	}
}

// readPriceThen reads the one price that was asked for. Without its parameters
// the server would give all that it has.
func readPriceThen(r *jsonReader, currency chain.Currency) (p statedPrice) {
	r.object(func(key string) {
		if key != "prices" {
			r.skip() // today's rates between currencies among them, which say nothing of then
			return
		}
		count := 0
		r.array(func() {
			p = readPriceIn(currency)(r)
			count++
		})
		if r.err == nil && count != 1 {
			r.fail("one price was to come")
		}
	}, "prices")
	return p
}

// readPriceTime reads when a price was.
func readPriceTime(r *jsonReader) time.Time {
	return time.Unix(r.integer(firstPrice, math.MaxUint32), 0).UTC()
}

// readRate reads a price digit by digit, never as a float. none says that the
// server writes that it has none.
func readRate(r *jsonReader, currency chain.Currency) (minor int64, none bool) {
	if c := r.next(); c != '-' && (c < '0' || c > '9') {
		r.fail("a number was to come here")
		return 0, false
	}
	text := r.number()
	if r.err != nil || text == "0" || text == "-1" {
		return 0, r.err == nil
	}
	minor, err := currency.Rate(text)
	if err != nil {
		r.fail(err.Error())
	}
	return minor, false
}

// Price asks for Blockbook's ticker: the first one at or after the time. It
// names currencies in small letters, and answers -1 for those that it lacks.
func (b blockbook) Price(ctx context.Context, currency chain.Currency, at time.Time) (Price, error) {
	name := strings.ToLower(currency.Code)
	path := "/tickers?currency=" + name
	if !at.IsZero() {
		path += fmt.Sprintf("&timestamp=%d", at.Unix())
	}
	q := priceQuestion(currency, at, path)
	q.reason = blockbookReason
	return ask(ctx, b.client, q, func(body []byte) (Price, error) {
		p, err := readBlockbook(body, func(r *jsonReader) statedPrice { return readTicker(r, currency, name) })
		return p.known(err)
	})
}

func readTicker(r *jsonReader, currency chain.Currency, name string) (p statedPrice) {
	r.object(func(key string) {
		switch key {
		case "ts":
			p.At = readPriceTime(r)
		case "rates":
			r.object(func(key string) {
				if key == name {
					p.Minor, p.none = readRate(r, currency)
				} else {
					r.skip()
				}
			}, name)
		default:
			r.skip()
		}
	}, "ts", "rates")
	return p
}
