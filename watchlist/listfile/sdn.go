package listfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"btcwatch/watchlist"
)

// The columns of SDN.CSV, which has no header: what is empty is "-0- ".
const (
	sdnUID     = 0
	sdnName    = 1
	sdnProgram = 3
	sdnRemarks = 11
	sdnColumns = 12
)

func isSDN(beginning []byte) bool {
	line, _, _ := bytes.Cut(beginning, []byte("\n"))
	record, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil || len(record) != sdnColumns {
		return false
	}
	_, err = strconv.Atoi(record[sdnUID])
	return err == nil && bytes.Contains(line, []byte("-0-"))
}

// digitalCurrency finds the addresses in remarks; later ones of a coin begin with "alt.".
var digitalCurrency = regexp.MustCompile(`Digital Currency Address - ([A-Za-z0-9]+) ([^;\s]+)`)

// readSDN reads OFAC's list. Remarks that are too long for it go on in
// SDN_COMMENTS.CSV, cut anywhere, amid an address too: both are joined before
// anything is looked for.
func readSDN(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		comments, err := sdnComments(in.Beside)
		if err != nil {
			yield(watchlist.Entry{}, err)
			return
		}
		records := csv.NewReader(in.Text)
		records.FieldsPerRecord = -1
		records.ReuseRecord = true
		for {
			record, err := records.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(watchlist.Entry{}, csvFault("", err))
				return
			}
			line, _ := records.FieldPos(0)
			if len(record) != sdnColumns {
				if len(record) == 1 && strings.TrimSpace(record[0]) == "\x1a" {
					return // the end of a file as DOS had it, which OFAC writes
				}
				yield(watchlist.Entry{}, &FaultError{Line: line, Reason: fmt.Sprintf("the row has %d fields, and rows of SDN.CSV have %d", len(record), sdnColumns)})
				return
			}
			for _, e := range sdnEntries(record, line, comments) {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func sdnEntries(record []string, line int, comments map[string]string) (all []watchlist.Entry) {
	uid := strings.TrimSpace(record[sdnUID])
	more, goesOn := comments[uid]
	remarks := record[sdnRemarks] + more
	told := false
	found := digitalCurrency.FindAllStringSubmatchIndex(remarks, -1)
	for _, at := range found {
		text := remarks[at[4]:at[5]]
		e := watchlist.Entry{
			Line: line, Symbol: remarks[at[2]:at[3]], Text: strings.TrimSuffix(text, "."),
			Listing: watchlist.Listing{
				Label: sdnField(record[sdnName]), Entity: sdnField(record[sdnName]), Category: strings.ReplaceAll(sdnField(record[sdnProgram]), "] [", ", "), // as OFAC separates programmes
				Basis:  watchlist.Designation,
				Source: watchlist.Source{Title: "Specially Designated Nationals List", Publisher: "OFAC", Locator: "UID " + uid},
			},
		}
		if at[5] == len(remarks) && !strings.HasSuffix(text, ".") {
			e.Fault, told = cutShort(goesOn), true
		}
		all = append(all, e)
	}
	if !told && strings.Contains(remarks, "Digital Curr") && !strings.HasSuffix(strings.TrimSpace(remarks), ".") {
		// What was to come may be another address.
		tail := remarks[max(0, len(remarks)-40):]
		all = append(all, watchlist.Entry{Line: line, Text: strings.ToValidUTF8(tail, ""), Fault: cutShort(goesOn)})
	}
	return all
}

// cutShort says of remarks without a full stop what they lack.
func cutShort(goesOn bool) string {
	if goesOn {
		return "the remarks end here without a full stop, in SDN_COMMENTS.CSV too: one of the two files is cut off"
	}
	return "the remarks end here without a full stop: they go on in SDN_COMMENTS.CSV, which has to lie beside this file"
}

func sdnField(text string) string {
	if text = strings.TrimSpace(text); text == "-0-" {
		return ""
	}
	return text
}

// sdnComments reads the remarks that go on beside the list, by the entry.
func sdnComments(beside fs.FS) (map[string]string, error) {
	if beside == nil {
		return nil, nil
	}
	files, err := fs.ReadDir(beside, ".")
	if err != nil {
		return nil, fmt.Errorf("look for SDN_COMMENTS.CSV: %w", err)
	}
	for _, file := range files {
		if !strings.EqualFold(file.Name(), "sdn_comments.csv") {
			continue
		}
		f, err := beside.Open(file.Name())
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", file.Name(), err)
		}
		defer f.Close()
		return readSDNComments(f, file.Name())
	}
	return nil, nil
}

func readSDNComments(r io.Reader, name string) (map[string]string, error) {
	comments := map[string]string{}
	records := csv.NewReader(r)
	records.FieldsPerRecord = -1
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return comments, nil
		}
		if err != nil {
			return nil, csvFault(name+": ", err)
		}
		if len(record) == 2 {
			comments[strings.TrimSpace(record[0])] += record[1]
		}
	}
}

func csvFault(where string, err error) error {
	fault := new(csv.ParseError)
	if errors.As(err, &fault) {
		return &FaultError{Line: fault.Line, Reason: where + fault.Err.Error()}
	}
	return fmt.Errorf("%sread the list: %w", where, err)
}
