package alerts

import (
	"encoding/json"
	"testing"
)

// The expected ids come from outside: for the first,
//
//	printf '\0\0\0\007mainnet\0\0\0\020transaction.seen\0\0\0\003a t\0\0\0\0010' |
//	openssl dgst -sha256 -mac HMAC -macopt key:0123456789abcdef0123456789abcdef
//
// cut to 32 digits.
func TestIDIsTheHMACOfItsFramedParts(t *testing.T) {
	if got := testKey().ID("mainnet", TransactionSeen, "a t", "0").String(); got != vectorSeen {
		t.Errorf("got %s, want %s", got, vectorSeen)
	}
	if got := testKey().thread("mainnet", "a t"); got != vectorThread {
		t.Errorf("thread: got %s, want %s", got, vectorThread)
	}
}

func TestPartsDoNotRunTogether(t *testing.T) {
	k := testKey()
	seen := map[ID]string{}
	for name, id := range map[string]ID{
		"ab c":        k.ID("n", "t", "ab", "c"),
		"a bc":        k.ID("n", "t", "a", "bc"),
		"abc":         k.ID("n", "t", "abc"),
		"abc empty":   k.ID("n", "t", "abc", ""),
		"abc two":     k.ID("n", "t", "abc", "", ""),
		"moved":       k.ID("nt", "", "abc"),
		"other key":   Key("another key another key another!").ID("n", "t", "abc"),
		"framed part": k.ID("n", "t", "ab\x00\x00\x00\x01c"),
	} {
		if other, double := seen[id]; double {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[id] = name
	}
}

func TestIDsReadBack(t *testing.T) {
	id := testKey().ID("mainnet", ReportDaily, "2026-03-01")
	text, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var back ID
	if err := json.Unmarshal(text, &back); err != nil || back != id {
		t.Errorf("%s reads back as %s: %v", id, back, err)
	}
	for _, bad := range []string{"", "00", id.String() + "00", "zz" + id.String()[2:]} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is taken for an id", bad)
		}
	}
}

// Ruling 3: what tells two alerts apart, and what does not.
func TestOccasionsTellAlertsApart(t *testing.T) {
	k, must := testKey(), told(t)
	turned, moved, elsewhere := confirmed(), confirmed(), confirmed()
	turned.Turn = 1
	moved.BlockHash = someTxID
	elsewhere.Address = articleTwo
	first := must(confirmed().Confirmed(k, 1, true))
	for name, other := range map[string]Alert{
		"another turn":    must(turned.Confirmed(k, 1, true)),
		"another block":   must(moved.Confirmed(k, 1, true)),
		"another depth":   must(confirmed().Confirmed(k, 6, true)),
		"another address": must(elsewhere.Confirmed(k, 1, true)),
		"another type":    must(confirmed().Seen(k)),
	} {
		if other.ID == first.ID {
			t.Errorf("%s has the same id", name)
		}
		if same := other.Thread == first.Thread; same != (name != "another address") {
			t.Errorf("%s: same thread %v", name, same)
		}
	}
	later := confirmed()
	later.Proof, later.Confirmations, later.ObservedAt, later.Label = Reported, 9, at("2027-01-01T00:00:00Z"), "x"
	if must(later.Confirmed(k, 1, true)).ID != first.ID {
		t.Error("the same fact seen later has another id")
	}
}

const (
	vectorSeen   = "01db2e2f87e701132709919540dc19b7"
	vectorThread = "234e997d589f6d9c8bab73be440d8e08"
)
