package daemon

import (
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"btcwatch/sql"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

// ListSettings is one [lists.NAME] table: a list that is read again and again.
type ListSettings struct {
	Name      string
	Origin    string // a web address or a file
	File      bool   // it is a file
	Schedule  string // cron, or "@every 1h"; empty: never
	MaxChange int    // percent that may be added and retired at once; 0: any
	Given     listfile.Given
}

func (l *loader) lists(s *section) {
	for _, one := range s.each() {
		l.config.Lists = append(l.config.Lists, l.list(one))
	}
}

// The pace of a list unless told otherwise: once a day, when few others ask.
const listSchedule = "41 4 * * *"

func (l *loader) list(s *section) ListSettings {
	defer s.finish()
	basis := l.basis(s)
	set := ListSettings{
		Name: goodName(s), Schedule: s.text("schedule", listSchedule), MaxChange: int(s.integer("max_change", 20)),
		Given: listfile.Given{
			Format: s.text("kind", ""), Symbols: s.texts("symbols"), Params: l.config.Network,
			Listing: watchlist.Listing{
				Basis: basis, Label: s.text("label", ""), Entity: s.text("entity", ""), Category: s.text("category", ""),
				Notify: l.notify(s), Source: l.source(s.sub("source")),
			},
		},
	}
	if s.has("confidential") {
		confidential := s.flag("confidential")
		set.Given.Confidential = &confidential
	}
	if set.Name == sql.ConfigList || set.Name == sql.CommandList {
		s.fault("", "a list cannot be called %q; use another name", set.Name)
	}
	if set.MaxChange < 0 {
		s.fault("max_change", "%d is no part; use a number of percent, or 0 for any", set.MaxChange)
	}
	if _, err := ParseSchedule(set.Schedule, time.UTC); set.Schedule != "" && err != nil {
		s.fault("schedule", "%s", err)
	}
	if set.Given.Format != "" {
		set.Given.Format = l.kind(s, "list", listfile.Names())
	}
	set.Origin, set.File = l.listOrigin(s)
	return set
}

// listOrigin reads where a list comes from.
func (l *loader) listOrigin(s *section) (origin string, file bool) {
	address, path := s.text("url", ""), s.text("file", "")
	switch {
	case address == "" && path == "":
		l.absent(s, "url", "nothing says where the list is; write url = \"https://…\", or file = \"/…\"")
	case address != "" && path != "":
		s.fault("file", "url is given too; keep one of the two")
	case path != "":
		if !filepath.IsAbs(path) {
			s.fault("file", "not a whole path; write one that begins with /")
		}
		return path, true
	}
	if address == "" {
		return "", false
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		s.fault("url", "not a web address; write one that begins with https://")
	case u.User != nil:
		s.fault("url", "holds a user name or password, and a configuration holds no secrets; fetch the list by other means, and give its file")
	case u.Scheme == "http" && !private(u.Hostname()):
		s.fault("url", "is not encrypted, so that anybody on the way could change the list; use https://")
	}
	return strings.TrimSpace(address), false
}
