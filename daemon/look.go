package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Sight is what one explorer showed when it was asked once, for check.
type Sight struct {
	Explorer explorer.Settings
	Tip      int32         // its best height
	Took     time.Duration // until it answered
	Err      error         // why there is no answer to rely on; nil: there is one

	Can      []Ability // what its kind can do
	Software string    // what it calls its own software; empty: not known
	Family   string    // of that software: those of one share code; empty: not known
	Hears    bool      // it can and may be asked about addresses
	BareKeys bool      // it counts what was paid to a bare key at the address of that key
	Requests int64     // sent for this look

	Counts map[string]explorer.Counters // by address, of those that it was asked about
}

// Ability is one thing that an explorer can be asked for.
type Ability struct {
	Name   string
	Probed bool  // it was asked for it
	Err    error // why it did not give it; nil: it did, or was not asked
}

// quickly is the pace of a look, which is a few questions that a person asked
// for: a slow pace keeps hourly limits, and so many requests exceed none of them.
const quickly = 2

// Guard gives an explorer as it may be asked about addresses; nil where it may
// not be.
type Guard func(*explorer.Explorer) *explorer.Explorer

// Guarding gives the guard that the configured privacy mode asks for, which
// records who was told of which address; done settles that record.
func Guarding(config *Config, store *sql.Store) (guard Guard, done func(context.Context) error) {
	p := newPrivacy(config, store, time.Now)
	return p.guard, func(ctx context.Context) error { return p.flush(ctx, true) }
}

// Look asks every configured explorer, all at the same time, for its tip and
// whether it shows the configured network, then for one thing of each sort, and
// how much it counts at the addresses, where the guard lets it be asked about
// these; without one nobody is. It changes nothing. The context bounds it; the
// sights are in the order of the configuration.
func Look(ctx context.Context, config *Config, version string, guard Guard, addresses []chain.Address) []Sight {
	sights := make([]Sight, len(config.Explorers))
	var all sync.WaitGroup
	for i, settings := range config.Explorers {
		all.Go(func() { sights[i] = lookAt(ctx, config, settings, version, guard, addresses) })
	}
	all.Wait()
	return sights
}

func lookAt(ctx context.Context, config *Config, settings explorer.Settings, version string, guard Guard, addresses []chain.Address) (sight Sight) {
	sight = Sight{Explorer: settings, Counts: map[string]explorer.Counters{}}
	perSecond := settings.RequestsPerSecond
	if settings.RequestsPerSecond > 0 {
		settings.RequestsPerSecond = max(settings.RequestsPerSecond, quickly)
	}
	if settings.UserAgent == "" {
		settings.UserAgent = "btcwatch/" + version
	}
	e, err := explorer.Open(settings, config.Network)
	if err != nil {
		sight.Err = err
		return sight
	}
	defer e.Close()
	defer func() { sight.Requests = e.Pace.Requests() }()
	for _, name := range e.Abilities() {
		sight.Can = append(sight.Can, Ability{Name: name})
	}
	sight.Hears, sight.BareKeys = e.Addresses != nil && config.Hears(settings), e.BareKeys
	if e.Chain == nil {
		sight.Err = fmt.Errorf("%w: its kind, %s, does not show the chain", explorer.ErrRefused, e.Kind)
		return sight
	}
	began := time.Now()
	sight.Tip, sight.Err = e.Chain.Tip(ctx)
	sight.Took = time.Since(began)
	if sight.Err == nil {
		sight.Err = rightNetwork(ctx, config, e)
	}
	sight.Software = e.Software()
	sight.Family = e.Witness().Software
	if sight.Err == nil {
		p := &looker{ctx: ctx, params: config.Network, sight: &sight, e: e, most: questionsOf(perSecond), fiat: config.Fiat.Currency}
		p.abilities()
		if guard != nil && sight.Hears {
			p.countAs(guard(e), addresses)
		}
	}
	return sight
}

// rightNetwork asks for the first block, in which all networks differ.
func rightNetwork(ctx context.Context, config *Config, e *explorer.Explorer) error {
	hash, err := e.Chain.BlockHash(ctx, 0)
	if err != nil {
		return err
	}
	if hash == *config.Network.GenesisHash {
		return nil
	}
	return fmt.Errorf("%w: its first block is not that of %s", explorer.ErrLying, chain.NetworkName(config.Network))
}

// Operators counts who runs the explorers that show the chain: that many are
// independent witnesses at most.
func Operators(config *Config) int {
	all := map[string]bool{}
	for _, e := range config.Explorers {
		name := e.Operator
		if name == "" {
			name = e.URL
		}
		all[name] = true
	}
	return len(all)
}
