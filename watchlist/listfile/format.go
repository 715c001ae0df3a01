// Package listfile knows how lists of addresses are spelled in files: each
// format that is read in a file of its own, recognised by its content, and how
// listings are written. It says what a file says, and judges nothing: whether
// an entry is a Bitcoin address, and fit to be watched, is for watchlist.
package listfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/watchlist"
)

// ErrUnknown says that a file is of no format that is known here.
var ErrUnknown = errors.New("a list of no known format")

// FaultError is what is wrong with a file at one place. Nothing of such a file
// is taken.
type FaultError struct {
	Line   int // from 1; 0 where it is the whole file
	Reason string
}

func (e *FaultError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// Format is one way in which lists are spelled.
type Format struct {
	Name  string // as a person names it: "ofac-csv"
	Title string // in words, for help: "OFAC's SDN.CSV"

	// Recognises says whether a file that begins so is of this format. beginning
	// is up to 64 KB, in UTF-8 without a byte order mark.
	Recognises func(beginning []byte) bool

	// Read gives the entries of a file in its order, in bounded memory. After an
	// error nothing follows. A file without entries is no error here.
	Read func(in Input) iter.Seq2[watchlist.Entry, error]
}

// Input is a list that is read.
type Input struct {
	Text io.Reader // in UTF-8, without a byte order mark
	Name string    // of the file, as the person gave it; empty where it has none

	// Beside are the files that lie where this one lies: OFAC continues its remarks in
	// another. Nil where there is no such place.
	Beside fs.FS

	// Columns says of a table which column is what, by its name there: "Wallet" to
	// "address". Those that are not named are guessed. Told hears what was guessed;
	// nil: nobody does.
	Columns map[string]string
	Told    func(string)

	Params *chaincfg.Params // whose addresses are looked for in running text; nil: mainnet
}

// Formats are all that are read, in the order in which they are tried: the
// particular before the general.
func Formats() []Format {
	return []Format{
		{"ofac-csv", "OFAC's SDN.CSV, with what SDN_COMMENTS.CSV beside it continues", isSDN, readSDN},
		{"ofac-xml", "OFAC's SDN.XML", isSDNXML, readSDNXML},
		{"ofac-advanced", "OFAC's SDN_ADVANCED.XML", isSDNAdvanced, readSDNAdvanced},
		{"opensanctions-csv", "OpenSanctions' targets.simple.csv", isTargets, readTargets},
		{"ftm", "entities of FollowTheMoney, as OpenSanctions has them, in JSON lines", isFTM, readFTM},
		{"stix", "STIX 2.1, a bundle or objects", isSTIX, readSTIX},
		{"misp", "events of MISP, in JSON", isMISP, readMISP},
		{"ransomwhere", "the export of ransomwhe.re", isRansomwhere, readRansomwhere},
		{"tagpack", "a TagPack of GraphSense, in YAML", isTagPack, readTagPack},
		{"jsonl", "JSON lines, as btcwatch watch export writes them", isLines, readLines},
		{"json", "a JSON array of addresses", isArray, readArray},
		{"csv", "a table with the names of its columns (CSV, also with semicolons, tabs or bars)", isTable, readTable},
		{"plain", "one address a line", isPlain, readPlain},
		{"html", "a web page", isHTML, readHTML},
		{"text", "running text", isText, readText},
	}
}
