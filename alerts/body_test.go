package alerts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// paymentFields are the names of design.md, with the JSON kind of each. People script
// against them: a change here is a change of the promise.
var paymentFields = map[string]string{
	"id": "string", "thread": "string", "severity": "string", "rules": "[]", "address": "string", "label": "string",
	"entity": "string", "listings": "[]", "txid": "string", "direction": "string", "amount_sat": "number",
	"fee_sat": "number", "state": "string", "proof": "string", "block_height": "number", "block_hash": "string",
	"confirmations": "number", "reported_by": "[]", "occurred_at": "string", "observed_at": "string",
	"historic": "bool", "corrects": "string", "links": "[]", "summary": "string",
}

func TestBodyHasTheFieldsOfTheDesign(t *testing.T) {
	p := historic()
	p.Entity, p.Listings = "X", []Listing{{List: "a", Basis: "press", Category: "c", Source: "s"}}
	missing := missingFields(fieldsOf(t, told(t)(p.Confirmed(testKey(), 1, true)).Body))
	delete(missing, "corrects")
	for name, why := range missing {
		t.Errorf("%s of a confirmed payment is %s", name, why)
	}
	data := fieldsOf(t, told(t)(p.Reorged(testKey(), ID{1})).Body)
	if data["corrects"] != ID([16]byte{1}).String() {
		t.Errorf("corrects is %v", data["corrects"])
	}
	for _, name := range []string{"list", "basis", "category", "source"} {
		if _, ok := data["listings"].([]any)[0].(map[string]any)[name]; !ok {
			t.Errorf("a listing has no %s", name)
		}
	}
}

// missingFields gives the promised fields that data lacks or has of
// another kind.
func missingFields(data map[string]any) map[string]string {
	left := map[string]string{}
	for name, kind := range paymentFields {
		if got, ok := data[name]; !ok || kindOf(got) != kind {
			left[name] = fmt.Sprintf("%s, not %s", kindOf(got), kind)
		}
	}
	return left
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case json.Number:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "[]"
	}
	return fmt.Sprintf("%T", v)
}

func fieldsOf(t *testing.T, body []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var top map[string]any
	if err := decoder.Decode(&top); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"type", "timestamp", "data"} {
		if _, ok := top[name]; !ok || len(top) != 3 {
			t.Fatalf("the envelope is %v", top)
		}
	}
	return top["data"].(map[string]any)
}

func TestWhatDoesNotApplyIsAbsent(t *testing.T) {
	p := incoming()
	p.AmountSat, p.BalanceSat = nil, nil
	data := fieldsOf(t, told(t)(p.Seen(testKey())).Body)
	for _, name := range []string{"amount_sat", "balance_sat", "block_height", "block_hash", "confirmations", "historic", "corrects", "entity", "explorer", "report", "lines"} {
		if got, ok := data[name]; ok {
			t.Errorf("%s is there: %v", name, got)
		}
	}
	p.AmountSat = ptr[int64](0)
	if got := fieldsOf(t, told(t)(p.Seen(testKey())).Body)["amount_sat"]; got != json.Number("0") {
		t.Errorf("nothing reads %v, not 0", got)
	}
}

func TestBodiesAreCompactDeterministicAndUTC(t *testing.T) {
	p := incoming()
	p.Label = "<b>&</b>"
	a, b := told(t)(p.Seen(testKey())), told(t)(p.Seen(testKey()))
	if !bytes.Equal(a.Body, b.Body) {
		t.Error("the same fact has two bodies")
	}
	slices.Reverse(p.Counterparties)
	if !bytes.Equal(a.Body, told(t)(p.Seen(testKey())).Body) {
		t.Error("the order of the counterparties shows")
	}
	if bytes.ContainsAny(a.Body, "\n\r") || !bytes.Contains(a.Body, []byte("<b>&</b>")) {
		t.Errorf("not compact, or escaped for HTML: %s", a.Body)
	}
	p.ObservedAt = p.ObservedAt.In(at("2026-03-01T12:00:00+05:00").Location())
	if c := told(t)(p.Seen(testKey())); !bytes.Equal(a.Body, c.Body) || c.At.Location() != at("2026-03-01T12:00:00Z").Location() {
		t.Error("the zone of the caller shows")
	}
}

func TestCounterpartiesAreCutButNoneThatIsListed(t *testing.T) {
	p := incoming()
	p.Counterparties = []Counterparty{{Address: "listed", AmountSat: ptr[int64](1), Listings: []Listing{{Basis: "designation"}}}, {Address: "unknown"}}
	for i := range 12 {
		p.Counterparties = append(p.Counterparties, Counterparty{Address: fmt.Sprintf("p%02d", i), AmountSat: ptr(int64(100 + i))})
	}
	b, err := Decode(told(t)(p.Seen(testKey())).Body)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range b.Data.Counterparties {
		got = append(got, c.Address)
	}
	want := "p11 p10 p09 p08 p07 p06 p05 p04 p03 listed"
	if strings.Join(got, " ") != want || b.Data.MoreParties != 4 {
		t.Errorf("shown are %v and %d more", got, b.Data.MoreParties)
	}
	if len(p.Counterparties) != 14 || p.Counterparties[0].Address != "listed" {
		t.Error("the caller's list was changed")
	}
}

func TestBodiesStaySmall(t *testing.T) {
	c := listChange()
	for range 100_000 {
		c.Added.Some = append(c.Added.Some, c.Added.Some[0])
	}
	c.Retired, c.Changed = c.Added, c.Added
	r := badReport()
	for range 1_000 {
		r.Gaps = append(r.Gaps, r.Gaps[1])
	}
	for name, a := range map[string]Alert{"list": c.Alert(testKey()), "report": r.Alert(testKey())} {
		if len(a.Body) >= 20_000 {
			t.Errorf("%s: %d bytes", name, len(a.Body))
		}
		t.Logf("%s: %d bytes", name, len(a.Body))
	}
}

// The words that the project does not use of anybody, in any sort of alert.
func TestNothingIsClaimedThatNobodyKnows(t *testing.T) {
	for name, a := range samples(t) {
		b, _ := Decode(a.Body)
		text := strings.ToLower(Subject(b) + Text(b, nil) + HTML(b, nil))
		for _, word := range []string{"terrorist", "belongs to", "donor", "owner", "suspect", "no activity", "no exposure", "verified by"} {
			if strings.Contains(text, word) {
				t.Errorf("%s says %q", name, word)
			}
		}
		if proven := strings.Contains(text, "proven:"); proven != (b.Data.Proof == Proven) {
			t.Errorf("%s claims a proof: %v", name, proven)
		}
	}
}
