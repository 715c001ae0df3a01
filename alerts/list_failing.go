package alerts

import (
	"strconv"
	"time"
)

// ListFailure is a list that could not be read, or was refused. Nothing of it was
// taken: what it said before stays in force.
type ListFailure struct {
	Network string
	List    string
	Failure int64 // its row in the database
	Origin  string
	Reason  string     // in our own words
	ReadAt  *time.Time // when it was last read and taken; nil: never
	At      time.Time
}

// Alert tells of it, once for each kind of failure until the list is taken again.
func (f ListFailure) Alert(key Key) Alert {
	text := "The list " + clean(f.List) + " could not be taken: " + clean(f.Reason)
	if f.ReadAt != nil {
		text += "; what it said at " + f.ReadAt.UTC().Format("2006-01-02 15:04") + " UTC stays in force"
	} else {
		text += "; it was never taken, and nobody is watched by it"
	}
	failure := strconv.FormatInt(f.Failure, 10)
	return seal(Alert{
		ID:   key.ID(f.Network, ListFailing, f.List, failure),
		Type: ListFailing, Severity: Medium, About: "list", Thread: key.thread(f.Network, "feed "+f.List), At: f.At,
	}, Data{
		Network: f.Network, ListName: f.List, Since: momentOf(f.ReadAt), ObservedAt: moment(f.At), Reason: clean(f.Reason), Summary: text + ".",
		Next: "It is read again by its schedule. Whoever was listed or de-listed meanwhile is not known here: read " + clean(f.Origin) +
			" by hand, and btcwatch watch import takes what is right.",
	})
}

// ListRecovery is a list that is taken again after a failure.
type ListRecovery struct {
	Network string
	List    string
	Failure int64 // the last one
	Since   time.Time
	At      time.Time
}

// Alert tells of it.
func (r ListRecovery) Alert(key Key) Alert {
	return seal(Alert{
		ID:   key.ID(r.Network, ListRecovered, r.List, strconv.FormatInt(r.Failure, 10)),
		Type: ListRecovered, Severity: Low, About: "list", Thread: key.thread(r.Network, "feed "+r.List), At: r.At,
	}, Data{
		Network: r.Network, ListName: r.List, Since: moment(r.Since), ObservedAt: moment(r.At),
		Summary: "The list " + clean(r.List) + " is taken again; what it says now is in force.",
	})
}
