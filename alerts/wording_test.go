package alerts

import (
	"strings"
	"testing"
)

func TestListingsAreNamedInTheirOwnWords(t *testing.T) {
	for want, l := range map[string]Listing{
		`named in OFAC SDN as SDGT (basis: designation, list: ofac)`:          {List: "ofac", Basis: "designation", Category: "SDGT", Source: "OFAC SDN"},
		`named in a list without a stated source (basis: not known, list: x)`: {List: "x"},
		`named in no stated source (basis: press)`:                            {Basis: "press"},
		`one of our own addresses (list: hot)`:                                {List: "hot", Basis: "own"},
		`one of our own addresses`:                                            {Basis: "own"},
	} {
		if got := naming(l); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestGradesSayWhatTheyMean(t *testing.T) {
	one := int32(3)
	for want, d := range map[string]Data{
		"Reported: an explorer says so. Nothing here has proven it.":                                                                                                           {Proof: Reported, State: Confirmed},
		"Reported: only a says so. Nothing here has proven it.":                                                                                                                {Proof: Reported, State: Confirmed, ReportedBy: []string{"a"}},
		"Reported: a and b say so, and do not count as independent witnesses. Nothing here has proven it.":                                                                     {Proof: Reported, State: Confirmed, ReportedBy: []string{"a", "b"}},
		"Reported: an explorer says so. Nothing here has proven it. " + unconfirmedWarning:                                                                                     {State: Unconfirmed},
		"Corroborated: independent explorers (a and b) say the same. It is not proven from the chain.":                                                                         {Proof: Corroborated, ReportedBy: []string{"a", "b"}},
		"Proven: btcwatch itself found the transaction in a block with proof of work" + unvalidated:                                                                            {Proof: Proven},
		"Proven: btcwatch itself found the transaction in a block with proof of work, 3 confirmations deep, on the chain that it follows; that chain rests on X" + unvalidated: {Proof: Proven, Confirmations: &one, RestsOn: "X"},
	} {
		d.TxID = someTxID
		if got := gradeMeans(d); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if got := gradeMeans(Data{Proof: Proven}); got != "" {
		t.Errorf("what is no payment has a grade: %q", got)
	}
}

const (
	unconfirmedWarning = "An unconfirmed transaction can still be replaced or never be confirmed."
	unvalidated        = ". Scripts and signatures are not validated."
)

func TestWhatComesNext(t *testing.T) {
	for _, c := range []struct {
		depths []int32
		seen   string
		first  string // after the first of them
	}{
		{nil, "No further message is due: no confirmations are configured.", ""},
		{[]int32{1}, "The next message comes at 1 confirmation.", "No further message is due. Should its block leave the chain, a correction follows."},
		{[]int32{2, 6, 100}, "The next message comes at 2 confirmations; deeper ones (6, 100) are in the daily report.",
			"No further message is due; deeper confirmations (6, 100) are in the daily report. Should its block leave the chain, a correction follows."},
	} {
		p := incoming()
		p.Depths = c.depths
		if got := nextOf(t, told(t)(p.Seen(testKey()))); got != c.seen {
			t.Errorf("%v: got %q", c.depths, got)
		}
		if len(c.depths) == 0 {
			continue
		}
		if got := nextOf(t, told(t)(p.Confirmed(testKey(), c.depths[0], true))); got != c.first {
			t.Errorf("%v: got %q", c.depths, got)
		}
	}
	dust := incoming()
	dust.AmountSat = ptr[int64](546)
	if got := nextOf(t, told(t)(dust.Seen(testKey()))); !strings.HasPrefix(got, "No message is sent") {
		t.Errorf("dust: got %q", got)
	}
}

func nextOf(t *testing.T, a Alert) string {
	t.Helper()
	b, err := Decode(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b.Data.Next
}

// A history that has not been read is never called empty.
func TestListChangeDoesNotCallTheUnreadEmpty(t *testing.T) {
	c := ListChange{Network: "mainnet", Import: 1, At: at("2026-03-01T12:00:00Z"), Added: ListPart{Count: 2}}
	for missing, want := range map[int64]string{
		0: "From before the watch: the explorers that were asked show no payments.",
		2: "The history of 2 addresses has not been read in full yet; it is asked for again.",
	} {
		c.HistoryMissing = missing
		b, _ := Decode(c.Alert(testKey()).Body)
		if got := b.Data.Lines[len(b.Data.Lines)-1]; got != want {
			t.Errorf("%d missing: %q", missing, got)
		}
	}
}

// All is well is said only when nothing is wrong.
func TestReportSaysWhatIsNotWell(t *testing.T) {
	for want, change := range map[string]func(*Report){
		"All is well.":                                        func(*Report) {},
		"Not all is well: no block was covered.":              func(r *Report) { r.Blocks = nil },
		"Not all is well: 1 gap.":                             func(r *Report) { r.Gaps = []Gap{{Kind: "schedule"}} },
		"Not all is well: 7 gaps.":                            func(r *Report) { r.GapCount = 7 },
		"Not all is well: explorer mempool.space is stale.":   func(r *Report) { r.Explorers[0].State = "stale" },
		"Not all is well: 1 alert was given up by a channel.": func(r *Report) { r.Dead = 1 },
		"Not all is well: a delivery has waited for 1 day.":   func(r *Report) { r.WaitingFor = &r.From },
		"Not all is well: no explorer is configured.":         func(r *Report) { r.Explorers = nil },
	} {
		r := dailyReport()
		change(&r)
		a := r.Alert(testKey())
		b, _ := Decode(a.Body)
		if b.Data.Lines[0] != want {
			t.Errorf("got %q, want %q", b.Data.Lines[0], want)
		}
		if (a.Severity == Info) != (want == "All is well.") || a.Quiet {
			t.Errorf("%s: %s, quiet %v", want, a.Severity, a.Quiet)
		}
	}
}
