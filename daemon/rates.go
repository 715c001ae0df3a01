package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

const (
	// ratesAhead is how far in the future the time of a rate may lie.
	ratesAhead = 10 * time.Minute
	// refusedPause is for how long an explorer that does not serve prices is not
	// asked for them again.
	refusedPause = 6 * time.Hour
	// dayPause is between two days of which the rate is asked, so that others of
	// the same explorer's questions come first: all days take about a day.
	dayPause = 15 * time.Second
	// dayRest is how long no day is looked for when none was left.
	dayRest = time.Hour
)

// firstRateDay is the first day of which explorers know a price.
func firstRateDay() time.Time { return time.Date(2010, 7, 18, 0, 0, 0, 0, time.UTC) }

// rater asks explorers what a bitcoin is worth. When and of which time it asks
// follows from the configuration and the clock alone, so that nobody learns from
// it when a payment was: the price of now at every turn, and that of noon UTC of
// each day there was, one after the other, newest first.
type rater struct {
	store     *sql.Store
	writer    *sql.Writer
	explorers []*explorer.Explorer
	currency  chain.Currency
	trusted   func(name string) bool
	beat      func()
	now       func() time.Time
	log       *slog.Logger

	refused map[string]time.Time // by explorer: when it did
	said    map[string]string    // by explorer, or by two: what was logged of them last
	rested  time.Time            // since when there is no day left
}

func (l *leader) rater(job string) *rater {
	return &rater{
		store: l.store, writer: l.writer, explorers: l.explorers, currency: l.config.Fiat.Currency, trusted: l.health.trusted,
		beat: func() { l.pulse.beat(job) }, now: l.Now, log: l.Log, refused: map[string]time.Time{}, said: map[string]string{},
	}
}

// rateLoops are those that ask what a bitcoin is worth.
func (l *leader) rateLoops() (all []loop) {
	set := l.config.Fiat
	if set.Currency.Code == "" {
		return nil
	}
	all = append(all, loop{"rates", set.Every, l.rater("rates").round})
	if set.MaxAge >= withDays {
		all = append(all, loop{"rate days", dayPause, l.rater("rate days").dayRound})
	}
	return all
}

// takeUpFiat puts the configured currency in force, and the table of rates on
// record.
func (l *leader) takeUpFiat(ctx context.Context) error {
	set := l.config.Fiat
	if err := l.writer.SetFiat(ctx, set.Currency, set.MaxAge); err != nil {
		return err
	}
	const batch = 10_000
	for from := 0; from < len(set.Table); from += batch {
		if _, err := l.writer.RecordRates(ctx, set.Table[from:min(from+batch, len(set.Table))]); err != nil {
			return err
		}
	}
	return nil
}

// able gives who may be asked for a price: who can, is not caught in a lie, and
// has not refused lately.
func (r *rater) able() (all []*explorer.Explorer) {
	for _, e := range r.explorers {
		if e.Prices == nil || !r.trusted(e.Name) {
			continue
		}
		if at, refused := r.refused[e.Name]; !refused || r.now().Sub(at) >= refusedPause {
			all = append(all, e)
		}
	}
	return all
}

// round asks everybody for the price of now, and records each answer at once.
func (r *rater) round(ctx context.Context) error {
	var stated []sql.Rate
	for _, e := range r.able() {
		r.beat()
		rate, err := r.ask(ctx, e, time.Time{})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		if _, err := r.writer.RecordRates(ctx, []sql.Rate{rate}); err != nil {
			return err
		}
		stated = append(stated, rate)
	}
	r.compare(stated)
	return nil
}

// ask gives what an explorer says, as it can be recorded. What went wrong is
// logged, when it is not what went wrong the last time.
func (r *rater) ask(ctx context.Context, e *explorer.Explorer, at time.Time) (sql.Rate, error) {
	price, err := e.Prices.Price(ctx, r.currency, at)
	if err == nil && price.At.After(r.now().Add(ratesAhead)) {
		err = badAnswer(e.Name, "price in "+r.currency.Code, fmt.Errorf("its time, %s, lies in the future", price.At.Format(time.RFC3339)))
	}
	if ctx.Err() != nil {
		return sql.Rate{}, ctx.Err()
	}
	delete(r.refused, e.Name)
	if errors.Is(err, explorer.ErrRefused) {
		r.refused[e.Name] = r.now()
	}
	r.saying(e.Name, err)
	return sql.Rate{Currency: r.currency, Minor: price.Minor, At: price.At, Source: e.Name}, err
}

func (r *rater) saying(name string, err error) {
	words := ""
	if err != nil {
		words = err.Error()
	}
	before, known := r.said[name]
	r.said[name] = words
	switch {
	case errors.Is(err, explorer.ErrNotFound): // a proper answer
	case err != nil && before != words:
		r.log.Warn("no price from an explorer", "explorer", name, "currency", r.currency.Code, "error", err)
	case err == nil && known && before != "":
		r.log.Info("prices again from an explorer", "explorer", name, "currency", r.currency.Code)
	}
}

// near is how near in time two rates must be to be compared, and of a hundred how
// much they may differ. btcwatch.rate_disputed goes by the same.
const (
	near       = 30 * time.Minute
	mayDiffer  = 3
	outOfWhole = 100
)

// differ says whether two rates of the same time are too far apart for both to be
// right.
func differ(a, b sql.Rate) bool {
	if a.At.Sub(b.At).Abs() > near {
		return false
	}
	low, high := min(a.Minor, b.Minor), max(a.Minor, b.Minor)
	return (high-low)*outOfWhole > low*mayDiffer // far from the end of int64: see chain.MaxRate
}

// compare logs which of those who answered differ, once until they do not.
func (r *rater) compare(stated []sql.Rate) {
	for i, a := range stated {
		for _, b := range stated[:i] {
			pair, words := b.Source+" and "+a.Source, ""
			if differ(a, b) {
				words = "differ"
				if r.said[pair] == "" {
					r.log.Warn("rates differ", "currency", r.currency.Code, "explorer", b.Source, "rate", r.currency.Text(b.Minor),
						"other", a.Source, "other_rate", r.currency.Text(a.Minor))
				}
			}
			r.said[pair] = words
		}
	}
}

// dayRound asks for the rate at noon UTC of one day: the newest that has ended
// and was not asked of yet.
func (r *rater) dayRound(ctx context.Context) error {
	now := r.now()
	if now.Sub(r.rested).Abs() < dayRest {
		return nil
	}
	day, ok, err := r.store.NextRateDay(ctx, r.currency, firstRateDay(), now.Add(-24*time.Hour))
	if err != nil {
		return err
	}
	if !ok {
		r.rested = now
		return nil
	}
	return r.dayOf(ctx, day)
}

// dayOf asks one after the other until one has a price. Where all properly have
// none, that is recorded; where one may have it later, the day is asked again.
func (r *rater) dayOf(ctx context.Context, day time.Time) error {
	all, later := r.able(), false
	for i := range all {
		e := all[(i+day.YearDay())%len(all)]
		r.beat()
		rate, err := r.ask(ctx, e, day.Add(12*time.Hour))
		if err == nil {
			return r.writer.RecordRateDay(ctx, r.currency, day, []sql.Rate{rate})
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		later = later || errors.Is(err, explorer.ErrUnavailable) || errors.Is(err, explorer.ErrRateLimited)
	}
	if later || len(all) == 0 {
		return nil
	}
	return r.writer.RecordRateDay(ctx, r.currency, day, nil)
}
