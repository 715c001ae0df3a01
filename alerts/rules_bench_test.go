package alerts

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRules judges a payment by 1,000 rules that each look at everything. The
// goal is a time that one payment may cost, not a ratio.
func BenchmarkRules(b *testing.B) {
	p := incoming()
	p.RestingSince = ptr(p.OccurredAt.AddDate(-1, 0, 0))
	for n := range 1_000 {
		p.Rules = append(p.Rules, Rule{
			Name: fmt.Sprintf("rule-%04d", n), Severity: Low, Direction: []Direction{Out, In}, MinSat: ptr[int64](1), MaxSat: ptr[int64](1 << 50),
			Basis: []string{"seizure", "press"}, Grade: []Proof{Proven, Corroborated, Reported}, RestDays: 1,
			Dates: []Span{{p.OccurredAt.Add(-time.Hour), p.OccurredAt}},
		})
	}
	for b.Loop() {
		if _, _, told := p.Judge(); !told {
			b.Fatal("not told")
		}
	}
	each := float64(b.Elapsed().Microseconds()) / float64(b.N)
	met := "kept"
	if each > 1_000 {
		met = "MISSED"
	}
	b.Logf("%-60s %10.2f %-6s goal: at most %.2f  %s", "1,000 rules, one payment", each, "µs", 1_000.0, met)
}
