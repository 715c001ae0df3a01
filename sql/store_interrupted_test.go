package sql_test

import (
	"testing"
	"time"
)

// A try that a stop or a reload cuts off is none of the tries that a delivery
// has, and is due again at once.
func TestInterruptionsUseUpNoTries(t *testing.T) {
	b := told(t, 1)
	for range 12 {
		got := b.claim("desk", 1, time.Hour)
		if len(got) != 1 || got[0].Attempt != 1 {
			t.Fatalf("claimed %+v", got)
		}
		b.must(b.store.DeliveryInterrupted(t.Context(), got[0]))
	}
	late := b.claim("desk", 1, -time.Second)[0]
	b.claim("desk", 1, time.Hour)
	before := b.dump()
	b.must(b.store.DeliveryInterrupted(t.Context(), late))
	if b.dump() != before {
		t.Error("a late interruption changed something")
	}
}
