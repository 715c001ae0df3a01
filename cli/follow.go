package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type followCommand struct {
	From   string `required:"" placeholder:"HEIGHT:HASH" help:"The first block to follow from now on, which you vouch for."`
	Reason string `required:"" placeholder:"TEXT" help:"Why. It is kept, and shown with all that rests on it."`
	Yes    bool   `help:"Do not ask whether it is meant."`
}

// longestReason is how long a reason may be: it stands in every message that
// rests on it.
const longestReason = 300

// mostShown is how many of the payments that leave the chain are shown.
const mostShown = 20

// mostMoves is how often the block is compared with a chain that moves on
// meanwhile, as it does all the time while the daemon catches up.
const mostMoves = 10

// Run makes following go on with another block, on the word of whoever types it.
func (c *followCommand) Run(s *session) error {
	v, err := c.vouched()
	if err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	for _, point := range chain.Checkpoints(config.Network) {
		if point.Height == v.Height && point.Hash != v.Hash {
			return wrongUsef("block %d of %s is known to be %s, so no other one is followed there: compare the height and the hash with your source",
				v.Height, chain.NetworkName(config.Network), point.Hash)
		}
	}
	if !c.Yes && !(s.InIsTerminal && s.ErrIsTerminal) {
		return wrongUsef("nobody can be asked here whether this is meant: type it at a terminal, or say --yes")
	}
	return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, p *progress) error {
		return c.follow(ctx, s, config, store, v, p)
	})
}

// vouched reads what the flags say.
func (c *followCommand) vouched() (v sql.Vouched, err error) {
	const form = "give --from HEIGHT:HASH, the height and the 64 hexadecimal digits of the hash, as the alert or an explorer shows them"
	height, hash, both := strings.Cut(strings.TrimSpace(c.From), ":")
	n, err := strconv.ParseInt(height, 10, 64)
	switch {
	case !both:
		return v, wrongUsef("%q names no block: %s", tame(c.From), form)
	case err != nil || strings.HasPrefix(height, "+"):
		return v, wrongUsef("%q is no height: %s", tame(height), form)
	case n < 1 || n > math.MaxInt32:
		return v, wrongUsef("nothing can be followed from block %d: %s", n, form)
	case len(hash) != 2*chainhash.HashSize || strings.Trim(hash, "0123456789abcdefABCDEF") != "":
		return v, wrongUsef("%q is no block hash: %s", tame(hash), form)
	}
	if err := chainhash.Decode(&v.Hash, strings.ToLower(hash)); err != nil {
		return v, wrongUsef("%q is no block hash: %s", tame(hash), form)
	}
	v.Height, v.Reason = int32(n), strings.TrimSpace(c.Reason)
	switch {
	case v.Reason == "":
		return v, wrongUsef("--reason is empty: say why, for whoever has to understand this in a year")
	case strings.ContainsFunc(v.Reason, unicode.IsControl):
		return v, wrongUsef("--reason has a line break or another control character: write it in one line")
	case len(v.Reason) > longestReason:
		return v, wrongUsef("--reason has %d bytes, and may have %d: name a ticket or a document instead", len(v.Reason), longestReason)
	}
	return v, nil
}

func (c *followCommand) follow(ctx context.Context, s *session, config *daemon.Config, store *sql.Store, v sql.Vouched, p *progress) (err error) {
	if v.Actor, err = s.actor(ctx, config, store); err != nil {
		return err
	}
	plan, err := store.PlanRefollow(ctx, v)
	if errors.Is(err, sql.ErrNotBegun) {
		return fmt.Errorf("no block is followed yet: set start = \"%d:%s\" under [chain] in %s instead, and start btcwatch", v.Height, v.Hash, config.File)
	}
	if err != nil || plan.Followed {
		return c.nothing(s, v, err)
	}
	tell := sql.Telling{Confirmations: config.Alerts.Confirmations, Rules: config.Rules, Channels: config.Channels, Burst: config.Alerts.Burst}
	for range mostMoves {
		if v, err = c.vouch(ctx, s, config, store, v, p); err != nil {
			return refused(v, err)
		}
		plan, err := store.PlanRefollow(ctx, v)
		if err != nil || plan.Followed {
			return c.nothing(s, v, err)
		}
		if plan.Moved {
			continue
		}
		c.say(s, v, plan)
		if !c.Yes {
			if err := s.confirm(); err != nil {
				return err
			}
		}
		err = store.RefollowFrom(ctx, tell, v, plan)
		if errors.Is(err, sql.ErrMoved) {
			s.say("The chain followed has moved meanwhile, so the block is compared with it anew.")
			continue
		}
		if err != nil {
			return err
		}
		return c.done(ctx, s, store, v)
	}
	return errors.New("the chain followed moved each time that the block had been compared with it. Nothing is changed: stop the daemon, and try again")
}

