package daemon

import (
	"context"
	"fmt"
	"sync"

	"btcwatch/chain/explorer"
)

// introduced remembers what software each explorer was last noted to run. Those
// of some kinds say it only when they are asked, and may change it.
type introduced struct {
	mu       sync.Mutex
	software map[string]string
}

// introduce notes what software an explorer runs before its word is recorded:
// the commit decides by it whether the word bears out another's.
func (a *asker) introduce(ctx context.Context, e *explorer.Explorer) error {
	software := e.Witness().Software
	a.met.mu.Lock()
	known, met := a.met.software[e.Name]
	a.met.mu.Unlock()
	if met && known == software {
		return nil
	}
	if err := a.store.SaveSoftware(ctx, e.Name, software); err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	a.met.mu.Lock()
	defer a.met.mu.Unlock()
	if a.met.software == nil {
		a.met.software = map[string]string{}
	}
	a.met.software[e.Name] = software
	return nil
}
