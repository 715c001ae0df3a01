package daemon

import (
	"fmt"
	"slices"
	"strings"
)

// nearest gives the known name that a mistyped one was most likely meant to
// be; empty when none is near. The beginning of a known name counts as near.
func nearest(name string, known []string) string {
	name = strings.ToLower(name)
	best, bestAt := "", 1+max(1, len(name)/3)
	for _, candidate := range known {
		if at := distance(name, candidate); at < bestAt {
			best, bestAt = candidate, at
		}
	}
	begun := func(candidate string) bool { return len(name) > 2 && strings.HasPrefix(candidate, name) }
	if i := slices.IndexFunc(known, begun); best == "" && i >= 0 {
		return known[i]
	}
	return best
}

// distance counts the letters to change, add, leave out or swap with their
// neighbour between two words.
func distance(a, b string) int {
	var rows [3][]int
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		now, last, before := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}

// unknownWord says that a word is not one of those allowed.
func unknownWord(what, word string, allowed []string) string {
	text := fmt.Sprintf("unknown %s %q; use %s", what, word, oneOf(allowed))
	if near := nearest(word, allowed); near != "" && !slices.Contains(allowed, word) {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return text
}

func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
