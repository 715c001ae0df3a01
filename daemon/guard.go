package daemon

import (
	"fmt"
	"runtime/debug"
)

// guarded turns a panic of one piece of work into its error, so that it ends a
// round and not the program.
func guarded(work func() error) func() error {
	return func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panicked: %v\n%s", r, debug.Stack())
			}
		}()
		return work()
	}
}
