package alerts

import (
	"slices"
	"testing"
	"time"
)

// TestRuleConditions holds each condition against a payment that meets it, one
// that does not, and one of which it is not known.
func TestRuleConditions(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	base := func() Payment {
		p := incoming()
		p.Listings, p.Counterparties, p.AmountSat = []Listing{{List: "config", Basis: "press", Category: "militia"}}, nil, ptr[int64](50_000)
		p.Entity, p.Proof, p.OccurredAt, p.RestingSince = "Somebody", Reported, noon, ptr(noon.AddDate(0, 0, -90))
		return p
	}
	for name, c := range map[string]struct {
		rule   Rule
		change func(p *Payment)
		holds  bool
	}{
		"nothing asked":             {Rule{}, nil, true},
		"direction":                 {Rule{Direction: []Direction{In, Out}}, nil, true},
		"another direction":         {Rule{Direction: []Direction{Out}}, nil, false},
		"least":                     {Rule{MinSat: ptr[int64](50_000)}, nil, true},
		"less than least":           {Rule{MinSat: ptr[int64](50_001)}, nil, false},
		"unknown is not small":      {Rule{MinSat: ptr[int64](50_001)}, func(p *Payment) { p.AmountSat = nil }, true},
		"most":                      {Rule{MaxSat: ptr[int64](50_000)}, nil, true},
		"more than most":            {Rule{MaxSat: ptr[int64](49_999)}, nil, false},
		"unknown is not at most":    {Rule{MaxSat: ptr[int64](1 << 40)}, func(p *Payment) { p.AmountSat = nil }, false},
		"worth":                     {Rule{MinFiat: ptr[int64](5_000_00), MaxFiat: ptr[int64](5_000_00)}, worthOf(5_000_00), true},
		"worth less":                {Rule{MinFiat: ptr[int64](5_000_01)}, worthOf(5_000_00), false},
		"worth more":                {Rule{MaxFiat: ptr[int64](4_999_99)}, worthOf(5_000_00), false},
		"no rate, at least":         {Rule{MinFiat: ptr[int64](1)}, nil, false},
		"no rate, at most":          {Rule{MaxFiat: ptr[int64](1 << 60)}, nil, false},
		"basis":                     {Rule{Basis: []string{"court", "press"}}, nil, true},
		"another basis":             {Rule{Basis: []string{"court"}}, nil, false},
		"no listing":                {Rule{Basis: []string{"court"}}, func(p *Payment) { p.Listings = nil }, false},
		"second listing":            {Rule{Basis: []string{"court"}}, func(p *Payment) { p.Listings = append(p.Listings, Listing{Basis: "court"}) }, true},
		"category":                  {Rule{Category: []string{"militia"}}, nil, true},
		"another category":          {Rule{Category: []string{"Militia"}}, nil, false},
		"list":                      {Rule{List: []string{"config"}}, nil, true},
		"another list":              {Rule{List: []string{"command"}}, nil, false},
		"entity":                    {Rule{Entity: []string{"Somebody"}}, nil, true},
		"another entity":            {Rule{Entity: []string{"Nobody"}}, nil, false},
		"grade":                     {Rule{Grade: []Proof{Reported}}, nil, true},
		"another grade":             {Rule{Grade: []Proof{Proven, Corroborated}}, nil, false},
		"counterparty":              {Rule{Counterparty: []string{"seizure"}}, func(p *Payment) { p.Counterparties = withBasis("seizure") }, true},
		"no counterparty":           {Rule{Counterparty: []string{Anybody}}, nil, false},
		"another counterparty":      {Rule{Counterparty: []string{"court"}}, func(p *Payment) { p.Counterparties = withBasis("seizure") }, false},
		"any counterparty":          {Rule{Counterparty: []string{Anybody}}, func(p *Payment) { p.Counterparties = withBasis("") }, true},
		"an own one is not any":     {Rule{Counterparty: []string{Anybody}}, func(p *Payment) { p.Counterparties = withBasis("own") }, false},
		"an own one by its word":    {Rule{Counterparty: []string{"own"}}, func(p *Payment) { p.Counterparties = withBasis("own") }, true},
		"after rest":                {Rule{RestDays: 90}, nil, true},
		"not yet":                   {Rule{RestDays: 91}, nil, false},
		"rest not known":            {Rule{RestDays: 1}, func(p *Payment) { p.RestingSince = nil }, false},
		"time not known":            {Rule{RestDays: 1}, func(p *Payment) { p.OccurredAt = time.Time{} }, false},
		"dust does not wake":        {Rule{RestDays: 90}, func(p *Payment) { p.AmountSat = ptr(Dust) }, false},
		"a little more does":        {Rule{RestDays: 90}, func(p *Payment) { p.AmountSat = ptr(Dust + 1) }, true},
		"a spend of little does":    {Rule{RestDays: 90}, func(p *Payment) { p.AmountSat, p.Direction = ptr[int64](5), Out }, true},
		"date":                      {Rule{Dates: []Span{{noon, noon.Add(1)}}}, nil, true},
		"date at its end":           {Rule{Dates: []Span{{noon.Add(-1), noon}}}, nil, false},
		"one of the dates":          {Rule{Dates: []Span{{noon.Add(5), noon.Add(6)}, {noon.Add(-5), noon.Add(1)}}}, nil, true},
		"date of an unknown time":   {Rule{Dates: []Span{{time.Time{}, noon}}}, func(p *Payment) { p.OccurredAt = time.Time{} }, false},
		"all of several":            {Rule{Direction: []Direction{In}, MinSat: ptr[int64](1), Basis: []string{"press"}}, nil, true},
		"all but one of them":       {Rule{Direction: []Direction{In}, MinSat: ptr[int64](1), Basis: []string{"court"}}, nil, false},
		"an amount of zero is none": {Rule{MinSat: ptr[int64](0), MaxSat: ptr[int64](0)}, func(p *Payment) { p.AmountSat = ptr[int64](0) }, true},
	} {
		p := base()
		if c.change != nil {
			c.change(&p)
		}
		c.rule.Name, c.rule.Severity = "custom", Severe
		p.Rules = Rules{c.rule}
		a, told := p.Seen(testKey())
		b, _ := Decode(a.Body)
		if !told || slices.Contains(b.Data.Rules, "custom") != c.holds || c.holds && a.Severity != Severe {
			t.Errorf("%s: %s by %v", name, a.Severity, b.Data.Rules)
		}
	}
}

