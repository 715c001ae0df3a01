package listfile

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/watchlist"
)

// mostArticle is how large a page may be: it is held in memory whole.
const mostArticle = 64 << 20

// quoted is how many characters around an address are kept as its quote.
const quoted = 300

// isText says whether it is running text: sentences in paragraphs, and no
// notation that another format or a program would have.
func isText(beginning []byte) bool {
	text := bytes.TrimSpace(beginning)
	if len(text) == 0 || bytes.ContainsAny(text[:1], "[{<%") {
		return false
	}
	paragraphs, sentences, notation := 0, 0, 0
	blank := true
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
			blank = true
			continue
		case blank:
			paragraphs++
		}
		blank = false
		switch {
		case isNotation(line):
			notation++
		case len(bytes.Fields(line)) >= 6:
			sentences++
		}
	}
	return paragraphs >= 2 && sentences >= 1 && notation <= sentences/4
}

// isNotation says whether a line is a field of YAML, a row of CSV or a tag.
func isNotation(line []byte) bool {
	key, _, found := bytes.Cut(line, []byte(":"))
	field := found && len(key) > 0 && !bytes.ContainsAny(key, " \t") && !bytes.HasPrefix(key, []byte("http")) &&
		(key[0] >= 'a' && key[0] <= 'z' || key[0] == '"') // an article says "Author:"
	row := bytes.Count(line, []byte(",")) >= 2 && !bytes.Contains(line, []byte(", ")) ||
		bytes.Count(line, []byte(";")) >= 3 || bytes.Contains(line, []byte(`","`)) || bytes.Contains(line, []byte("-0-"))
	return field || row || bytes.HasPrefix(line, []byte("<")) || bytes.HasPrefix(line, []byte("- address:"))
}

// readText reads an article: each address once, with the words around it, and
// with author and title where the page says them above it. A page can hold
// several articles, one after the other.
func readText(in Input) iter.Seq2[watchlist.Entry, error] {
	return readPage(in, func(page string) func(line int) watchlist.Source {
		lines := strings.Split(page, "\n")
		return func(line int) watchlist.Source { return byline(lines, line) }
	}, strings.TrimSpace)
}

