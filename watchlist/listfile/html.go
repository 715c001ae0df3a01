package listfile

import (
	"bytes"
	"encoding/json"
	"iter"
	"net/url"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/html"

	"btcwatch/watchlist"
)

var htmlBegins = regexp.MustCompile(`(?i)^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|meta|title|article)\b`)

func isHTML(beginning []byte) bool { return htmlBegins.Match(beginning) }

// readHTML reads a web page: each address once, with the words around it, and
// with what the page says of itself for search engines.
func readHTML(in Input) iter.Seq2[watchlist.Entry, error] {
	return readPage(in, func(page string) func(int) watchlist.Source {
		s := pageSource(page)
		return func(int) watchlist.Source { return s }
	}, plainHTML)
}

// plainHTML is what a reader sees of a part of a page.
func plainHTML(part string) string {
	if close, open := strings.IndexByte(part, '>'), strings.IndexByte(part, '<'); close >= 0 && (open < 0 || close < open) {
		part = part[close+1:] // it begins amid a tag
	}
	var text strings.Builder
	tokens := html.NewTokenizer(strings.NewReader(part))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return strings.TrimSpace(text.String())
		case html.TextToken:
			text.Write(tokens.Text())
			text.WriteByte(' ')
		}
	}
}

// said are the things that a page says of itself, by the name under which it does.
type said map[string]string

func (s said) put(name, value string) {
	if value = strings.Join(strings.Fields(value), " "); value != "" && s[name] == "" {
		s[name] = value
	}
}

func (s said) first(names ...string) string {
	for _, name := range names {
		if s[name] != "" {
			return s[name]
		}
	}
	return ""
}

// pageSource reads who wrote a page, where and when: from what it says for
// citations, then for search engines, then its title.
func pageSource(page string) watchlist.Source {
	s := said{}
	tokens := html.NewTokenizer(strings.NewReader(page))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return s.source()
		case html.StartTagToken, html.SelfClosingTagToken:
			s.tag(tokens)
		}
	}
}

func (s said) tag(tokens *html.Tokenizer) {
	token := tokens.Token()
	attr := map[string]string{}
	for _, a := range token.Attr {
		attr[strings.ToLower(a.Key)] = a.Val
	}
	switch token.Data {
	case "meta":
		s.put(strings.ToLower(attr["name"]+attr["property"]+attr["itemprop"]), attr["content"])
	case "link":
		if strings.EqualFold(attr["rel"], "canonical") {
			s.put("canonical", attr["href"])
		}
	case "title":
		if tokens.Next() == html.TextToken {
			s.put("title", string(tokens.Text()))
		}
	case "script":
		if strings.EqualFold(attr["type"], "application/ld+json") && tokens.Next() == html.TextToken {
			s.linked(tokens.Raw())
		}
	}
}

// linked reads JSON-LD, as schema.org describes articles.
func (s said) linked(text []byte) {
	var one struct {
		Graph []json.RawMessage `json:"@graph"`
		article
	}
	text = bytes.TrimSpace(text)
	var many []json.RawMessage
	if json.Unmarshal(text, &many) == nil {
		for _, each := range many {
			s.linked(each)
		}
		return
	}
	if json.Unmarshal(text, &one) != nil {
		return
	}
	for _, each := range one.Graph {
		s.linked(each)
	}
	s.put("ld:headline", one.Headline)
	s.put("ld:author", one.Author.name)
	s.put("ld:date", one.Date)
	if one.Headline != "" {
		s.put("ld:publisher", one.Publisher.name)
	}
}

type article struct {
	Headline  string `json:"headline"`
	Author    named  `json:"author"`
	Publisher named  `json:"publisher"`
	Date      string `json:"datePublished"`
}

// named is somebody in JSON-LD: a name, an object with one, or several of them.
type named struct{ name string }

func (n *named) UnmarshalJSON(text []byte) error {
	var object struct {
		Name string `json:"name"`
	}
	var many []named
	switch {
	case json.Unmarshal(text, &n.name) == nil:
	case json.Unmarshal(text, &object) == nil:
		n.name = object.Name
	case json.Unmarshal(text, &many) == nil:
		var names []string
		for _, one := range many {
			if one.name != "" {
				names = append(names, one.name)
			}
		}
		n.name = strings.Join(names, ", ")
	}
	return nil // what is spelled in another way says nothing
}

func (s said) source() watchlist.Source {
	source := watchlist.Source{
		Title:     s.first("citation_title", "ld:headline", "og:title", "dc.title", "title"),
		Author:    s.first("citation_author", "ld:author", "author", "dc.creator"),
		Publisher: s.first("citation_publisher", "ld:publisher", "og:site_name", "dc.publisher"),
		Date:      dateIn(s.first("citation_publication_date", "citation_date", "ld:date", "article:published_time", "dc.date", "date")),
	}
	if author := s["article:author"]; source.Author == "" && !isWebAddress(author) {
		source.Author = author // many pages give a profile there
	}
	for _, name := range []string{"canonical", "og:url"} {
		if source.URL == "" && isWebAddress(s[name]) {
			source.URL = s[name]
		}
	}
	return source
}

func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// dateIn reads a day, month or year as pages write it, and gives it as
// YYYY-MM-DD, YYYY-MM or YYYY; empty where it is none.
func dateIn(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 10 && text[4] == '-' && (text[10] == 'T' || text[10] == ' ') {
		text = text[:10]
	}
	for layout, out := range map[string]string{
		time.DateOnly: time.DateOnly, "2006/01/02": time.DateOnly, "2006/1/2": time.DateOnly, "January 2, 2006": time.DateOnly, "2 January 2006": time.DateOnly,
		"Jan 2, 2006": time.DateOnly, "2 Jan 2006": time.DateOnly, "2006-01": "2006-01", "2006/01": "2006-01", "January 2006": "2006-01", "2006": "2006",
	} {
		if day, err := time.Parse(layout, text); err == nil {
			return day.Format(out)
		}
	}
	return ""
}