func worthOf(minor int64) func(p *Payment) {
	return func(p *Payment) { p.Fiat = &Fiat{Minor: minor, Currency: "EUR", Source: "a table"} }
}

func withBasis(basis string) []Counterparty {
	return []Counterparty{{Address: "stranger"}, {Address: articleTwo, Listings: []Listing{{List: "l", Basis: basis}}}}
}

// TestRulesTakeThePlaceOfDefaults: a rule named like a default one changes how
// severe it is and of what it holds; what it is about stays.
func TestRulesTakeThePlaceOfDefaults(t *testing.T) {
	t.Parallel()
	type want struct {
		severity Severity
		rules    []string
	}
	large := Rule{Name: "money-in", MinSat: ptr[int64](100_000), Severity: Low, Given: true}
	for name, c := range map[string]struct {
		rules     Rules
		direction Direction
		amount    *int64
		basis     string
		want      want
	}{
		"milder":                  {Rules{large}, In, ptr[int64](100_000), "press", want{Low, []string{"money-in"}}},
		"too little for it":       {Rules{large}, In, ptr[int64](99_999), "press", want{Info, nil}},
		"unknown is not little":   {Rules{large}, In, nil, "press", want{Low, []string{"money-in"}}},
		"money out is untouched":  {Rules{large}, Out, ptr[int64](5), "press", want{High, []string{"money-out"}}},
		"others hold beside it":   {Rules{large}, In, ptr[int64](99_999), "seizure", want{Severe, []string{"seizure"}}},
		"keeps its severity":      {Rules{{Name: "money-out", MinSat: ptr[int64](10)}}, Out, ptr[int64](10), "press", want{High, []string{"money-out"}}},
		"dust up to more":         {Rules{{Name: "dust", MaxSat: ptr[int64](5_000)}}, In, ptr[int64](5_000), "seizure", want{Info, []string{"dust"}}},
		"dust that is told":       {Rules{{Name: "dust", Severity: Low, Given: true}}, In, ptr[int64](900), "press", want{Low, []string{"dust"}}},
		"never of what is spent":  {Rules{{Name: "dust", MaxSat: ptr[int64](5_000)}}, Out, ptr[int64](900), "press", want{High, []string{"money-out"}}},
		"a rule beside dust":      {Rules{{Name: "any", Severity: Medium}}, In, ptr[int64](900), "press", want{Medium, []string{"dust", "any"}}},
		"a mild rule changes not": {Rules{{Name: "any", Severity: Info}}, Out, ptr[int64](900), "press", want{High, []string{"money-out", "any"}}},
		"all that match":          {Rules{{Name: "a", Severity: Low}, {Name: "b", Severity: Severe}}, In, ptr[int64](9_000), "press", want{Severe, []string{"money-in", "a", "b"}}},
		"over time is another":    {Rules{{Name: "a", Severity: Severe, Over: time.Hour, Count: 1}}, In, ptr[int64](9_000), "press", want{Medium, []string{"money-in"}}},
	} {
		p := incoming()
		p.Direction, p.AmountSat, p.Listings, p.Counterparties, p.Rules = c.direction, c.amount, []Listing{{Basis: c.basis}}, nil, c.rules
		a, told := p.Seen(testKey())
		b, _ := Decode(a.Body)
		if !told || a.Severity != c.want.severity || !slices.Equal(b.Data.Rules, c.want.rules) || a.Quiet != (c.want.severity == Info) {
			t.Errorf("%s: told %v, %s by %v, quiet %v", name, told, a.Severity, b.Data.Rules, a.Quiet)
		}
	}
}