// vouch compares the block with the explorers and with the chain followed.
func (c *followCommand) vouch(ctx context.Context, s *session, config *daemon.Config, store *sql.Store, v sql.Vouched, p *progress) (sql.Vouched, error) {
	p.again("asking the explorers")
	defer p.end()
	return daemon.Vouch(ctx, config, s.version, store, v, func(headers int) {
		p.now(fmt.Sprintf("following the block back to the chain that is followed: %s", counted(headers, "header", "headers")))
	})
}

func (c *followCommand) nothing(s *session, v sql.Vouched, err error) error {
	if err == nil {
		_, err = fmt.Fprintf(s.Out, "Block %s (%s) is followed already; nothing is changed.\n", grouped(int64(v.Height)), v.Hash)
	}
	return err
}

// refused says what to do where a block is not taken.
func refused(v sql.Vouched, err error) error {
	switch {
	case errors.Is(err, daemon.ErrNotShown):
		return fmt.Errorf("%w. Nothing is changed: compare height and hash with your source, and see that at least one explorer of the configuration shows that block", err)
	case errors.Is(err, chain.ErrFalseBlock):
		return fmt.Errorf("%s at height %d is no block that can be followed: %w. Nothing is changed: compare height and hash with your source", v.Hash, v.Height, err)
	}
	return fmt.Errorf("%w. Nothing is changed; try again", err)
}

// say tells what is about to be done.
func (c *followCommand) say(s *session, v sql.Vouched, plan sql.Refollow) {
	before := plan.Position.Height
	s.say("Followed up to block %s (%s). On your word, following goes on with block %s (%s):", grouped(int64(before)), plan.Position.Hash, grouped(int64(v.Height)), v.Hash)
	if plan.First > plan.Stays {
		s.say("  - Nothing of what was covered stays.")
	} else {
		s.say("  - What is covered up to block %s stays.", grouped(int64(plan.Stays)))
	}
	if from := max(plan.Stays+1, plan.First); from <= before {
		s.say("  - Blocks %s to %s leave the chain; they stay recorded as no longer on it.", grouped(int64(from)), grouped(int64(before)))
	}
	if !v.Joined {
		s.say("  - Where its chain leaves the one followed cannot be seen: the headers in between are not served, or too many. So all counts as left that is not known to be shared.")
	}
	c.sayPayments(s, plan.Payments)
	if g := plan.Gap; g != nil {
		s.say("  - Blocks %s to %s are not covered: payments in them are seen only as far as explorers list them.", grouped(int64(g.From)), grouped(int64(g.To)))
		if v.Joined {
			s.say("    To cover them too, follow from block %s of the same chain instead.", grouped(int64(g.From)))
		}
	}
	s.say("  - An alert tells people, with your name (%s) and the reason.", v.Actor)
}

func (c *followCommand) sayPayments(s *session, all []sql.LeavingPayment) {
	if len(all) == 0 {
		s.say("  - No payment is touched.")
		return
	}
	s.say("  - %s unconfirmed again, until a block of this chain holds it:", counted(len(all), "payment is", "payments are"))
	for i, payment := range all {
		if i == mostShown {
			s.say("      and %s more", grouped(int64(len(all)-i)))
			break
		}
		s.say("      block %s  %s BTC  %s  %s", grouped(int64(payment.Height)), known(payment.AmountSat), payment.Address, payment.TxID)
	}
}

func (c *followCommand) done(ctx context.Context, s *session, store *sql.Store, v sql.Vouched) error {
	leads, err := store.Leads(ctx)
	if err != nil {
		return err
	}
	next := "Start the daemon to go on: btcwatch run."
	if leads {
		next = "The daemon goes on there within seconds; btcwatch check shows how far it is."
	}
	_, err = fmt.Fprintf(s.Out, "Following goes on with block %s. %s\n", grouped(int64(v.Height)), next)
	return err
}
