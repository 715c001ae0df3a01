package chaintest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Prices is what servers say that a bitcoin is worth: rates that the test sets,
// in decimal digits as they are to stand in answers. It may be shared by servers,
// and changed while they serve.
type Prices struct {
	mu     sync.Mutex
	points []pricePoint // by time
}

type pricePoint struct {
	at    int64
	rates map[string]json.Number // by code, such as "EUR"
}

// Set adds what a bitcoin is worth from a time on: a code and its rate, and so on.
func (p *Prices) Set(at time.Time, pairs ...string) {
	point := pricePoint{at.Unix(), map[string]json.Number{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		point.rates[pairs[i]] = json.Number(pairs[i+1])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.points = append(p.points, point)
	slices.SortStableFunc(p.points, func(a, b pricePoint) int { return int(a.at - b.at) })
}

// asked gives the points that a question chooses from, by time; none of them
// makes false.
func (p *Prices) asked(r *http.Request) (points []pricePoint, at int64, ok bool) {
	if p == nil {
		return nil, 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at, _ = strconv.ParseInt(r.URL.Query().Get("timestamp"), 10, 64)
	return slices.Clone(p.points), at, len(p.points) > 0
}

// now answers as mempool.space does: all currencies, and the time.
func (p *Prices) now(r *http.Request) ([]byte, error) {
	points, _, ok := p.asked(r)
	if !ok {
		return nil, refusal(http.StatusNotFound, "endpoint does not exist "+strconv.Quote(r.URL.Path))
	}
	return points[len(points)-1].row("")
}

func (p pricePoint) row(only string) ([]byte, error) {
	row := map[string]any{"time": p.at}
	for code, rate := range p.rates {
		if only == "" || code == only || code == "USD" {
			row[code] = rate
		}
	}
	return json.Marshal(row)
}

// then answers as mempool.space does: the newest row that is not after the time;
// before the first one, a row of zeros. Today's rates between currencies come
// along.
func (p *Prices) then(r *http.Request) ([]byte, error) {
	points, at, ok := p.asked(r)
	if !ok {
		return nil, refusal(http.StatusNotFound, "endpoint does not exist "+strconv.Quote(r.URL.Path))
	}
	code := r.URL.Query().Get("currency")
	found := pricePoint{1279497600, map[string]json.Number{code: "0"}}
	for _, point := range points {
		if point.at <= at {
			found = point
		}
	}
	row, err := found.row(code)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"prices": []json.RawMessage{row}, "exchangeRates": map[string]json.Number{"USDEUR": "0.92"}})
}

// ticker answers as a Blockbook does: the first one that is not before the time,
// else the newest; -1 for a currency that it lacks.
func (p *Prices) ticker(r *http.Request) (any, error) {
	points, at, ok := p.asked(r)
	if !ok {
		return nil, bookRefusal("No tickers found!")
	}
	found := points[len(points)-1]
	if i := slices.IndexFunc(points, func(p pricePoint) bool { return p.at >= at }); i >= 0 && at > 0 {
		found = points[i]
	}
	name := strings.ToLower(r.URL.Query().Get("currency"))
	rate, known := found.rates[strings.ToUpper(name)]
	if !known {
		rate = "-1"
	}
	return map[string]any{"ts": found.at, "rates": map[string]json.Number{name: rate}}, nil
}
