package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

func (w *world) lookAtRecord(ctx context.Context) error {
	w.say.heading("What an analyst finds")
	if err := w.awaitCovered(ctx); err != nil {
		return err
	}
	err := w.awaitRows(ctx, "all deliveries done", `SELECT count(*) FROM deliveries WHERE state <> 'delivered'`, "0")
	if err != nil {
		return err
	}
	for _, query := range []string{
		`SELECT label, direction, amount_btc::numeric(12,8), state, proof, block_height AS block, historic AS old, left(txid, 10) || '…' AS transaction
		   FROM transactions JOIN addresses USING (address) ORDER BY block_height, label, txid`,
		`SELECT label, balance_btc::numeric(12,8), received_sat, sent_sat, tx_count FROM balances JOIN addresses USING (address) ORDER BY label`,
		`SELECT channel, state, count(*) AS alerts, max(attempts) AS most_tries FROM deliveries GROUP BY 1, 2 ORDER BY 1`,
	} {
		if err := w.showTable(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// showTable asks the database a question, as an analyst would.
func (w *world) showTable(ctx context.Context, query string) error {
	var table string
	err := w.await(ctx, "an answer of the database", func() (done bool, err error) {
		table, err = w.daemon.table(ctx, query)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	w.say.tell("$ btcwatch sql -- -c \"%s\"", strings.Join(strings.Fields(query), " "))
	w.say.show(table)
	return nil
}

// tally counts what had to happen and what did.
type tally struct {
	all, happened, lost, doubled, strange int
	faults                                []string
}

// count compares everything with the chain, and says the result.
func (w *world) count(ctx context.Context) error {
	w.record.look()
	t := &tally{}
	w.countAlerts(t)
	w.countChannels(t)
	w.countThreads(t)
	w.countEvidence(t)
	for _, compare := range []func(context.Context, *tally) error{w.countTransactions, w.countBalances, w.countQuiet, w.countHeights} {
		if err := compare(ctx, t); err != nil {
			return err
		}
	}
	w.say.blank()
	for _, fault := range t.faults {
		w.say.tell("%s", fault)
	}
	w.say.tell("The chain demands %d alerts, each once on 3 channels, in %d threads of mail; %d payments and %d balances in the record, and nothing of what was invented; that the dust and the %d alerts that are no news are recorded and sent to nobody; evidence that holds elsewhere, and none with a byte changed; and that no block is left out.",
		len(w.wanted), len(w.threads()), len(w.ledger.effects), len(w.ledger.watched), len(w.hushed))
	result := fmt.Sprintf("%d of %d happened, %d lost, %d doubled", t.happened, t.all, t.lost, t.doubled)
	if t.strange > 0 {
		result += fmt.Sprintf(", %d that nothing on the chain explains", t.strange)
	}
	if t.happened == t.all && t.lost+t.doubled+t.strange+len(t.faults) == 0 {
		w.say.happened("%s", result)
		return nil
	}
	return fmt.Errorf("%s", result)
}

func (t *tally) check(ok bool, format string, args ...any) {
	t.all++
	if ok {
		t.happened++
		return
	}
	t.faults = append(t.faults, fmt.Sprintf(format, args...))
}

// countAlerts looks for each alert, on each channel.
func (w *world) countAlerts(t *tally) {
	for _, want := range w.wanted {
		missing := []string{}
		var faults []string
		for _, box := range w.boxes() {
			b, came := w.find(box, want)
			if !came {
				missing = append(missing, box.what)
				continue
			}
			faults = w.faults(want, b)
		}
		if len(missing) > 0 {
			t.lost++
		}
		t.check(len(missing)+len(faults) == 0, "%s: missing on %v; wrong: %v", want, missing, faults)
	}
}

// countChannels looks for what came too often, or should not have come. By one
// id an alert may come again; a second id would be a second alert.
func (w *world) countChannels(t *tally) {
	about := map[string]body{}
	for _, b := range append(w.record.bodies(), w.cases.bodies()...) {
		about[b.Data.ID] = b
	}
	for _, box := range w.boxes() {
		ids, repeats, faults := box.state()
		t.faults = append(t.faults, faults...)
		came := map[told]string{}
		liarTold := false
		for _, id := range ids {
			b := about[id]
			if aboutLiar(b) {
				liarTold = liarTold || b.Type == "explorer.failing"
				continue
			}
			i := slices.IndexFunc(w.wanted, func(want told) bool { return want.meant(b) })
			switch {
			case i < 0:
				t.strange++
				t.faults = append(t.faults, fmt.Sprintf("by %s came %s about %q (transaction %q), id %s", box.what, b.Type, b.Data.Label, b.Data.TxID, id))
			case came[w.wanted[i]] != "":
				t.doubled++
				t.faults = append(t.faults, fmt.Sprintf("by %s came %s twice, with the ids %s and %s", box.what, w.wanted[i], came[w.wanted[i]], id))
			default:
				came[w.wanted[i]] = id
			}
		}
		if !liarTold {
			t.lost++
			t.faults = append(t.faults, fmt.Sprintf("by %s nobody was told that %s lies", box.what, explorers[0].name))
		}
		if repeats > 0 {
			w.say.tell("(By %s, %d came again after a kill, with the same id and the same bytes. That is allowed: receivers drop it by its id.)", box.what, repeats)
		}
	}
	w.sameBytes(t)
}

// sameBytes compares what two channels for programs carried.
func (w *world) sameBytes(t *tally) {
	ids, _, _ := w.record.state()
	for _, id := range ids {
		one, _ := w.record.get(id)
		two, both := w.cases.get(id)
		if both && string(one.content) != string(two.content) {
			t.faults = append(t.faults, fmt.Sprintf("file and webhook carried other bytes for %s", id))
		}
	}
}

// countRows compares rows of the record with those that the chain demands.
func (t *tally) countRows(what string, want, got []string) {
	left := slices.Clone(got)
	for _, row := range want {
		i := slices.Index(left, row)
		if i < 0 {
			t.lost++
			t.check(false, "%s not in the record: %s", what, row)
			continue
		}
		left = slices.Delete(left, i, i+1)
		t.check(true, "")
	}
	for _, row := range left {
		if slices.Contains(want, row) {
			t.doubled++
		} else {
			t.strange++
		}
		t.faults = append(t.faults, fmt.Sprintf("%s in the record, and not on the chain: %s", what, row))
	}
}

// aboutLiar says whether an alert is about the explorer that lies: that it was
// caught, as often as it was, and that it is believed again.
func aboutLiar(b body) bool {
	return b.Data.Explorer == explorers[0].name &&
		slices.Contains([]string{"explorer.failing", "explorer.recovered", "explorer.disagreed"}, b.Type)
}

func (w *world) countTransactions(ctx context.Context, t *tally) error {
	var want []string
	for _, e := range w.ledger.effects {
		proof := "proven"
		if e.historic {
			proof = "-" // no block of that time has to be verified
		}
		row := fmt.Sprintf("%s|%s|%s", e.to.text, e.txid, e.state())
		if e.confirmed {
			row += fmt.Sprintf("|%s|%d|%d|%s|%s", e.direction, e.amount, e.height, e.block, proof)
		}
		want = append(want, row)
	}
	got, err := w.rows(ctx, `SELECT concat_ws('|', address, txid, state, CASE state WHEN 'confirmed' THEN
		concat_ws('|', direction, amount_sat, block_height, block_hash, CASE WHEN historic THEN '-' ELSE proof END) END) FROM transactions`)
	t.countRows("a payment", want, got)
	return err
}

func (w *world) countBalances(ctx context.Context, t *tally) error {
	var want []string
	for _, l := range w.ledger.watched {
		want = append(want, fmt.Sprintf("%s|%d", l.text, w.ledger.balance(l)))
	}
	got, err := w.rows(ctx, `SELECT address, balance_sat FROM balances`)
	t.countRows("a balance", want, got)
	return err
}

// countQuiet looks whether dust, and what is no news, was kept quiet: recorded
// as alerts for the daily report, and no delivery made of them. That none came
// is known already.
func (w *world) countQuiet(ctx context.Context, t *tally) error {
	for _, e := range w.ledger.effects {
		if e.amount != dust {
			continue
		}
		if err := w.countHushed(ctx, t, told{kind: "transaction.%", about: e}); err != nil {
			return err
		}
	}
	for _, hushed := range w.hushed {
		if err := w.countHushed(ctx, t, hushed); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) countHushed(ctx context.Context, t *tally, hushed told) error {
	got, err := w.rows(ctx, fmt.Sprintf(`SELECT bool_and(quiet), count(*) > 0, count(d.channel) FROM alerts a LEFT JOIN deliveries d ON d.alert_id = a.id WHERE txid = '%s' AND type LIKE '%s'`,
		hushed.about.txid, hushed.kind))
	if err == nil {
		t.check(slices.Equal(got, []string{"t|t|0"}), "%s is not kept quiet: %v", hushed, got)
	}
	return err
}

// countHeights looks whether every block since the start was covered.
func (w *world) countHeights(ctx context.Context, t *tally) error {
	got, err := w.rows(ctx, `SELECT count(*) FROM gaps WHERE kind = 'blocks'`)
	if err == nil {
		t.check(slices.Equal(got, []string{"0"}), "%v stretches of blocks were left out", got)
	}
	return err
}
