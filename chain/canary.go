package chain

import "math"

// canary is the number under which the set has the script that is watched only
// to test the watch. It lies among the others, so that what finds them finds it;
// everything but MatchApart passes over it.
const canary int64 = math.MinInt64

// Canary adds the one script whose payments only test the watch. One that is
// watched stays so, and is no canary.
func (w *Watched) Canary(script []byte) {
	if _, taken := w.scripts[string(script)]; !taken {
		w.scripts[string(script)] = canary
		w.canary = string(script)
	}
}

// canaried says whether the set has a canary: watching its script takes it over.
func (w *Watched) canaried() bool {
	n, ok := w.scripts[w.canary]
	return ok && n == canary
}
