// Package watchlist knows who is watched and why: listings with their source
// and basis, and how to read them from text. It decides nothing about alerts
// and stores nothing.
package watchlist

import (
	"strings"
	"time"

	"btcwatch/chain"
)

// Basis is the ground on which an address is listed.
type Basis string

// The grounds. The empty basis means that it is not known.
const (
	Unknown     Basis = ""
	Designation Basis = "designation"
	Seizure     Basis = "seizure"
	Court       Basis = "court"
	Partner     Basis = "partner"
	Press       Basis = "press"
	Own         Basis = "own"
)

// Bases are all grounds that a configuration may name, in the order of weight.
func Bases() []Basis {
	return []Basis{Designation, Seizure, Court, Partner, Press, Own, Unknown}
}

// Confidential says whether listings of this basis are confidential where
// nobody says otherwise: whom a house serves is not told to explorers.
func (b Basis) Confidential() bool { return b == Own }

// Notify says how people are told of what happens at an address, below the
// severity high. Programs get each alert, and all is recorded in any case.
type Notify string

// The ways, from the loudest on. Empty is NotifyEach.
const (
	NotifyEach   Notify = "each"   // a message for each alert
	NotifyDigest Notify = "digest" // one message a day for all
	NotifyRecord Notify = "record" // none
)

// Notifications are the ways that a listing may name, the loudest first.
func Notifications() []Notify { return []Notify{NotifyEach, NotifyDigest, NotifyRecord} }

// Loudest is how people are told of an address with these listings: as the one
// wants that is the loudest, so that no list can silence another.
func Loudest(listings []Listing) Notify {
	loudest := NotifyRecord
	for _, l := range listings {
		switch l.Notify {
		case NotifyRecord:
		case NotifyDigest:
			loudest = NotifyDigest
		default:
			return NotifyEach
		}
	}
	if len(listings) == 0 {
		return NotifyEach
	}
	return loudest
}

// Source is where a listing comes from. What the source does not say is empty.
type Source struct {
	Title     string `toml:"title" json:"title,omitempty"`
	Author    string `toml:"author" json:"author,omitempty"`
	Publisher string `toml:"publisher" json:"publisher,omitempty"`
	Date      string `toml:"date" json:"date,omitempty"`
	URL       string `toml:"url" json:"url,omitempty"`
	Locator   string `toml:"locator" json:"locator,omitempty"` // where in it: a page, a row, an entry's number
	Quote     string `toml:"quote" json:"quote,omitempty"`     // the words that name the address, shortened
}

// Confidence is how sure the source is that the listing is right, from 0 to
// 100. The zero value says that the source does not say.
type Confidence struct {
	Percent int
	Said    bool
}

// Listing is one address on one list, with the reason it is there.
type Listing struct {
	Address      chain.Address
	List         string // "config" for the configuration file, "command" for watch add
	Label        string
	Entity       string
	Category     string
	Basis        Basis
	Confidential bool // never asked about at explorers; followed by blocks only
	Notify       Notify
	Source       Source
	Version      string     // of the list, as it names itself; empty where it does not
	Confidence   Confidence // of the source
	From, To     time.Time  // in force from and to, days in UTC; zero where the source does not say
}

// String gives the source in one line: author, title, publisher, date.
func (s Source) String() string {
	var parts []string
	for _, part := range []string{s.Author, s.Title, s.Publisher, s.Date} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}