// TestRulesOfOwnAddresses: an own address is silent until it meets a listed one,
// or a rule names own addresses.
func TestRulesOfOwnAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule  Rule
		other string
		told  bool
		want  Severity
	}{
		"a rule for all":            {Rule{Name: "any", Severity: Severe}, "own", false, Info},
		"a rule for own ones":       {Rule{Name: "any", Severity: Medium, Basis: []string{"own"}}, "own", true, Medium},
		"met":                       {Rule{Name: "any", Severity: Medium}, "press", true, Severe},
		"met, milder":               {Rule{Name: "own-meets-listing", Severity: High, Given: true}, "press", true, High},
		"met, and too little":       {Rule{Name: "own-meets-listing", MinSat: ptr[int64](1 << 40)}, "press", false, Info},
		"not met by what is milder": {Rule{Name: "own-meets-listing", Severity: High, Given: true}, "own", false, Info},
	} {
		p := incoming()
		p.Listings, p.Counterparties, p.Rules = []Listing{{Basis: "own"}}, withBasis(c.other), Rules{c.rule}
		if a, told := p.Seen(testKey()); told != c.told || a.Severity != c.want {
			t.Errorf("%s: told %v, %s", name, told, a.Severity)
		}
	}
}

// TestWhatNoRuleNamesIsSaid: why nothing is sent is not laid to dust.
func TestWhatNoRuleNamesIsSaid(t *testing.T) {
	t.Parallel()
	p := incoming()
	p.Counterparties, p.AmountSat = nil, ptr[int64](5_000)
	p.Rules = Rules{{Name: "money-in", MinSat: ptr[int64](10_000)}}
	a, _ := p.Seen(testKey())
	if b, _ := Decode(a.Body); !a.Quiet || b.Data.Next != "No message is sent: no rule makes more of it than a line in the daily report." {
		t.Errorf("quiet %v: %s", a.Quiet, b.Data.Next)
	}
}
