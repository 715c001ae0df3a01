package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"btcwatch/chain/chaintest"
)

// explorerLies lets the explorer that is asked first lie in four ways, one
// after the other. The others tell the truth, and are not believed without proof
// either.
func (w *world) explorerLies(ctx context.Context) error {
	w.say.heading("One of the three explorers lies")
	for i, lie := range []func(context.Context) error{w.lieAboutAmount, w.lieAboutBlock, w.lieAboutHistory, w.lieWithWork} {
		if i > 0 {
			if err := w.forgive(ctx); err != nil {
				return err
			}
		}
		if err := lie(ctx); err != nil {
			return err
		}
		w.liar().ClearAll()
	}
	if err := w.showTable(ctx, `SELECT name, operator, state, failovers, substring(last_error FROM 'lying: .{50}') || '…' AS last_error FROM explorers ORDER BY name`); err != nil {
		return err
	}
	w.say.proves("one honest explorer is enough for the truth, and who lies is named, with the reason.")
	return nil
}

// forgive takes the liar out of quarantine, in which nobody would ask it for
// what it lies about next.
func (w *world) forgive(ctx context.Context) error {
	const query = `SELECT quarantined_since IS NOT NULL FROM explorers WHERE name = '%s'`
	in := func(want string) func() (bool, error) {
		return func() (bool, error) {
			rows, err := w.daemon.rows(ctx, fmt.Sprintf(query, explorers[0].name))
			return err == nil && len(rows) == 1 && rows[0] == want, err
		}
	}
	if err := w.await(ctx, explorers[0].name+" in quarantine", in("t")); err != nil {
		return err
	}
	w.say.tell("It is in quarantine: nobody believes it until it was clean for a day, or a person says so: btcwatch explorers clear %s", explorers[0].name)
	if _, err := w.daemon.ask(ctx, "explorers", "clear", explorers[0].name, "--reason", "the demo goes on"); err != nil {
		return err
	}
	return w.await(ctx, explorers[0].name+" out of quarantine", in("f"))
}

// liar holds the faults of the first explorer.
func (w *world) liar() *chaintest.Faults { return w.servers[0].Faults }

// lieAboutAmount makes a hundred times of an unconfirmed payment.
func (w *world) lieAboutAmount(ctx context.Context) error {
	if err := w.awaitTurn(ctx); err != nil {
		return err
	}
	const truth = 1_800_000
	w.liar().Set("/address/*/txs/mempool", chaintest.Fault{Rewrite: func(_ string, body []byte) []byte {
		return otherAmount(body, truth, 100*truth)
	}})
	paid, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[1].script, Value: truth})
	if err != nil {
		return err
	}
	w.say.tell("Somebody pays %s to the second address. %s alters the amount, to %s.", btc(truth), explorers[0].name, btc(100*truth))
	if err := w.expectSeen(ctx, paid); err != nil {
		return err
	}
	b, _ := w.find(w.record.inbox, told{kind: seen, about: paid[0]})
	if len(b.Data.ReportedBy) == 0 || slices.Contains(b.Data.ReportedBy, explorers[0].name) {
		return fmt.Errorf("alert %s rests on the word of %v, and %s did not tell the truth", b.Data.ID, b.Data.ReportedBy, explorers[0].name)
	}
	w.altered = paid[0]
	return w.expectNamed(ctx, "lying: %a transaction stated as "+paid[0].txid.String(), nil)
}

// lieAboutBlock leaves the payment out of its block.
func (w *world) lieAboutBlock(ctx context.Context) error {
	w.liar().Set("/block/*/raw", chaintest.Fault{Rewrite: falseBlocks(leaveOut)})
	w.say.tell("Now %s leaves that payment out of the block that it serves, under the true header.", explorers[0].name)
	if _, err := w.confirm(ctx, []*effect{w.altered}); err != nil {
		return err
	}
	return w.expectNamed(ctx, "lying: block %false block%", w.mine)
}

