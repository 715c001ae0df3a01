package daemon

import (
	"fmt"
	"testing"
)

// stage is a moment in the life of a block, or of a reorganisation, at which the
// daemon's process is killed.
type stage struct {
	name string
	hold func(k *killing) // arranges that the daemon stops there; what held it is let go of by k.release
	wait func(k *killing) // until it has
}

// stages are six moments of a block or of a reorganisation.
func stages() []stage {
	return []stage{
		{"asking for the tip", func(k *killing) { k.gate("/blocks/tip/height", 1) }, (*killing).atGate},
		{"asking for a block", func(k *killing) { k.gate(k.raw(k.depth/2+1), 1) }, (*killing).atGate},
		// Locked once the block is asked for: a round that ends at the tip commits too.
		{"with blocks that are not recorded", func(k *killing) { k.gate(k.raw(k.depth/2+1), 1) }, func(k *killing) {
			k.atGate()
			k.lock(`SELECT FROM btcwatch.position FOR UPDATE`)
			k.letThrough()
			k.await("true", `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'btcwatch' AND wait_event_type = 'Lock'`)
		}},
		{"with a commit not made", func(k *killing) { k.lock(`LOCK TABLE btcwatch.journal IN EXCLUSIVE MODE`) }, func(k *killing) {
			k.await("true", `SELECT count(*) > 0 FROM pg_locks l WHERE l.relation = 'btcwatch.journal'::regclass AND NOT l.granted
				AND EXISTS (SELECT FROM pg_locks m WHERE m.pid = l.pid AND m.relation = 'btcwatch.chain_now'::regclass AND m.mode = 'RowExclusiveLock')`)
		}},
		{"with a commit and no delivery", func(k *killing) {
			k.holdClaims()
			if k.depth > 0 {
				k.gate(k.raw(1), 2) // once to verify it: it stops before it records the first of the branch
			}
		}, func(k *killing) {
			if k.depth > 0 {
				k.atGate()
				k.expect(fmt.Sprint(k.split), `SELECT height FROM btcwatch.position`)
			} else {
				k.covered(k.split + 1)
			}
			k.await("true", `SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted`)
			k.expect("0", `SELECT count(*) FROM report.deliveries WHERE attempts > 0 AND state = 'waiting'`)
		}},
		{"in a delivery", (*killing).holdDelivery, func(k *killing) {
			k.atGate()
			k.covered(k.split + k.depth + 1)
		}},
	}
}

// TestKilledAtEachStage kills the program itself, with SIGKILL, at six moments
// of a block and of a reorganisation, and starts it again. The database is the
// same as that of a program that was never killed; each alert exists once; each
// channel took each of them at least once, with the same bytes.
func TestKilledAtEachStage(t *testing.T) {
	t.Parallel()
	binary := built(t)
	for name, turn := range map[string]func(*scene){"a block": (*scene).goOn, "a reorganisation": (*scene).turn} {
		t.Run(name, func(t *testing.T) {
			s := newFollowed(t, 3)
			turn(s)
			unkilled := newKilling(t, s, binary).run(nil)
			for _, stage := range stages() {
				t.Run("killed "+stage.name, func(t *testing.T) {
					t.Parallel()
					killed := newKilling(t, s, binary).run(&stage)
					sameLines(t, "the database of a program that was never killed", unkilled, killed)
				})
			}
		})
	}
}
