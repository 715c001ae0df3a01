package listfile

import (
	"errors"
	"strings"
	"testing"

	"btcwatch/chain/chaintest/recorded"
	"btcwatch/watchlist"
)

const (
	katibat = "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG"
	malhama = "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk"
)

// TestArticle: the page holds several articles; the addresses stand in one by
// Uran Botobekov, which says no date and no publisher.
func TestArticle(t *testing.T) {
	format, rows, err := read(t, "article.txt", string(recorded.Read(t, "article.txt")), nil)
	if err != nil || format != "text" || len(rows) != 2 {
		t.Fatalf("read as %s: %d rows, %v", format, len(rows), err)
	}
	for i, want := range []struct {
		address string
		line    int
	}{{katibat, 250}, {malhama, 252}} {
		row := rows[i]
		s := row.Listing.Source
		if row.Held != nil || row.Listing.Address.Text != want.address || row.Line != want.line {
			t.Errorf("%+v, want %+v", row, want)
		}
		if s.Author != "Uran Botobekov" || s.Title != "Central Asian Jihadists’ Use of Cryptocurrencies in Bitcoin" || s.Date != "" || s.Publisher != "" || s.URL != "" {
			t.Errorf("source %+v", s)
		}
		if !strings.Contains(s.Quote, want.address) || len([]rune(s.Quote)) > quoted+2 {
			t.Errorf("quote %q", s.Quote)
		}
	}
}

func TestBylines(t *testing.T) {
	const body = "\n\nMoney was asked for at the following address of the group:\n\n" + katibat + "\n"
	for name, c := range map[string]struct {
		text, author, title, date string
	}{
		"by":             {"A Title Here\n\nBy Jane van der Doe\n\nText.", "Jane van der Doe", "A Title Here", ""},
		"labels":         {"Title: On Money\nAuthor: Jane Doe\nDate: 13 August 2020\n\nText.", "Jane Doe", "On Money", "2020-08-13"},
		"dated":          {"On Money Sent\n\nJane Doe\n\nPublished\n\non\n\nAugust 13, 2020\n\nText.", "Jane Doe", "On Money Sent", "2020-08-13"},
		"by contrast":    {"A Title Here\n\nBy contrast\n\nText of it goes on.", "", "", ""},
		"by Monday":      {"A Title Here\n\nby Monday\n\nText of it goes on.", "", "", ""},
		"a caption":      {"A screenshot from Telegram, May 18, 2020\n\nText of it goes on.", "", "", ""},
		"published what": {"Menu\n\nwhat we\n\nPublished\n\nText of it goes on.", "", "", ""},
		"impossible":     {"Author: Jane Doe\nDate: 2020-02-31\n\nText.", "Jane Doe", "", ""},
	} {
		format, rows, err := read(t, "a.txt", c.text+body, nil)
		if err != nil || format != "text" || len(rows) != 1 {
			t.Errorf("%s: %s %+v %v", name, format, rows, err)
			continue
		}
		if s := rows[0].Listing.Source; s.Author != c.author || s.Title != c.title || s.Date != c.date {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestWebPages(t *testing.T) {
	const page = `<!DOCTYPE html><html><head><title>Site &raquo; On Money</title>
<meta property="og:title" content="On Money &amp; Men"><meta name="author" content="Jane Doe">
<meta property="article:author" content="https://social.example/jane"><meta property="og:site_name" content="The Paper">
<meta property="article:published_time" content="2020-08-13T10:00:00Z"><link rel="canonical" href="https://paper.example/on-money">
</head><body><p>Send to <b>` + katibat + `</b> &amp; pray.</p>
<p>Again ` + katibat + `, and <a href="bitcoin:` + malhama + `">here</a></p></body></html>`
	format, rows, err := read(t, "a.html", page, nil)
	if err != nil || format != "html" || len(rows) != 2 {
		t.Fatalf("%s %+v %v", format, rows, err)
	}
	want := watchlist.Source{
		Title: "On Money & Men", Author: "Jane Doe", Publisher: "The Paper", Date: "2020-08-13", URL: "https://paper.example/on-money",
		Quote: rows[0].Listing.Source.Quote,
	}
	if got := rows[0].Listing.Source; got != want || !strings.Contains(got.Quote, "Send to "+katibat+" & pray.") || strings.ContainsAny(got.Quote, "<>") {
		t.Errorf("%+v", got)
	}
	const linked = `<html><script type="application/ld+json">{"@graph":[{"@type":"WebSite","name":"x"},{"headline":"H","author":[{"name":"A B"},{"name":"C D"}],
"publisher":{"name":"P"},"datePublished":"2021-01-02T00:00:00+00:00"}]}</script><p>` + malhama + `</p></html>`
	_, rows, err = read(t, "a.html", linked, nil)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%+v %v", rows, err)
	}
	if s := rows[0].Listing.Source; s.Title != "H" || s.Author != "A B, C D" || s.Publisher != "P" || s.Date != "2021-01-02" {
		t.Errorf("%+v", s)
	}
}

// TestBrokenListsAreNoArticles: what is cut off or misspelled of a list is not
// read as running text, which would take what it finds.
func TestBrokenListsAreNoArticles(t *testing.T) {
	for _, file := range []string{
		"lists/watchman/sdn.csv", "lists/watchman/sdn_comments.csv", "lists/tagpack/ofac.yaml", "lists/tagpack/aft-alqaeda-forfeit_vc.yaml",
		"lists/stix/cryptocurrency-wallet--b6ae6083-875f-5fe9-84b9-89e168f89406.json",
	} {
		text := string(recorded.Read(t, file))
		for _, cut := range []string{text[len(text)/3:], text[:len(text)/2]} {
			if format, _, err := read(t, file, cut, nil); format == "text" || format == "html" {
				t.Errorf("a piece of %s is read as %s (%v)", file, format, err)
			}
		}
	}
	_, _, err := read(t, "a", "There is nothing to be found in here at all.\n\nNor is there here.\n", nil)
	if fault := new(FaultError); !errors.As(err, &fault) || !strings.Contains(fault.Reason, "no address stands in it") {
		t.Error(err)
	}
}
