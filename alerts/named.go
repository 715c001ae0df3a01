package alerts

import (
	"strings"
	"time"
)

// naming says who named an address where, on what basis: the words of a list,
// not ours.
func naming(l Listing) string {
	if l.Basis == basisOwn && l.EndedAt == nil {
		return "one of our own addresses" + bracketed(listName(l))
	}
	text := "named in " + sourceOf(l)
	if category := clean(l.Category); category != "" {
		text += " as " + category
	}
	basis := clean(l.Basis)
	if basis == "" {
		basis = "not known"
	}
	if l.EndedAt != nil {
		return "formerly " + text + bracketed("basis: "+basis, listName(l)) + ", until " + l.EndedAt.UTC().Format(time.DateOnly)
	}
	return text + bracketed("basis: "+basis, listName(l))
}

func sourceOf(l Listing) string {
	if source := clean(l.Source); source != "" {
		return source
	}
	if l.List != "" {
		return "a list without a stated source"
	}
	return "no stated source"
}

func listName(l Listing) string {
	if l.List == "" {
		return ""
	}
	return "list: " + clean(l.List)
}

func bracketed(parts ...string) string {
	var full []string
	for _, part := range parts {
		if part != "" {
			full = append(full, part)
		}
	}
	if len(full) == 0 {
		return ""
	}
	return " (" + strings.Join(full, ", ") + ")"
}
