package listfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"

	"btcwatch/watchlist"
)

// longestLine is how long a line may be: more is no list of addresses.
const longestLine = 1 << 20

// isPlain says whether most of the first lines begin with what could be an address.
func isPlain(beginning []byte) bool {
	lines, alike := 0, 0
	for line := range bytes.Lines(beginning) {
		text, _ := firstWord(string(line))
		if text == "" {
			continue
		}
		if lines++; lines > 50 {
			break
		}
		if looksLikeAddress(text) {
			alike++
		}
	}
	return alike > 0 && 2*alike >= lines
}

func looksLikeAddress(text string) bool {
	if len(text) < 20 || len(text) > 130 || !strings.ContainsAny(text, "0123456789") {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// firstWord gives the first word of a line and what follows, without comments.
func firstWord(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//") {
		return "", ""
	}
	at := strings.IndexAny(line, " \t,;")
	if at < 0 {
		return line, ""
	}
	rest = strings.Trim(line[at:], " \t,;")
	if strings.HasPrefix(rest, "#") {
		rest = strings.TrimSpace(rest[1:])
	}
	return line[:at], rest
}

func readPlain(in Input) iter.Seq2[watchlist.Entry, error] {
	symbol := symbolOf(in.Name)
	return func(yield func(watchlist.Entry, error) bool) {
		lines := bufio.NewScanner(in.Text)
		lines.Buffer(nil, longestLine)
		n := 0
		for lines.Scan() {
			n++
			text, label := firstWord(lines.Text())
			if text == "" {
				continue
			}
			e := watchlist.Entry{Line: n, Text: text, Symbol: symbol}
			e.Listing.Label = label
			if !yield(e, nil) {
				return
			}
		}
		err := lines.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = &FaultError{Line: n + 1, Reason: fmt.Sprintf("the line is longer than %d bytes; is it a list?", longestLine)}
		}
		if err != nil {
			yield(watchlist.Entry{}, err)
		}
	}
}

// symbolOf reads the coin from the name of a file as the extracts of OFAC's list
// have it: sanctioned_addresses_XBT.txt.
func symbolOf(name string) string {
	base := path.Base(strings.ReplaceAll(name, "\\", "/"))
	_, after, found := strings.Cut(base, "sanctioned_addresses_")
	if !found {
		return ""
	}
	symbol, _, _ := strings.Cut(after, ".")
	return symbol
}
