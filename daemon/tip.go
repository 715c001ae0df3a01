package daemon

import (
	"fmt"
	"slices"
	"time"
)

// The outages that are seen in heights alone.
const (
	noBlock  = "tip"     // no explorer has shown a new block, for so long that it is blindness
	quietTip = "quiet"   // not for so long yet
	backlog  = "backlog" // the blocks that are not read yet become more
)

// tipVerdicts say whether the chain stands still for longer than it does by
// chance, as far as somebody looked: a schedule may ask but once a day. While
// explorers fail, or show blocks that are not covered yet, nothing is decided:
// that is told by itself.
func (h *health) tipVerdicts(now time.Time, best int32) []verdict {
	limit := h.settings.NoBlockAfter
	if limit == 0 || !h.settled(now, best) {
		return nil
	}
	still := h.kinds[forBlocks].good.Sub(h.moved)
	return []verdict{
		{kind: quietTip, out: still >= limit/4*3, since: h.moved},
		{kind: noBlock, out: still >= limit, since: h.moved},
	}
}

// settled says that tips are shown and that none is above the position.
func (h *health) settled(now time.Time, best int32) bool {
	c := h.kinds[forBlocks]
	answered := c != nil && !c.good.IsZero() && (!c.ailing() || now.Sub(c.good) < h.settings.BlindAfter)
	return answered && h.begun && !h.moved.IsZero() && h.behind.IsZero() && best > 0 && best <= h.height
}

// depth is how many blocks were not read yet at some moment.
type depth struct {
	at     time.Time
	blocks int32
}

// How growth of what is not read yet is told from catching up: by one look a
// minute, over half an hour, and not by the few blocks that may come in a row.
const (
	depthPause  = time.Minute
	depthLength = 30 * time.Minute
	deep        = 6
)

// backlogVerdict says whether blocks come quicker than they are read. It is over
// when none is left.
func (h *health) backlogVerdict(now time.Time) []verdict {
	tip := h.likelyTip()
	if !h.begun || tip == 0 {
		return nil
	}
	behind := tip - h.height
	h.noteDepth(depth{now, behind})
	first := h.depths[0]
	grown := now.Sub(first.at) >= depthLength && behind > first.blocks
	for _, d := range h.depths {
		grown = grown && d.blocks >= deep
	}
	switch {
	case behind <= 0:
		return []verdict{{kind: backlog}}
	case grown && !h.outages[forBlocks+" "]: // where none can be had at all, that is told
		reason := fmt.Sprintf("%d blocks behind, and %d half an hour before", behind, first.blocks)
		return []verdict{{kind: backlog, out: true, since: first.at, reason: reason}}
	}
	return nil
}

func (h *health) noteDepth(d depth) {
	if last := len(h.depths) - 1; last >= 0 && d.at.Sub(h.depths[last].at) < depthPause {
		return
	}
	h.depths = append(h.depths, d)
	for len(h.depths) > 1 && d.at.Sub(h.depths[1].at) >= depthLength {
		h.depths = h.depths[1:]
	}
}

// shows says that an explorer shows a tip now: what one showed before it fell
// silent tells nothing of the chain.
func (s *sight) shows() bool {
	c := s.uses[forTip]
	return s.tip > 0 && (c == nil || !c.ailing())
}

// best is the highest tip that any explorer shows; 0: none does.
func (h *health) best() (best int32) {
	for _, e := range h.each {
		if e.shows() {
			best = max(best, e.tip)
		}
	}
	return best
}

// likelyTip is the highest tip that two explorers show, or the only one: a
// single one may boast.
func (h *health) likelyTip() int32 {
	var tips []int32
	for _, e := range h.each {
		if e.shows() {
			tips = append(tips, e.tip)
		}
	}
	if len(tips) == 0 {
		return 0
	}
	slices.Sort(tips)
	return tips[max(0, len(tips)-2)]
}