// awaitTurn lets honest explorers serve blocks until the next one is the turn of
// the liar, that it be asked for the one that it lies about. It comes before the
// payment that is to be in that one.
func (w *world) awaitTurn(ctx context.Context) error {
	last, err := w.daemon.rows(ctx, `SELECT e.name FROM btcwatch.block b JOIN btcwatch.explorer e ON e.id = b.explorer_id ORDER BY b.id DESC LIMIT 1`)
	if err != nil || len(last) == 1 && last[0] == explorers[len(explorers)-1].name {
		return nil // unread, as after a kill: another block comes later
	}
	if err := w.mine(ctx); err != nil {
		return err
	}
	if err := w.awaitCovered(ctx); err != nil || len(last) == 1 && last[0] == explorers[len(explorers)-2].name {
		return err
	}
	if err := w.mine(ctx); err != nil {
		return err
	}
	return w.awaitCovered(ctx)
}

// lieAboutHistory puts a payment into an address's history that never was.
func (w *world) lieAboutHistory(ctx context.Context) error {
	const amount = 500_000_000
	to := w.ledger.watched[0]
	tx, err := w.wallet.Build(ctx, chaintest.Payment{Outputs: []chaintest.Output{{Script: to.script, Value: amount}}})
	if err != nil {
		return err
	}
	if err := w.mine(ctx); err != nil { // a block about which it tells the truth
		return err
	}
	if err := w.awaitCovered(ctx); err != nil {
		return err
	}
	height, hash, err := w.node.Best(ctx)
	if err != nil {
		return err
	}
	item := statement(tx, height, hash, time.Now())
	w.liar().Set("/address/"+to.text, chaintest.Fault{Rewrite: func(_ string, body []byte) []byte { return countOneMore(body, amount) }})
	w.liar().Set("/address/"+to.text+"/txs/chain", chaintest.Fault{Rewrite: func(_ string, body []byte) []byte { return putFirst(body, item) }})
	w.say.tell("Now it shows a payment of %s to the first address that never was: signed, counted, and said to be in block %d, which btcwatch has read itself.", btc(amount), height)
	return w.expectNamed(ctx, "lying: %blocks that do not hold them", nil)
}

// lieWithWork leaves a payment out of its block and makes the rest a whole
// block again, with proof of work: cheap here, and dear on mainnet. It is shown
// under the hash that was asked for. Shown as another block of that height, no
// proof would be against it until the chain with more work is.
func (w *world) lieWithWork(ctx context.Context) error {
	if err := w.awaitTurn(ctx); err != nil {
		return err
	}
	paid, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[0].script, Value: 4_000_000})
	if err != nil {
		return err
	}
	w.say.tell("Somebody pays %s to the first address.", btc(paid[0].amount))
	if err := w.expectSeen(ctx, paid); err != nil {
		return err
	}
	w.liar().Set("/block/*/raw", chaintest.Fault{Rewrite: falseBlocks(leaveOutAndSeal)})
	w.say.tell("%s leaves it out of its block too, and this time gives what is left a Merkle root and proof of work of its own.", explorers[0].name)
	if _, err := w.confirm(ctx, paid); err != nil {
		return err
	}
	return w.expectNamed(ctx, "lying: %another block came%", w.mine)
}

// expectNamed waits until the record says why the explorer is a liar, and has
// nothing to say against the others. What is said of a block is said once: a
// kill in that moment is the end of it, and explorers take turns at blocks: then
// another one has to come.
func (w *world) expectNamed(ctx context.Context, reason string, again func(context.Context) error) error {
	query := fmt.Sprintf(`SELECT name, coalesce(last_error, '') LIKE '%s', CASE name WHEN '%s' THEN last_error ELSE state END FROM explorers ORDER BY name`, "%"+reason+"%", explorers[0].name)
	var why string
	tried := time.Now()
	err := w.await(ctx, explorers[0].name+" named as a liar", func() (bool, error) {
		rows, err := w.daemon.rows(ctx, query)
		if err != nil || len(rows) != len(explorers) {
			return false, err
		}
		var named bool
		if why, named = strings.CutPrefix(rows[0], explorers[0].name+"|t|"); named && allOK(rows[1:]) {
			return true, nil
		}
		if again != nil && time.Since(tried) > 5*time.Second {
			tried = time.Now()
			return false, again(ctx)
		}
		return false, fmt.Errorf("the database says %q", rows)
	})
	if err == nil {
		w.say.happened("%s is named: %s", explorers[0].name, why)
	}
	return err
}

// allOK says whether nothing is said against explorers.
func allOK(rows []string) bool {
	return !slices.ContainsFunc(rows, func(row string) bool { return !strings.HasSuffix(row, "|ok") })
}
