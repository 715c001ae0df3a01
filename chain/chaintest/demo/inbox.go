package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// inbox is the receiving end of one channel: what came, by the id of the
// alert. A repeat is allowed, if it is the same byte for byte.
type inbox struct {
	name string // of the channel
	what string // for people

	mu      sync.Mutex
	order   []string
	first   map[string]arrival
	repeats int
	faults  []string // what must never happen
}

// arrival is the first that came of an alert.
type arrival struct {
	content []byte
	at      time.Time
}

func newInbox(name, what string) *inbox {
	return &inbox{name: name, what: what, first: map[string]arrival{}}
}

func (b *inbox) take(id string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, known := b.first[id]
	switch {
	case !known:
		b.first[id] = arrival{bytes.Clone(content), time.Now()}
		b.order = append(b.order, id)
	case bytes.Equal(before.content, content):
		b.repeats++
	default:
		b.faults = append(b.faults, fmt.Sprintf("alert %s came again with other bytes", id))
	}
}

func (b *inbox) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

func (b *inbox) get(id string) (arrival, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.first[id]
	return a, ok
}

// state gives the ids in the order of their arrival, how many repeats came, and
// the faults.
func (b *inbox) state() (ids []string, repeats int, faults []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append(ids, b.order...), b.repeats, append(faults, b.faults...)
}

// bodies gives what came, read, in the order of arrival.
func (b *inbox) bodies() []body {
	ids, _, _ := b.state()
	var all []body
	for _, id := range ids {
		a, _ := b.get(id)
		read, err := readBody(a.content)
		if err != nil {
			b.fault("alert %s cannot be read: %s", id, err)
			continue
		}
		all = append(all, read)
	}
	return all
}

// body is what the demo looks at in an alert. It is written after the
// documentation, as a receiver's programmer would write it.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		ID          string   `json:"id"`
		Thread      string   `json:"thread"`
		Corrects    string   `json:"corrects"`
		ReplacedBy  string   `json:"replaced_by"`
		ReportedBy  []string `json:"reported_by"`
		Severity    string   `json:"severity"`
		Network     string   `json:"network"`
		Explorer    string   `json:"explorer"`
		Address     string   `json:"address"`
		Label       string   `json:"label"`
		TxID        string   `json:"txid"`
		Direction   string   `json:"direction"`
		AmountSat   *int64   `json:"amount_sat"`
		FeeSat      *int64   `json:"fee_sat"`
		State       string   `json:"state"`
		Proof       string   `json:"proof"`
		RestsOn     string   `json:"rests_on"`
		BlockHeight *int32   `json:"block_height"`
		BlockHash   string   `json:"block_hash"`
		Summary     string   `json:"summary"`
		Lines       []string `json:"lines"`
		List        *struct {
			Added struct {
				Count int `json:"count"`
			} `json:"added"`
			HistoricPayments    int    `json:"historic_payments"`
			HistoricReceivedSat *int64 `json:"historic_received_sat"`
		} `json:"list_change"`
	} `json:"data"`
}

func readBody(content []byte) (body, error) {
	var b body
	err := json.Unmarshal(content, &b)
	return b, err
}

// recordFile is the receiving end of a channel of kind file: one body a line.
type recordFile struct {
	*inbox
	path string
	read int // bytes
}

// look reads the lines that are new.
func (r *recordFile) look() {
	data, err := os.ReadFile(r.path)
	if err != nil {
		return // not there yet
	}
	for {
		line, _, whole := bytes.Cut(data[r.read:], []byte("\n"))
		if !whole {
			return
		}
		r.read += len(line) + 1
		b, err := readBody(line)
		if err != nil || b.Data.ID == "" {
			r.fault("a line of %s is no alert: %.60q", r.path, line)
			continue
		}
		r.take(b.Data.ID, line)
	}
}
