package alerts

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestSeveritiesByTheDesign(t *testing.T) {
	listings := func(bases ...string) (all []Listing) {
		for _, basis := range bases {
			all = append(all, Listing{List: "l", Basis: basis})
		}
		return all
	}
	for name, c := range map[string]struct {
		direction Direction
		amount    *int64
		own       []Listing // of the watched address
		other     []Listing // of its counterparty
		want      Severity
		rules     []string // nil: no alert
	}{
		"money in":                       {In, ptr[int64](1_001), listings("press"), nil, Medium, []string{"money-in"}},
		"money out":                      {Out, ptr[int64](5_000), listings("press"), nil, High, []string{"money-out"}},
		"money to itself":                {Within, ptr[int64](300), listings("press"), nil, High, []string{"money-out"}},
		"dust":                           {In, ptr[int64](1_000), listings("press"), nil, Info, []string{"dust"}},
		"nothing at all in":              {In, ptr[int64](0), listings("press"), nil, Info, []string{"dust"}},
		"unknown in":                     {In, nil, listings("press"), nil, Medium, []string{"money-in"}},
		"unknown out":                    {Out, nil, listings("press"), nil, High, []string{"money-out"}},
		"little out is not dust":         {Out, ptr[int64](10), listings("press"), nil, High, []string{"money-out"}},
		"no listing":                     {In, ptr[int64](5_000), nil, nil, Medium, []string{"money-in"}},
		"designated":                     {In, ptr[int64](1_001), listings("designation"), nil, Severe, []string{"money-in", "designation"}},
		"designated, dust":               {In, ptr[int64](1_000), listings("designation"), nil, Info, []string{"dust"}},
		"designated, unknown":            {In, nil, listings("designation"), nil, Severe, []string{"money-in", "designation"}},
		"designated, little out":         {Out, ptr[int64](10), listings("designation"), nil, Severe, []string{"money-out", "designation"}},
		"seized":                         {Out, ptr[int64](5_000), listings("press", "seizure"), nil, Severe, []string{"money-out", "seizure"}},
		"both":                           {Out, ptr[int64](5_000), listings("seizure", "designation"), nil, Severe, []string{"money-out", "designation", "seizure"}},
		"from designated":                {In, ptr[int64](5_000), listings("press"), listings("designation"), Severe, []string{"money-in", "designation"}},
		"from designated, dust":          {In, ptr[int64](500), listings("press"), listings("designation"), Info, []string{"dust"}},
		"from press":                     {In, ptr[int64](5_000), listings("court"), listings("press"), Medium, []string{"money-in"}},
		"own alone":                      {Out, ptr[int64](5_000), listings("own"), nil, Info, nil},
		"own meets own":                  {Out, ptr[int64](5_000), listings("own"), listings("own"), Info, nil},
		"own meets press":                {Out, ptr[int64](5_000), listings("own"), listings("press"), Severe, []string{"own-meets-listing"}},
		"own meets a list without basis": {In, ptr[int64](5), listings("own"), listings(""), Severe, []string{"own-meets-listing"}},
		"press meets own":                {In, ptr[int64](5_000), listings("press"), listings("own"), Severe, []string{"own-meets-listing", "money-in"}},
		"press meets own, dust":          {In, ptr[int64](5), listings("press"), listings("own"), Severe, []string{"own-meets-listing", "dust"}},
		"press pays own":                 {Out, ptr[int64](5_000), listings("press"), listings("own"), Severe, []string{"own-meets-listing", "money-out"}},
		"designated meets own":           {In, nil, listings("designation"), listings("own"), Severe, []string{"own-meets-listing", "money-in", "designation"}},
		"press meets own that is listed": {In, ptr[int64](5_000), listings("press"), listings("own", "court"), Medium, []string{"money-in"}},
		"own that is listed too":         {In, ptr[int64](5_000), listings("own", "press"), nil, Medium, []string{"money-in"}},
	} {
		p := incoming()
		p.Direction, p.AmountSat, p.Listings = c.direction, c.amount, c.own
		p.Counterparties = []Counterparty{{Address: articleTwo}, {Address: "x", Listings: c.other}}
		a, ok := p.Seen(testKey())
		if ok != (c.rules != nil) {
			t.Errorf("%s: told is %v", name, ok)
			continue
		}
		if !ok {
			continue
		}
		b, _ := Decode(a.Body)
		if a.Severity != c.want || b.Data.Severity != c.want.String() || !slices.Equal(b.Data.Rules, c.rules) {
			t.Errorf("%s: %s by %v, want %s by %v", name, a.Severity, b.Data.Rules, c.want, c.rules)
		}
		if a.Quiet != (c.want == Info) {
			t.Errorf("%s: quiet is %v", name, a.Quiet)
		}
	}
}

