package sql

import (
	"context"
	"fmt"
	"slices"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/watchlist"
)

// own says whether a script is on no list but those of own addresses.
func (s *watchedScript) own() bool {
	return len(s.listings) > 0 && !slices.ContainsFunc(s.listings, func(l watchlist.Listing) bool { return l.Basis != watchlist.Own })
}

// meet says whether two scripts are the two sides of a payment: one spends in
// it, and money goes to the other. What is paid beside another in a batch is not
// met by it.
func meet(a, b chain.Effect) bool {
	return len(a.Debits) > 0 && b.Received() > 0 || len(b.Debits) > 0 && a.Received() > 0
}

// listedFirst puts the own addresses of a transaction last: whether they are
// told of by themselves depends on what was told of the listed ones.
func (c *commit) listedFirst(effects []chain.Effect) []chain.Effect {
	order := func(e chain.Effect) int {
		if c.set.scripts[e.Script].own() {
			return 1
		}
		return 0
	}
	sorted := slices.Clone(effects)
	slices.SortStableFunc(sorted, func(a, b chain.Effect) int { return order(a) - order(b) })
	return sorted
}

// silent says whether nothing is told of an own address by itself: it met no
// listed one, or the alert of the listed one names it. An alert is of the listed
// address, for that is whom the money met, and one payment of a hot wallet has
// many own addresses. Where the other side became known only after the listed
// one was told of, or the payment is from before the watch of the listed one,
// the own address tells, as it does where a rule names own addresses; and what it once told of a payment it goes on telling.
func (c *commit) silent(ctx context.Context, tx int64, effects []chain.Effect, e chain.Effect) (silent bool, err error) {
	if !c.set.scripts[e.Script].own() || c.tell.Rules.NameOwn() {
		return false, nil
	}
	met := c.listedIn(effects, e)
	if len(met) == 0 {
		return true, nil
	}
	err = c.tx.QueryRow(ctx, `
		SELECT NOT coalesce(bool_or(script_id = $1), false)
		       AND coalesce(bool_or(script_id = ANY($2)
		                            AND convert_from(body, 'UTF8')::jsonb #> '{data,rules}' @> to_jsonb($3::text)), false)
		FROM btcwatch.alert
		WHERE tx_id = $4
		  AND (script_id = $1 OR script_id = ANY($2))`, e.Script, met, alerts.OwnMeetsListing, tx).Scan(&silent)
	if err != nil {
		return false, fmt.Errorf("ask whether a listed address told of an own one: %w", err)
	}
	return silent, nil
}

// listedIn gives the listed scripts that an own address meets.
func (c *commit) listedIn(effects []chain.Effect, own chain.Effect) (met []int64) {
	for _, e := range effects {
		if s := c.set.scripts[e.Script]; len(s.listings) > 0 && !s.own() && meet(own, e) {
			met = append(met, e.Script)
		}
	}
	return met
}

// addOwn adds to the other side of a listed address the own ones that its inputs
// do not show as such: those of which only a key or script points to them.
func (c *commit) addOwn(all []alerts.Counterparty, tx *chain.Transaction, e chain.Effect) []alerts.Counterparty {
	if s := c.set.scripts[e.Script]; len(s.listings) == 0 || s.own() {
		return all
	}
	for _, other := range c.set.match.Effects(tx) {
		s := c.set.scripts[other.Script]
		if s == nil || !s.own() || !meet(e, other) || slices.ContainsFunc(all, func(p alerts.Counterparty) bool { return p.Address == s.address.Text }) {
			continue
		}
		all = append(all, alerts.Counterparty{Address: s.address.Text, Listings: listingsOf(s.listings), Revealed: other.Unknown()})
	}
	return all
}
