package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// Sight is what one explorer showed when it was asked once, for check.
type Sight struct {
	Explorer explorer.Settings
	Tip      int32         // its best height
	Took     time.Duration // until it answered
	Err      error         // why there is no answer to rely on; nil: there is one
}

// quickly is the pace of a look, which is two questions that a person asked
// for: a slow pace keeps hourly limits, and two requests exceed none of them.
const quickly = 2

// Look asks every configured explorer, all at the same time, for its tip and
// whether it shows the configured network. It changes nothing. The context
// bounds it; the sights are in the order of the configuration.
func Look(ctx context.Context, config *Config, version string) []Sight {
	sights := make([]Sight, len(config.Explorers))
	var all sync.WaitGroup
	for i, settings := range config.Explorers {
		all.Go(func() { sights[i] = lookAt(ctx, config, settings, version) })
	}
	all.Wait()
	return sights
}

func lookAt(ctx context.Context, config *Config, settings explorer.Settings, version string) Sight {
	sight := Sight{Explorer: settings}
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
