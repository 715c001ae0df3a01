package listfile

import (
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"regexp"
	"strings"
	"time"

	"btcwatch/watchlist"
)

var (
	sdnXMLBegins      = regexp.MustCompile(`^\s*(<\?xml[^>]*\?>)?\s*(<!--.*?-->\s*)*<sdnList\b`)
	sdnAdvancedBegins = regexp.MustCompile(`^\s*(<\?xml[^>]*\?>)?\s*(<!--.*?-->\s*)*<(\w+:)?Sanctions(Data)?\b`)
)

func isSDNXML(beginning []byte) bool      { return sdnXMLBegins.Match(beginning) }
func isSDNAdvanced(beginning []byte) bool { return sdnAdvancedBegins.Match(beginning) }

// coinOf is the coin in the words by which OFAC calls an address; empty where
// they mean something else.
func coinOf(text string) string {
	symbol, found := strings.CutPrefix(strings.TrimSpace(text), "Digital Currency Address - ")
	if !found {
		return ""
	}
	return strings.TrimSpace(symbol)
}

// xmlWalk visits a file by its elements, in bounded memory. Names are without
// their namespace: OFAC has changed that before.
type xmlWalk struct {
	text   *countedText
	tokens *xml.Decoder
	path   []string
	words  strings.Builder // of the element that ends
	attrs  []map[string]string
}

func walkXML(r io.Reader) *xmlWalk {
	text := countLines(r)
	return &xmlWalk{text: text, tokens: xml.NewDecoder(text)}
}

// deepest is how deep elements may lie: OFAC's lie at ten.
const deepest = 64

// next goes on to where an element begins or ends. At its end, said is its text.
func (w *xmlWalk) next() (begins bool, name, said string, attr map[string]string, err error) {
	for {
		token, err := w.tokens.Token()
		if err != nil {
			return false, "", "", nil, w.fault(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			attr := map[string]string{}
			for _, a := range token.Attr {
				attr[a.Name.Local] = a.Value
			}
			w.words.Reset()
			w.path, w.attrs = append(w.path, token.Name.Local), append(w.attrs, attr)
			if len(w.path) > deepest {
				return false, "", "", nil, w.fault(errors.New("elements lie too deep in each other"))
			}
			return true, token.Name.Local, "", attr, nil
		case xml.EndElement:
			said, attr := strings.TrimSpace(w.words.String()), w.attrs[len(w.attrs)-1]
			w.words.Reset()
			w.path, w.attrs = w.path[:len(w.path)-1], w.attrs[:len(w.attrs)-1]
			return false, token.Name.Local, said, attr, nil
		case xml.CharData:
			w.words.Write(token)
		case xml.Directive:
			return false, "", "", nil, w.fault(errors.New("a DOCTYPE or another directive: no list of OFAC has one"))
		}
	}
}

func (w *xmlWalk) fault(err error) error {
	fault := new(FaultError)
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &fault):
		return fault
	}
	if syntax := new(xml.SyntaxError); errors.As(err, &syntax) {
		return &FaultError{Line: syntax.Line, Reason: syntax.Msg}
	}
	line, _ := w.tokens.InputPos()
	return &FaultError{Line: line, Reason: err.Error()}
}

// line is where the walk is; what comes next is another element of the list.
func (w *xmlWalk) line() int {
	line, _ := w.tokens.InputPos()
	w.text.at(w.tokens.InputOffset())
	return line
}

// within says whether the walk is inside an element of that name.
func (w *xmlWalk) within(name string) bool {
	for _, one := range w.path {
		if one == name {
			return true
		}
	}
	return false
}

func (w *xmlWalk) in() string {
	if len(w.path) == 0 {
		return ""
	}
	return w.path[len(w.path)-1]
}

// readSDNXML reads SDN.XML.
func readSDNXML(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		w := walkXML(in.Text)
		var version, published string
		var party sdnParty
		var symbol, number string
		for {
			begins, name, said, _, err := w.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(watchlist.Entry{}, err)
				return
			}
			switch {
			case begins && name == "sdnEntry":
				party = sdnParty{version: version, published: published}
			case begins:
			case name == "Publish_Date":
				version, published = said, slashedDay(said)
			case name == "uid" && w.in() == "sdnEntry":
				party.uid = said
			case (name == "firstName" || name == "lastName") && w.in() == "sdnEntry":
				party.names = append(party.names, said)
			case name == "program" && w.within("sdnEntry"):
				party.programs = append(party.programs, said)
			case name == "idType" && w.in() == "id":
				symbol = coinOf(said)
			case name == "idNumber" && w.in() == "id":
				number = said
			case name == "id" && w.in() == "idList":
				if symbol != "" {
					party.add(w.line(), symbol, number)
				}
				symbol, number = "", ""
			case name == "sdnEntry":
				w.line()
				if !party.give(yield) {
					return
				}
			}
		}
	}
}

