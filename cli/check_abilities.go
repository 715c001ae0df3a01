package cli

import (
	"errors"
	"fmt"
	"strings"

	"btcwatch/chain/explorer"
	"btcwatch/daemon"
)

// explorerFacts is what check says of an explorer beside its tip.
type explorerFacts struct {
	Kind     string            `json:"kind,omitempty"`
	Operator string            `json:"operator,omitempty"`
	Software string            `json:"software,omitempty"` // as it calls itself
	Can      []string          `json:"can,omitempty"`
	Cannot   map[string]string `json:"cannot,omitempty"`   // what its kind can and it did not give now, and why
	Unprobed []string          `json:"unprobed,omitempty"` // of can: what was not asked for

	RequestsPerSecond *float64 `json:"requests_per_second,omitempty"` // configured; 0: no limit
	PaceUsed          *float64 `json:"pace_used,omitempty"`           // share of it that rounds of the mempool take when nothing happens; 1: all
	CheckRequests     int64    `json:"check_requests,omitempty"`      // that this check sent
}

// facts adds what an explorer can do, its software and its pace.
func (c *checkup) facts(f *finding, s daemon.Sight) {
	f.Kind, f.Operator, f.Software, f.CheckRequests = s.Explorer.Kind, s.Explorer.Operator, s.Software, s.Requests
	perSecond := s.Explorer.RequestsPerSecond
	f.RequestsPerSecond = &perSecond
	if perSecond > 0 && s.Hears {
		used := c.paceUsed()
		f.PaceUsed = &used
	}
	if s.Err != nil {
		return
	}
	for _, a := range s.Can {
		f.Can = append(f.Can, a.Name)
		switch {
		case a.Err != nil && f.Cannot == nil:
			f.Cannot = map[string]string{a.Name: failure(a.Err)}
		case a.Err != nil:
			f.Cannot[a.Name] = failure(a.Err)
		case !a.Probed:
			f.Unprobed = append(f.Unprobed, a.Name)
		}
	}
	f.Finding += "; " + software(s) + paceWords(perSecond, f.PaceUsed)
	f.Finding += "; gives " + abilityWords(s.Can)
	for _, a := range s.Can {
		if errors.Is(a.Err, explorer.ErrLying) {
			f.State, f.Do = isWrong, "what it says there is false; take another explorer in its place"
		}
		if a.Err != nil {
			f.Finding += fmt.Sprintf("; did not give %s: %s", a.Name, failure(a.Err))
		}
	}
	if len(f.Cannot) > 0 && f.State == isFine {
		f.State = isNote
	}
}

// abilityWords names what an explorer gave, and what its kind can beside that.
func abilityWords(can []daemon.Ability) string {
	var gave, untried []string
	for _, a := range can {
		switch {
		case a.Err != nil:
		case a.Probed:
			gave = append(gave, a.Name)
		default:
			untried = append(untried, a.Name)
		}
	}
	text := strings.Join(gave, ", ")
	if len(untried) > 0 {
		text += " (not tried: " + strings.Join(untried, ", ") + ")"
	}
	return text
}

func software(s daemon.Sight) string {
	if s.Software != "" {
		return s.Explorer.Kind + " by " + tame(s.Software)
	}
	return s.Explorer.Kind
}

// paceWords says how often an explorer is asked, and what is left of that.
func paceWords(perSecond float64, used *float64) string {
	if perSecond == 0 {
		return ", no pace"
	}
	text := fmt.Sprintf(", pace %g a second", perSecond)
	switch {
	case used == nil:
	case *used >= 1:
		text += ", all of it taken by rounds of the mempool"
	default:
		text += fmt.Sprintf(", %d%% of it left by rounds of the mempool", int(100*(1-*used)))
	}
	return text
}

// paceUsed is the share of the paces that rounds of the mempool take when
// nothing happens: one question an address.
func (c *checkup) paceUsed() float64 {
	planned, err := c.plannedRound()
	if err != nil || planned <= 0 {
		return 0
	}
	addresses := len(c.addresses)
	if c.addresses == nil {
		addresses = askable(c.config)
	}
	return min(1, c.round(addresses).Seconds()/planned.Seconds())
}
