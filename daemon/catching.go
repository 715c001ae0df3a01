package daemon

import (
	"time"
)

// CatchingUp is how the way to the tip of the chain goes.
type CatchingUp struct {
	Height int32         // of the last block covered
	Tip    int32         // the highest that explorers show
	Done   int32         // blocks covered on this way
	Rate   float64       // of them a second; 0: not known yet
	Left   time.Duration // until the tip at that rate; 0: not known yet, or there
}

// ToGo is how many blocks are missing.
func (c CatchingUp) ToGo() int32 { return max(0, c.Tip-c.Height) }

// progressPause is how often the log tells how it goes.
const progressPause = 10 * time.Second

// catching follows one way to the tip.
type catching struct {
	*follower
	best   int32
	from   int32 // the height that it began at
	began  time.Time
	logged time.Time
	shown  bool
}

// at takes down the height that is reached, and tells of it.
func (c *catching) at(height int32) {
	now := c.now()
	if c.began.IsZero() {
		c.began, c.logged, c.from = now, now, height
	}
	way := c.way(height, now)
	if c.told != nil && way.ToGo() > 1 {
		c.shown = true
		c.told(way)
	}
	if now.Sub(c.logged) > progressPause {
		c.logged = now
		c.log.Info("catching up", "height", height, "tip", c.best, "behind", way.ToGo(), "done", way.Done,
			"blocks_per_second", float64(int(way.Rate*100))/100, "left", way.Left.Round(time.Second))
	}
}

func (c *catching) way(height int32, now time.Time) CatchingUp {
	way := CatchingUp{Height: height, Tip: c.best, Done: max(0, height-c.from)}
	if took := now.Sub(c.began).Seconds(); took > 0 && way.Done > 0 {
		way.Rate = float64(way.Done) / took
		way.Left = time.Duration(float64(way.ToGo()) / way.Rate * float64(time.Second))
	}
	return way
}

// end says that the way is at its end, be it at the tip or not.
func (c *catching) end() {
	if c.shown {
		c.told(CatchingUp{Height: c.best, Tip: c.best})
	}
}