// sdnParty is somebody on the list with addresses.
type sdnParty struct {
	uid, version, published string
	names, programs         []string
	entries                 []watchlist.Entry
}

func (p *sdnParty) add(line int, symbol, text string) {
	e := watchlist.Entry{Line: line, Symbol: symbol, Text: text}
	if text == "" {
		e.Fault = "it names no address"
	}
	p.entries = append(p.entries, e)
}

// give hands out the addresses with what is known of their party by then.
func (p *sdnParty) give(yield func(watchlist.Entry, error) bool) bool {
	name := strings.Join(p.names, " ")
	for _, e := range p.entries {
		e.Listing = watchlist.Listing{
			Label: name, Entity: name, Category: strings.Join(p.programs, ", "), Basis: watchlist.Designation, Version: p.version,
			Source: watchlist.Source{Title: "Specially Designated Nationals List", Publisher: "OFAC", Date: p.published, Locator: "UID " + p.uid},
		}
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// slashedDay reads a day as OFAC publishes it: 09/27/2024.
func slashedDay(text string) string {
	day, err := time.Parse("01/02/2006", text)
	if err != nil {
		return dateIn(text)
	}
	return day.Format(time.DateOnly)
}

// mostParties is how many parties with addresses wait for their programmes, which
// stand at the end of SDN_ADVANCED.XML. Those beyond have none named.
const mostParties = 100_000

// readSDNAdvanced reads SDN_ADVANCED.XML. What an id means stands in the file and
// is looked up by its text; ids change.
func readSDNAdvanced(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		a := &advanced{w: walkXML(in.Text), coins: map[string]string{}, date: map[string]string{}, waiting: map[string]*sdnParty{}}
		for {
			more, err := a.step(yield)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(watchlist.Entry{}, err)
				return
			}
			if !more {
				return
			}
		}
		for _, uid := range a.order {
			if !a.waiting[uid].give(yield) {
				return
			}
		}
	}
}

type advanced struct {
	w       *xmlWalk
	coins   map[string]string // of feature types by their id
	date    map[string]string // of the issue, in parts: "Year", "Month", "Day"
	issued  string
	party   *sdnParty
	primary bool   // the alias that is read is the name by which the party goes
	feature string // the coin of the feature that is read
	waiting map[string]*sdnParty
	order   []string
	profile string // of the sanctions entry that is read
}

func (a *advanced) step(yield func(watchlist.Entry, error) bool) (more bool, err error) {
	begins, name, said, attr, err := a.w.next()
	if err != nil {
		return false, err
	}
	if begins {
		a.begin(name, attr)
		return true, nil
	}
	switch {
	case a.w.in() == "DateOfIssue":
		a.date[name] = said
	case name == "DateOfIssue":
		a.issued = dateIn(a.date["Year"] + "/" + a.date["Month"] + "/" + a.date["Day"])
	case name == "FeatureType" && a.w.in() == "FeatureTypeValues":
		if coin := coinOf(said); coin != "" {
			a.coins[attr["ID"]] = coin
		}
	case name == "NamePartValue" && a.party != nil && a.primary:
		a.party.names = append(a.party.names, said)
	case name == "Alias":
		a.primary = false
	case name == "VersionDetail" && a.party != nil && a.feature != "":
		a.party.add(a.w.line(), a.feature, said)
	case name == "Feature":
		a.feature = ""
	case name == "DistinctParty":
		return a.end(yield), nil
	case name == "Comment" && a.w.in() == "SanctionsMeasure":
		if party := a.waiting[a.profile]; party != nil && said != "" {
			party.programs = append(party.programs, said)
		}
	case name == "SanctionsEntry":
		a.w.line()
	}
	return true, nil
}

func (a *advanced) begin(name string, attr map[string]string) {
	switch name {
	case "DistinctParty":
		a.party = &sdnParty{uid: attr["FixedRef"], version: a.issued, published: a.issued}
	case "Alias":
		a.primary = attr["Primary"] == "true" && a.party != nil && len(a.party.names) == 0
	case "Feature":
		a.feature = a.coins[attr["FeatureTypeID"]]
	case "SanctionsEntry":
		a.profile = attr["ProfileID"]
	}
}

// end puts a party with addresses aside, for its programmes to come.
func (a *advanced) end(yield func(watchlist.Entry, error) bool) bool {
	party := a.party
	a.party = nil
	a.w.line()
	if len(party.entries) == 0 {
		return true
	}
	if len(a.waiting) >= mostParties || a.waiting[party.uid] != nil {
		return party.give(yield)
	}
	a.waiting[party.uid] = party
	a.order = append(a.order, party.uid)
	return true
}