// readPage finds the addresses of a page. source says, of the line on which one
// stands, where it is from; plain makes readable text of a part of the page.
func readPage(in Input, source func(page string) func(line int) watchlist.Source, plain func(string) string) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		raw, err := io.ReadAll(io.LimitReader(in.Text, mostArticle+1))
		if err != nil {
			yield(watchlist.Entry{}, fmt.Errorf("read the page: %w", err))
			return
		}
		if len(raw) > mostArticle {
			yield(watchlist.Entry{}, &FaultError{Reason: fmt.Sprintf("the page is larger than %d MB; cut out the part that names addresses", mostArticle>>20)})
			return
		}
		page := string(raw)
		found, err := watchlist.Extract(strings.NewReader(page), in.network())
		switch {
		case err != nil:
			yield(watchlist.Entry{}, &FaultError{Reason: err.Error()})
			return
		case len(found) == 0:
			yield(watchlist.Entry{}, &FaultError{Reason: "it is read as running text, and no address stands in it, nor anything that looks like one"})
			return
		}
		of, lines, seen := source(page), strings.SplitAfter(page, "\n"), map[string]bool{}
		for _, f := range found {
			key := f.Text
			if !f.NearMiss() {
				key = f.Address.Text
			}
			if seen[key] {
				continue // the first mention counts
			}
			seen[key] = true
			e := watchlist.Entry{Line: f.Line, Text: f.Text, Fault: f.Reason}
			e.Listing.Source = of(f.Line)
			if !f.NearMiss() {
				e.Text = f.Address.Text
				e.Listing.Source.Quote = quote(lines, f, plain)
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// network is that for which addresses are looked for.
func (in Input) network() *chaincfg.Params {
	if in.Params == nil {
		return &chaincfg.MainNetParams
	}
	return in.Params
}

// quote gives the words around an address: its line, shortened, and the line
// before where it says little by itself.
func quote(lines []string, f watchlist.Finding, plain func(string) string) string {
	const little = 60 // characters: the address and hardly a word
	line := []rune(lines[f.Line-1])
	from, to := max(0, f.Column-1-quoted), min(len(line), f.Column-1+quoted)
	text := plain(string(line[from:to]))
	for at := f.Line - 2; at >= 0 && at >= f.Line-6 && utf8.RuneCountInString(text) < little; at-- {
		if before := plain(lines[at]); before != "" {
			text = before + " " + text
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	return around(text, f.Address.Text)
}

// around cuts a text so that the address stays in it.
func around(text, address string) string {
	runes := []rune(text)
	if len(runes) <= quoted {
		return text
	}
	at := utf8.RuneCountInString(text[:max(0, strings.Index(text, address))])
	from := max(0, min(at-quoted/2, len(runes)-quoted))
	to := min(len(runes), from+quoted)
	cut := strings.TrimSpace(string(runes[from:to]))
	if from > 0 {
		cut = "…" + cut
	}
	if to < len(runes) {
		cut += "…"
	}
	return cut
}

// byline finds who wrote what stands on a line, and under which title: by the
// nearest head of an article above it, as pages print it,
//
//	TITLE / AUTHOR / Published / on / DATE
//
// or by lines that say so at the top. What is not said stays empty.
func byline(lines []string, line int) (s watchlist.Source) {
	for at := min(line-1, len(lines)) - 1; at >= 0; at-- {
		if !strings.EqualFold(strings.TrimSpace(lines[at]), "published") {
			continue
		}
		author, authorAt := lineBefore(lines, at)
		if !isPerson(author) {
			continue
		}
		s.Author = author
		if title, _ := lineBefore(lines, authorAt); isTitle(title) {
			s.Title = title
		}
		s.Date = publishedOn(lines, at)
		return s
	}
	said := 0
	for at, text := range lines[:min(line-1, len(lines))] {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if said++; said > 20 {
			break
		}
		head(&s, lines, at, text)
	}
	return s
}

// head reads a line near the top that says who wrote what.
func head(s *watchlist.Source, lines []string, at int, text string) {
	key, value, found := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	switch key = strings.ToLower(strings.TrimSpace(key)); {
	case !found:
	case key == "title" && s.Title == "":
		s.Title = value
	case (key == "author" || key == "by") && s.Author == "" && isPerson(value):
		s.Author = value
	case key == "publisher" && s.Publisher == "":
		s.Publisher = value
	case (key == "date" || key == "published") && s.Date == "":
		s.Date = dateIn(value)
	}
	if len(text) > 3 && strings.EqualFold(text[:3], "by ") && s.Author == "" && isPerson(text[3:]) {
		s.Author = strings.TrimSpace(text[3:])
		if title, _ := lineBefore(lines, at); s.Title == "" && isTitle(title) {
			s.Title = title
		}
	}
}

// lineBefore is the nearest line above that says anything.
func lineBefore(lines []string, at int) (string, int) {
	for at--; at >= 0; at-- {
		if text := strings.TrimSpace(lines[at]); text != "" {
			return text, at
		}
	}
	return "", -1
}

// publishedOn is the date below "Published", if one stands there.
func publishedOn(lines []string, at int) string {
	said := 0
	for at++; at < len(lines) && said < 2; at++ {
		text := strings.TrimSpace(lines[at])
		if text == "" {
			continue
		}
		said++
		if date := dateIn(strings.TrimPrefix(text, "on ")); date != "" {
			return date
		}
		if !strings.EqualFold(text, "on") {
			return ""
		}
	}
	return ""
}

// isPerson says whether a line is nothing but a name: two to five words with
// capitals, or the small words that stand in names.
func isPerson(text string) bool {
	words := strings.Fields(text)
	if len(words) < 2 || len(words) > 5 || utf8.RuneCountInString(text) > 60 {
		return false
	}
	for i, word := range words {
		first, _ := utf8.DecodeRuneInString(word)
		small := i > 0 && i < len(words)-1 && strings.Contains(" al bin da de del der di du el ibn la le van von y ", " "+word+" ")
		name := unicode.IsUpper(first) && !strings.ContainsFunc(word, func(r rune) bool {
			return !unicode.IsLetter(r) && !strings.ContainsRune("-'’.", r)
		})
		if !small && !name {
			return false
		}
	}
	return true
}

func isTitle(text string) bool {
	return len(strings.Fields(text)) >= 2 && utf8.RuneCountInString(text) <= 250 && !strings.HasSuffix(text, ".")
}
