package watchlist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrNotText is wrapped where what was given is no text: to read it as one
// would find nothing and say "none".
var ErrNotText = errors.New("not a text")

// plainText gives the text that addresses are looked for in: without a byte
// order mark, and in UTF-8 where it was UTF-16. Other encodings pass, as all of
// them spell addresses in ASCII.
func plainText(data string) (string, error) {
	switch {
	case strings.HasPrefix(data, "\xff\xfe"):
		return fromUTF16(data[2:], binary.LittleEndian), nil
	case strings.HasPrefix(data, "\xfe\xff"):
		return fromUTF16(data[2:], binary.BigEndian), nil
	}
	for magic, advice := range map[string]string{
		"%PDF-":      "it is a PDF file; turn it into text first: pdftotext FILE -",
		"PK\x03\x04": "it is a ZIP archive (also .docx, .xlsx and .odt are); unpack it, or save it as text",
		"\x1f\x8b":   "it is compressed; unpack it first: zcat FILE",
	} {
		if strings.HasPrefix(data, magic) {
			return "", fmt.Errorf("%w: %s", ErrNotText, advice)
		}
	}
	const start = 8000 // as far as git looks to tell text from binary
	if strings.IndexByte(data[:min(len(data), start)], 0) >= 0 {
		return "", fmt.Errorf("%w: it has zero bytes; save it as text in UTF-8", ErrNotText)
	}
	return strings.TrimPrefix(data, "\ufeff"), nil
}

func fromUTF16(data string, order binary.ByteOrder) string {
	unit := func(at int) rune {
		if at+2 > len(data) {
			return utf8.RuneError
		}
		return rune(order.Uint16([]byte(data[at : at+2])))
	}
	var text strings.Builder
	text.Grow(len(data) / 2)
	for at := 0; at < len(data); at += 2 {
		r := unit(at)
		if utf16.IsSurrogate(r) {
			r = utf16.DecodeRune(r, unit(at+2))
			if r != utf8.RuneError {
				at += 2
			}
		}
		text.WriteRune(r)
	}
	return text.String()
}
