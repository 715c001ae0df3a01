package daemon

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"btcwatch/chain"
	"btcwatch/sql"
)

// How much a table of rates may hold, and how many of its faults are told.
const (
	maxRates      = 1_000_000
	maxRateFaults = 20
	maxSource     = 64
)

// ratesOwn is what a rate of the table has as its source where it names none.
const ratesOwn = "csv"

// readRates reads a table of rates: time, rate and, if need be, source, one a
// line, with or without a line of these names above. Faults begin with the line.
func readRates(from io.Reader, currency chain.Currency) (all []sql.Rate, faults []string) {
	r := csv.NewReader(from)
	r.FieldsPerRecord, r.Comment, r.TrimLeadingSpace, r.ReuseRecord = -1, '#', true, true
	seen := map[string]int{} // by time and source: the line
	for len(faults) < maxRateFaults {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			if len(all) == 0 && len(faults) == 0 {
				faults = append(faults, "holds no rate")
			}
			return all, faults
		}
		var broken *csv.ParseError
		switch {
		case errors.As(err, &broken):
			faults = append(faults, fmt.Sprintf("line %d: %s", broken.Line, broken.Err))
			continue
		case err != nil:
			return nil, append(faults, "cannot be read: "+err.Error())
		}
		line, _ := r.FieldPos(0)
		if len(all) == 0 && len(seen) == 0 && len(fields) > 0 && strings.EqualFold(strings.TrimPrefix(fields[0], "\ufeff"), "time") {
			continue
		}
		rate, err := readRate(fields, currency)
		if err == nil {
			key := rate.At.Format(time.RFC3339Nano) + " " + rate.Source
			if first := seen[key]; first > 0 {
				err = fmt.Errorf("%s stands on line %d already", key, first)
			}
			seen[key] = line
		}
		if err != nil {
			faults = append(faults, fmt.Sprintf("line %d: %s", line, err))
			continue
		}
		if all = append(all, rate); len(all) > maxRates {
			return nil, append(faults, fmt.Sprintf("holds more than %d rates", maxRates))
		}
	}
	return nil, append(faults, "has more faults than are told here")
}

func readRate(fields []string, currency chain.Currency) (sql.Rate, error) {
	if len(fields) < 2 || len(fields) > 3 {
		return sql.Rate{}, fmt.Errorf("has %d columns; write time,rate or time,rate,source", len(fields))
	}
	rate := sql.Rate{Currency: currency, Source: ratesOwn, Own: true}
	var err error
	if rate.At, err = readRateTime(strings.TrimSpace(strings.TrimPrefix(fields[0], "\ufeff"))); err != nil {
		return sql.Rate{}, err
	}
	text := strings.TrimSpace(fields[1])
	if rate.Minor, err = currency.Rate(text); err != nil {
		return sql.Rate{}, fmt.Errorf("the rate %q is %w; write what one bitcoin is worth in %s, such as 87654.32", text, err, currency.Code)
	}
	if len(fields) == 3 && strings.TrimSpace(fields[2]) != "" {
		rate.Source = strings.TrimSpace(fields[2])
	}
	if len(rate.Source) > maxSource || strings.ContainsFunc(rate.Source, unprintable) {
		return sql.Rate{}, fmt.Errorf("the source %q is no good name; use up to %d printable characters", rate.Source, maxSource)
	}
	return rate, nil
}

// readRateTime reads a time with its zone, or a day, which stands for its noon
// UTC: no time of that day is further away than half a day.
func readRateTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if at, err = time.Parse(time.DateOnly, text); err == nil {
			at = at.Add(12 * time.Hour)
		}
	}
	if err != nil || at.Year() < 2009 || at.Year() > 2200 {
		return time.Time{}, fmt.Errorf("%q is no time; write it as 2026-03-01T12:00:00Z, or a day as 2026-03-01", text)
	}
	return at.UTC().Truncate(time.Microsecond), nil
}
