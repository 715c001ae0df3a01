package listfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

const beginning = 64 << 10

// Open recognises the format of a list by how it begins, or takes the one that
// is named, and gives what is left to read. A *FaultError says what is wrong, and
// ErrUnknown is wrapped where no format fits.
func Open(r io.Reader, name string) (Format, io.Reader, error) {
	text := bufio.NewReaderSize(r, beginning)
	head, err := text.Peek(beginning)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return Format{}, nil, fmt.Errorf("read how the list begins: %w", err)
	}
	if fault := unreadable(head); fault != nil {
		return Format{}, nil, fault
	}
	if bom := []byte("\ufeff"); bytes.HasPrefix(head, bom) {
		_, _ = text.Discard(len(bom))
		head = head[len(bom):]
	}
	if len(bytes.TrimSpace(head)) == 0 {
		return Format{}, nil, &FaultError{Reason: "the list is empty"}
	}
	for _, format := range Formats() {
		if name == format.Name || name == "" && format.Recognises(head) {
			return format, text, nil
		}
	}
	for beginning, advice := range relatives() {
		if beginning.Match(head) {
			return Format{}, nil, &FaultError{Reason: advice}
		}
	}
	return Format{}, nil, fmt.Errorf("%w; the formats are %s", ErrUnknown, strings.Join(Names(), ", "))
}

// relatives are files that come with lists and are none, with what to take instead.
func relatives() map[*regexp.Regexp]string {
	return map[*regexp.Regexp]string{
		regexp.MustCompile(`^\d+,\d+,"[a-z.]+",".*",(-0- |"[^"]*")\s`):                               "it is OFAC's ALT.CSV, which has other names and no addresses of coins; take SDN.CSV",
		regexp.MustCompile(`^\d+,\d+,(-0- |"[^"]*"),(-0- |"[^"]*"),(-0- |"[^"]*"),(-0- |"[^"]*")\s`): "it is OFAC's ADD.CSV, which has where people live and no addresses of coins; take SDN.CSV",
		regexp.MustCompile(`^\d+,"[^"]*Digital Currency Address[^"]*"\s`):                            "it is OFAC's SDN_COMMENTS.CSV, which has only the ends of remarks; take SDN.CSV and leave this file beside it",
		regexp.MustCompile(`(?m)^actors:`):                                                           "it is an ActorPack of GraphSense, which says who people are and names no addresses; take the TagPacks",
		regexp.MustCompile(`"requiredOneOf"\s*:`):                                                    "it is the template of an object of MISP; take an event",
	}
}

// Names are the names of all formats.
func Names() (all []string) {
	for _, format := range Formats() {
		all = append(all, format.Name)
	}
	return all
}

// unreadable refuses what is no text, with what to do.
func unreadable(head []byte) error {
	for magic, advice := range map[string]string{
		"%PDF-":      "it is a PDF file; turn it into text first: pdftotext FILE -, and look for addresses with btcwatch extract",
		"PK\x03\x04": "it is a ZIP archive (also .xlsx is one); unpack it, or save it as text",
		"\x1f\x8b":   "it is compressed; unpack it first: zcat FILE",
		"\xff\xfe":   "it is in UTF-16; save it in UTF-8: iconv -f UTF-16 -t UTF-8 FILE",
		"\xfe\xff":   "it is in UTF-16; save it in UTF-8: iconv -f UTF-16 -t UTF-8 FILE",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return &FaultError{Reason: advice}
		}
	}
	if at := bytes.IndexByte(head, 0); at >= 0 {
		return &FaultError{Line: 1 + bytes.Count(head[:at], []byte("\n")), Reason: "a zero byte: it is no text; save it in UTF-8"}
	}
	return nil
}
