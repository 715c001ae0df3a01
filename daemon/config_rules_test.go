package daemon

import (
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
)

const anyChannel = `
[explorers.public]
kind = "esplora"
url = "https://explorer.example/api"
[channels.screen]
kind = "stdout"
`

// TestRulesAreRead reads every key, and the dates in the zone of the configuration.
func TestRulesAreRead(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, `timezone = "Asia/Tashkent"
[rules.zulu]
severity = "low"
[rules.large-one]
severity = "severe"
direction = ["in", "self"]
min_sat = 1_000
max_sat = 2_000
basis = ["press"]
category = ["militia"]
list = ["command"]
entity = ["Name"]
grade = ["proven"]
counterparty_basis = ["any", "own"]
after_rest_days = 90
dates = ["2026-03-01/2026-03-02", "2026-05-05"]
over = "48h"
sum_sat = 7
count = 3
`+anyChannel))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Rules) != 2 || c.Rules[0].Name != "large-one" || c.Rules[1].Name != "zulu" || c.Rules[1].Severity != alerts.Low {
		t.Fatalf("%+v", c.Rules)
	}
	r := c.Rules[0]
	if r.Severity != alerts.Severe || len(r.Direction) != 2 || *r.MinSat != 1_000 || *r.MaxSat != 2_000 || r.Basis[0] != "press" ||
		r.Category[0] != "militia" || r.List[0] != "command" || r.Entity[0] != "Name" || r.Grade[0] != alerts.Proven ||
		r.Counterparty[1] != "own" || r.RestDays != 90 || r.Over != 48*time.Hour || *r.SumSat != 7 || r.Count != 3 {
		t.Errorf("%+v", r)
	}
	want := []alerts.Span{ // Tashkent is five hours ahead
		{From: time.Date(2026, 2, 28, 19, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 2, 19, 0, 0, 0, time.UTC)},
		{From: time.Date(2026, 5, 4, 19, 0, 0, 0, time.UTC), To: time.Date(2026, 5, 5, 19, 0, 0, 0, time.UTC)},
	}
	for i, span := range r.Dates {
		if !span.From.Equal(want[i].From) || !span.To.Equal(want[i].To) {
			t.Errorf("dates %d: %v to %v", i, span.From, span.To)
		}
	}
}

// TestRulesThatCannotBeMeant: each fault is named with its line and what to do.
func TestRulesThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                          `:1: rules.one.severity: is missing; use info, low`,
		`severity = "critical"`:                     `:2: rules.one.severity: unknown severity "critical"`,
		`serverity = "low"`:                         `:2: rules.one.serverity: unknown key; did you mean severity?`,
		`direction = ["inn"]`:                       `:2: rules.one.direction: unknown word "inn"; use in, out or self (did you mean in?)`,
		`direction = "in"`:                          `:2: rules.one.direction: text stands here; it takes a list`,
		`basis = []`:                                `:2: rules.one.basis: an empty list, so the rule can never match`,
		`basis = ["pres"]`:                          `:2: rules.one.basis: unknown word "pres"`,
		`counterparty_basis = ["all"]`:              `:2: rules.one.counterparty_basis: unknown word "all"`,
		`list = ["ofac"]`:                           `:2: rules.one.list: unknown word "ofac"; use config or command`,
		`grade = ["prooven"]`:                       `(did you mean proven?)`,
		"max_sat = 4\nmin_sat = 5":                  `:2: rules.one.max_sat: less than min_sat, so the rule can never match`,
		`min_sat = -1`:                              `:2: rules.one.min_sat: -1 is no amount in satoshis`,
		`max_sat = 0.5`:                             `:2: rules.one.max_sat: a number with a fraction stands here; it takes a whole number`,
		`min_sat = 2_100_000_000_000_001`:           `:2: rules.one.min_sat: 2100000000000001 is no amount`,
		`min_fiat = 5`:                              `:2: rules.one.min_fiat: needs a currency, and the rates to go by: set currency under [fiat]`,
		`after_rest_days = 0`:                       `:2: rules.one.after_rest_days: 0 is out of bounds`,
		`dates = ["2026-03-02/2026-03-01"]`:         `:2: rules.one.dates: "2026-03-02/2026-03-01" ends before it begins, so the rule can never match`,
		`dates = ["2026-02-30"]`:                    `:2: rules.one.dates: "2026-02-30" is no date`,
		`dates = ["1 March"]`:                       `is no date and no two dates; write`,
		`over = "24h"`:                              `:2: rules.one.over: needs sum_sat or count`,
		`sum_sat = 5`:                               `:2: rules.one.sum_sat: needs over`,
		`count = 5`:                                 `:2: rules.one.count: needs over`,
		"over = \"24h\"\ncount = 1":                 `:4: rules.one.count: 1 is out of bounds`,
		"over = \"24h\"\nsum_sat = 0":               `:4: rules.one.sum_sat: 0 is what nothing comes to`,
		"over = \"1s\"\ncount = 3":                  `:2: rules.one.over: 1s is out of bounds`,
		"[rules.\"two words\"]\nseverity = \"low\"": `is no good name for a rule`,
		"[rules.dust]\nover = \"1h\"\ncount = 2":    `:3: rules.dust.over: a rule that takes the place of a default one is about single payments`,
	} {
		if !strings.Contains(text, "severity") && text != "" {
			text = strings.Replace(text+"\n", "\n", "\nseverity = \"low\"\n", 1)
		}
		_, err := Load(write(t, "[rules.one]\n"+text+"\n"+anyChannel))
		if strings.HasPrefix(text, "[") {
			_, err = Load(write(t, text+"\n"+anyChannel))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestRuleOfADefaultKeepsItsSeverity: only what is given changes.
func TestRuleOfADefaultKeepsItsSeverity(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, "[rules.money-out]\nmin_sat = 5\n"+anyChannel))
	if err != nil || len(c.Rules) != 1 || c.Rules[0].Given {
		t.Errorf("%v, %+v", err, c)
	}
}

// TestRulesInFiat: whole units of the currency are taken as its minor ones.
func TestRulesInFiat(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int64{"EUR": 10_000_00, "JPY": 10_000, "KWD": 10_000_000} {
		c, err := Load(write(t, "[rules.one]\nseverity = \"low\"\nmin_fiat = 10_000\n[fiat]\ncurrency = \""+code+"\"\n"+anyChannel))
		if err != nil || *c.Rules[0].MinFiat != want || c.Rules[0].MaxFiat != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	_, err := Load(write(t, "[rules.one]\nseverity = \"low\"\nmin_fiat = 10\nmax_fiat = 9\n[fiat]\ncurrency = \"EUR\"\n"+anyChannel))
	if err == nil || !strings.Contains(err.Error(), ":4: rules.one.max_fiat: less than min_fiat, so the rule can never match") {
		t.Error(err)
	}
}