func TestCorrectionIsAsSevereAsWhatItCorrects(t *testing.T) {
	p := confirmed()
	p.Listings = []Listing{{Basis: "own"}} // it met a listing that was retired since
	p.Counterparties, p.Corrected = nil, ptr(Severe)
	a, ok := p.Reorged(testKey(), ID{9})
	if !ok || a.Severity != Severe || a.Quiet {
		t.Errorf("told %v, %s, quiet %v", ok, a.Severity, a.Quiet)
	}
	p.Corrected = ptr(Info)
	if a, _ := p.Reorged(testKey(), ID{9}); !a.Quiet {
		t.Error("a correction of dust is sent")
	}
}

func TestDeeperConfirmationsAreQuiet(t *testing.T) {
	if a := told(t)(confirmed().Confirmed(testKey(), 1, true)); a.Quiet {
		t.Error("the first is quiet")
	}
	a := told(t)(confirmed().Confirmed(testKey(), 6, false))
	if !a.Quiet || (Settings{}).Wants(a) {
		t.Error("the deeper one is sent")
	}
	if b, _ := Decode(a.Body); *b.Data.Confirmations != 6 {
		t.Errorf("it says %d confirmations", *b.Data.Confirmations)
	}
}

func TestSeveritiesReadAndOrder(t *testing.T) {
	if !(Info < Low && Low < Medium && Medium < High && High < Severe) {
		t.Error("out of order")
	}
	for s := Info; s <= Severe; s++ {
		text, err := json.Marshal(map[string]Severity{"s": s})
		var back map[string]Severity
		if err != nil || json.Unmarshal(text, &back) != nil || back["s"] != s || string(text) != `{"s":"`+s.String()+`"}` {
			t.Errorf("%d is written %s", s, text)
		}
	}
	if _, err := ParseSeverity("critical"); err == nil {
		t.Error("critical is a severity")
	}
	if _, err := Severity(7).MarshalText(); err == nil {
		t.Error("7 is a severity")
	}
}

func TestChannelsWantByAboutAndSeverity(t *testing.T) {
	a := told(t)(incoming().Seen(testKey()))
	for _, c := range []struct {
		settings Settings
		want     bool
	}{
		{Settings{}, true},
		{Settings{About: []string{"list", "payment"}, MinSeverity: Medium}, true},
		{Settings{About: []string{"list"}}, false},
		{Settings{MinSeverity: High}, false},
	} {
		if got := c.settings.Wants(a); got != c.want {
			t.Errorf("%+v: %v", c.settings, got)
		}
	}
}

// Whoever signs for an address shows that he holds its key, even where more
// comes back to it than he spends: that is never dust.
func TestASpendThatGainsIsNotDust(t *testing.T) {
	p := incoming()
	p.Listings, p.Counterparties = []Listing{{Basis: "press"}}, nil
	p.Direction, p.AmountSat, p.Spends = In, ptr[int64](500), true
	if worst, rules, ok := p.Rules.judge(p); !ok || worst != High || !slices.Equal(rules, []string{"money-out"}) {
		t.Errorf("a spend that gains 500 satoshis: %s %v %v", worst, rules, ok)
	}
}
