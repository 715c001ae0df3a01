package alerts

// Tally adds the payments at one address up as a rule over time does: it is given
// them in the order of their times.
type Tally struct {
	rule    Rule
	open    []Payment // that count, and were told in no window
	sum     int64     // of those of which the amount is known
	unknown int64     // how many of the others there are
}

// NewTally counts for a rule over time.
func NewTally(r Rule) *Tally { return &Tally{rule: r} }

// Add counts a payment of which the rule's conditions hold, and gives the window
// that it completes; nil: none.
func (t *Tally) Add(p Payment) *Window {
	t.open = append(t.open, p)
	t.weigh(p, 1)
	for p.OccurredAt.Sub(t.open[0].OccurredAt) > t.rule.Over {
		t.weigh(t.open[0], -1)
		t.open = t.open[1:]
	}
	count := int64(len(t.open))
	if count < t.rule.Count || t.rule.SumSat != nil && t.sum < *t.rule.SumSat {
		return nil
	}
	w := &Window{Rule: t.rule.Name, From: t.open[0].OccurredAt, To: p.OccurredAt, Count: count, SumSat: t.sum, Unknown: t.unknown}
	for _, one := range t.open[:min(count, MostWindowIDs)] {
		w.TxIDs = append(w.TxIDs, one.TxID)
	}
	w.More = count - int64(len(w.TxIDs))
	t.open, t.sum, t.unknown = nil, 0, 0
	return w
}

func (t *Tally) weigh(p Payment, sign int64) {
	if p.AmountSat == nil {
		t.unknown += sign
		return
	}
	t.sum += sign * *p.AmountSat
}
