package alerts

import (
	"fmt"
	"strconv"
)

// Refuted says that a payment does not spend from the address, contrary to what
// was told: the transaction that made the output which it spends shows another
// script. left: the payment does something else to the address, as it says. It
// is false where nothing is to be told.
func (p Payment) Refuted(key Key, left bool) (Alert, bool) {
	d := p.data()
	what := "It does nothing to the address."
	if left {
		what = "It " + deed(d) + "."
	} else {
		d.Direction, d.AmountSat, d.Counterparties, d.MoreParties = "", nil, nil, 0
		d.AmountFiat, d.NoRate = nil, ""
	}
	d.Summary = fmt.Sprintf("Correction: the transaction %s does not spend from %s, contrary to what was told: the transaction that made the output which it spends shows another script. %s",
		clean(d.TxID), named(d), what)
	d.Next = "No further message is due about that spend."
	return p.alert(key, TransactionRefuted, d, strconv.Itoa(p.Turn))
}
