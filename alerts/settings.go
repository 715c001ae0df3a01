package alerts

// Settings is one [channels.NAME] table. The keys that only its kind knows
// are decoded by the kind, strictly.
type Settings struct {
	Name        string
	Kind        string
	About       []string // payment, list, service, blind; empty: all
	MinSeverity Severity
	Quiet       Hours // of a channel for people: what is below high waits for their end

	// Decode fills a pointer to the kind's own settings struct (toml tags)
	// and refuses keys that it does not have.
	Decode func(into any) error
}

// Wants says whether the channel is to carry an alert.
func (s Settings) Wants(a Alert) bool {
	if a.Quiet || a.Severity < s.MinSeverity {
		return false
	}
	for _, about := range s.About {
		if about == a.About {
			return true
		}
	}
	return len(s.About) == 0
}
