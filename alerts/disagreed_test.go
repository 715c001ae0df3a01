package alerts

import "testing"

// TestWhoHearsOfADisagreement: what puts a recorded payment in doubt goes to
// those who work on payments; which unconfirmed ones a node keeps does not.
func TestWhoHearsOfADisagreement(t *testing.T) {
	t.Parallel()
	const txid = "6f7cf9580f1c2dfb3c4d5d043cdbb128c640e3f20161245aa7372e9666168516"
	for _, c := range []struct{ kind, txid, about string }{
		{"transaction", txid, "payment"},
		{"amount", txid, "payment"},
		{"mempool", txid, "service"},
		{"counters", "", "service"},
		{"block", "", "service"},
	} {
		d := Disagreement{Kind: c.kind, TxID: c.txid, Explorer: "one", Other: "two", Told: true}
		a := d.Alert(testKey())
		if a.About != c.about {
			t.Errorf("a disagreement of kind %s is about %q, want %q", c.kind, a.About, c.about)
		}
	}
}
