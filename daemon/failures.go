package daemon

import (
	"context"
	"time"
)

// failuresPause is how often the failures of explorers are saved.
const failuresPause = 30 * time.Second

// failures saves how explorers fail, as their clients count it.
type failures struct {
	*watch
	saved map[string]map[string]int64 // by explorer and kind
}

// newFailures leaves out what an earlier lead of this daemon has saved: that
// counts with the explorers, which it hands on.
func (w *watch) newFailures() *failures {
	f := &failures{w, map[string]map[string]int64{}}
	for _, e := range w.explorers {
		f.saved[e.Name] = w.failuresSaved[e.Name]
	}
	w.failuresSaved = f.saved
	return f
}

// save adds what came since the last time.
func (f *failures) save(ctx context.Context) error {
	for _, e := range f.explorers {
		all := e.Pace.Failures()
		more := map[string]int64{}
		for kind, count := range all {
			if n := count - f.saved[e.Name][kind]; n > 0 {
				more[kind] = n
			}
		}
		if len(more) == 0 {
			continue
		}
		if err := f.store.AddFailures(ctx, e.Name, more); err != nil {
			return err
		}
		f.saved[e.Name] = all
	}
	return nil
}
