package cli

import (
	"net/url"
	"slices"
	"strings"
	"unicode"

	"btcwatch/daemon"
	"btcwatch/sql"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

// listFlags say of a list what its file does not.
type listFlags struct {
	Format       string            `placeholder:"NAME" help:"How it is spelled, where that is not recognised: ${formats}."`
	Symbol       []string          `placeholder:"COIN" help:"Watch Bitcoin addresses that the list has under this coin too, such as USDT."`
	Column       map[string]string `placeholder:"NAME=FIELD" help:"Which column of a table is what, where the guess is wrong: --column Wallet=address. The fields are named as the columns of watch export."`
	Basis        string            `help:"Ground of the listings, where the file names none: designation, seizure, court, partner, press, own; or unknown."`
	Entity       string            `help:"Whose they are, where the file does not say."`
	Category     string            `help:"Such as terrorist financing, where the file does not say."`
	Title        string            `help:"Source: its title, where the file does not say."`
	Author       string            `help:"Source: its author, likewise."`
	Publisher    string            `help:"Source: its publisher, likewise."`
	Date         string            `help:"Source: its date, likewise, as YYYY-MM-DD, YYYY-MM or YYYY."`
	URL          string            `name:"url" help:"Source: where it can be read, likewise."`
	Notify       string            `help:"How people are told below the severity high: each, digest or record."`
	Confidential *bool             `negatable:"" help:"Never ask an explorer about them. So it is for own addresses, unless --no-confidential says otherwise."`
}

// given checks what was said of a list.
func (f *listFlags) given(s *session, config *daemon.Config) (listfile.Given, error) {
	l := watchlist.Listing{
		Entity: f.Entity, Category: f.Category, Basis: watchlist.Basis(f.Basis), Notify: watchlist.Notify(f.Notify),
		Source: watchlist.Source{Title: f.Title, Author: f.Author, Publisher: f.Publisher, Date: f.Date, URL: f.URL},
	}
	if err := checkSaid(&l); err != nil {
		return listfile.Given{}, err
	}
	return listfile.Given{
		Format: f.Format, Symbols: f.Symbol, Columns: f.Column, Listing: l, Confidential: f.Confidential,
		Params: config.Network, Today: s.Now(), Told: func(line string) { s.say("%s", tame(line)) },
	}, nil
}

// checkSaid checks what a person says of a listing by flags.
func checkSaid(l *watchlist.Listing) error {
	if l.Basis == "unknown" {
		l.Basis = watchlist.Unknown
	}
	if !slices.Contains(watchlist.Bases(), l.Basis) {
		return wrongUsef("unknown basis %q: use designation, seizure, court, partner, press, own or unknown", l.Basis)
	}
	if l.Notify != "" && !slices.Contains(watchlist.Notifications(), l.Notify) {
		return wrongUsef("--notify %q is unknown: use each, digest or record", l.Notify)
	}
	for _, text := range []string{l.Label, l.Entity, l.Category, l.Source.Title, l.Source.Author, l.Source.Publisher, l.Source.Date, l.Source.URL} {
		if strings.ContainsFunc(text, unicode.IsControl) {
			return wrongUsef("%q holds a line break or another control character: write it in one line", text)
		}
	}
	if !isDate(l.Source.Date) {
		return wrongUsef("--date %q is no date: write YYYY-MM-DD, or YYYY-MM or YYYY where the source says no more", l.Source.Date)
	}
	if text := l.Source.URL; text != "" {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return wrongUsef("--url %q is not a web address: write one that begins with https:// or http://", text)
		}
	}
	return nil
}

// formatNames are those that --format takes, for help.
func formatNames() string {
	names := listfile.Names()
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// notReserved refuses the names of lists that are no file's.
func notReserved(list string) error {
	if list == sql.ConfigList || list == sql.CommandList || list == "" {
		return wrongUsef("a list cannot be called %q here: name another with --list", list)
	}
	return nil
}
