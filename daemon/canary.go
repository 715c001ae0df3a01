package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// forCanary is the outage of the canary: no payment of it comes through.
const forCanary = "canary"

// canarySink is the end of the canary's road: a channel that takes what people's
// channels would take, and notes that it has come.
type canarySink struct{ store *sql.Store }

// Send takes a message about the canary.
func (s canarySink) Send(ctx context.Context, m alerts.Message) error {
	return s.store.CanaryArrived(ctx, m.ID, m.Decoded.Data.TxID)
}

// canaryDeliverer carries the canary's payments to their end. Only the leader
// has one, so that the road it tests is the leader's.
func (w *watch) canaryDeliverer(writer *sql.Writer) *deliverer {
	return &deliverer{
		name: sql.CanaryChannel, channel: canarySink{w.store}, store: w.store.Canaries(), writer: writer, zone: w.config.Zone,
		wake: w.canaryWake, log: w.Log, pulse: w.pulse,
	}
}

// tellCanary makes the canary known to the record. An outage of another one, or
// of none, is nobody's any more.
func (l *leader) tellCanary(ctx context.Context) error {
	changed, err := l.writer.SetCanary(ctx)
	if err != nil || !changed {
		return err
	}
	return l.writer.ForgetOutage(ctx, forCanary, "")
}

// longestLook is how long one explorer may take to list what is unconfirmed at
// the canary, which may be much: the watched addresses wait meanwhile.
const longestLook = 20 * time.Second

// canaryLooker asks about the canary's unconfirmed payments, one explorer a
// round, the next one the next time.
type canaryLooker struct {
	*asker
	address *chain.Address
	turn    int
}

// withCanary is a round of the mempool with a question about the canary after
// it. How that goes is no fault of the round, or of the explorer.
func (l *leader) withCanary(round func(context.Context) error) func(context.Context) error {
	look := &canaryLooker{asker: l.asker("mempool"), address: l.config.Canary.Address}
	if look.address == nil {
		return round
	}
	return func(ctx context.Context) error {
		err := round(ctx)
		if failed := look.look(ctx); failed != nil && ctx.Err() == nil {
			l.Log.Warn("unconfirmed payments of the canary not seen", "error", words(failed))
		}
		return err
	}
}

func (c *canaryLooker) look(ctx context.Context) error {
	position, err := c.store.Position(ctx)
	if err != nil || !position.Set {
		return err
	}
	var able []*explorer.Explorer
	for _, e := range c.explorers {
		if e.Addresses != nil {
			able = append(able, e)
		}
	}
	if len(able) == 0 {
		return nil
	}
	e := able[c.turn%len(able)]
	c.turn++
	asking, cancel := context.WithTimeout(ctx, longestLook)
	defer cancel()
	txs, complete, err := e.Addresses.Mempool(asking, *c.address)
	c.beat()
	if err != nil {
		return fmt.Errorf("ask %s: %w", e.Name, err)
	}
	var ids []chainhash.Hash
	for _, tx := range txs {
		ids = append(ids, tx.ID)
	}
	return c.store.SawCanary(ctx, e.Name, ids, complete)
}
