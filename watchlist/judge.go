package watchlist

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
)

// HeldReason says in one word, for programs, why an entry of a list is not watched.
type HeldReason string

// The reasons. What is held is kept and shown, never dropped or repaired.
const (
	HeldChain     HeldReason = "chain"     // an address of another coin
	HeldNetwork   HeldReason = "network"   // of another Bitcoin network
	HeldSymbol    HeldReason = "symbol"    // a Bitcoin address that the list has under another coin
	HeldChecksum  HeldReason = "checksum"  // the form of an address, with an error in it
	HeldCut       HeldReason = "cut"       // too short: a piece of an address
	HeldCase      HeldReason = "case"      // Base58 with its upper case lost
	HeldDisguise  HeldReason = "disguise"  // invisible, foreign or other characters that are in no address
	HeldKey       HeldReason = "key"       // a key, not an address
	HeldForm      HeldReason = "form"      // nothing like an address, or of a kind that cannot be watched
	HeldDuplicate HeldReason = "duplicate" // on the list already, further up
	HeldExpired   HeldReason = "expired"   // its order is no longer in force
	HeldFault     HeldReason = "fault"     // its format makes no sense of it
)

// Held is why an entry is not watched.
type Held struct {
	Reason HeldReason
	Words  string // for people
}

// Row is an entry after it was judged: a listing that can be watched, or one
// that is held, with as much as is known of it.
type Row struct {
	Line    int
	Text    string // the address as it stands in the list; invisible characters written out; never a private key
	Symbol  string
	Listing Listing // Address is set where the text is one, held or not
	Held    *Held   // nil: to be watched
}

// Judge decides which entries of one list are watched. It remembers what it has
// seen, 40 bytes or so an address, and serves one reading.
type Judge struct {
	Params  *chaincfg.Params
	Symbols []string  // coins under which Bitcoin addresses are taken, besides Bitcoin's own names
	Today   time.Time // of which UTC day it is; orders that ended before have expired

	seen map[[16]byte]int // the line on which a script stood first
}

// Judge says what becomes of an entry.
func (j *Judge) Judge(e Entry) Row {
	row := Row{Line: e.Line, Text: visible(e.Text), Symbol: inOneLine(e.Symbol), Listing: readable(e.Listing)}
	address, err := chain.ParseAddress(e.Text, j.Params)
	switch {
	case e.Fault != "":
		if withheld(err) {
			row.Text = notShown
		}
		return row.held(HeldFault, e.Fault)
	case err != nil:
		return j.refused(row, e, err)
	}
	row.Listing.Address = address
	switch {
	case !isBitcoin(e.Symbol) && !j.takes(e.Symbol):
		return row.held(HeldSymbol, fmt.Sprintf("a Bitcoin address that the list has as %s: %s", visible(e.Symbol), otherCoin(e.Symbol)))
	case !e.Listing.To.IsZero() && e.Listing.To.Before(j.Today.UTC().Truncate(24*time.Hour)):
		return row.held(HeldExpired, "it was in force to "+e.Listing.To.Format(time.DateOnly)+", by what the list says")
	}
	return j.first(row)
}

// readable makes what a list says fit for messages and tables: in one line each,
// and no longer than anybody reads.
func readable(l Listing) Listing {
	for _, text := range []*string{
		&l.Label, &l.Entity, &l.Category, &l.Version, &l.Source.Title, &l.Source.Author, &l.Source.Publisher,
		&l.Source.Date, &l.Source.URL, &l.Source.Locator, &l.Source.Quote,
	} {
		*text = inOneLine(*text)
	}
	return l
}

// longestSaid is how many characters of one thing that a list says are kept.
const longestSaid = 500

func inOneLine(text string) string {
	plain := !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
	if plain && len(text) <= longestSaid && strings.TrimSpace(text) == text {
		return text
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == ' ' }), " ")
	if runes := []rune(text); len(runes) > longestSaid {
		text = string(runes[:longestSaid-1]) + "…"
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// first holds a script that was on the list already.
func (j *Judge) first(row Row) Row {
	if j.seen == nil {
		j.seen = map[[16]byte]int{}
	}
	sum := sha256.Sum256(row.Listing.Address.Script)
	key := [16]byte(sum[:16]) // an attacker who finds two alike has broken SHA-256 halfway
	if line, ok := j.seen[key]; ok {
		words := "the same address stands further up"
		if line > 0 {
			words = fmt.Sprintf("the same address stands on line %d", line)
		}
		if row.Text != row.Listing.Address.Text {
			words += ", in another spelling"
		}
		return row.held(HeldDuplicate, words)
	}
	j.seen[key] = row.Line
	return row
}

func (r Row) held(reason HeldReason, words string) Row {
	r.Held = &Held{Reason: reason, Words: words}
	return r
}

// refused holds what is no Bitcoin address of the network.
func (j *Judge) refused(row Row, e Entry, err error) Row {
	refused := new(chain.AddressError)
	switch {
	case !errors.As(err, &refused):
		return row.held(HeldForm, err.Error())
	case withheld(err):
		row.Text = notShown
		return row.held(heldFor(refused.Refusal), refused.Reason)
	}
	if reason, words, ok := j.lookedInto(e, refused); ok {
		return row.held(reason, words)
	}
	return row.held(heldFor(refused.Refusal), refused.Reason)
}

const notShown = "(not shown)"

// withheld says whether a refused text is, or may be, a private key.
func withheld(err error) bool {
	refused := new(chain.AddressError)
	return errors.As(err, &refused) && refused.Text == ""
}

// lookedInto names what a list does to addresses, where the form says it.
func (j *Judge) lookedInto(e Entry, refused *chain.AddressError) (HeldReason, string, bool) {
	switch refused.Refusal {
	case chain.RefusedForm, chain.RefusedChecksum:
	default:
		return "", "", false
	}
	if found, err := Extract(strings.NewReader(e.Text), j.Params); err == nil && len(found) == 1 {
		if found[0].disguised {
			return HeldDisguise, found[0].Reason, true
		}
		if !found[0].NearMiss() {
			return HeldForm, fmt.Sprintf("not an address alone: it has %s inside", found[0].Address.Text), true
		}
	}
	switch {
	case !isBitcoin(e.Symbol):
		return HeldChain, "listed as " + visible(e.Symbol) + ", and no Bitcoin address", true
	case lowered(e.Text, j.Params):
		return HeldCase, "in lower case throughout: an address of this kind has upper case, which cannot be guessed back", true
	case piece(e.Text, j.Params):
		return HeldCut, fmt.Sprintf("too short, %d characters: a piece of an address? The source may have the rest elsewhere", len(e.Text)), true
	case hasOddCharacter(e.Text):
		return HeldDisguise, refused.Reason, true
	}
	return "", "", false
}

func heldFor(refusal chain.Refusal) HeldReason {
	switch refusal {
	case chain.RefusedChain:
		return HeldChain
	case chain.RefusedNetwork:
		return HeldNetwork
	case chain.RefusedChecksum:
		return HeldChecksum
	case chain.RefusedPublicKey, chain.RefusedExtendedKey, chain.RefusedPrivateKey:
		return HeldKey
	}
	return HeldForm
}

// isBitcoin says whether a list means Bitcoin by a symbol, or names no coin.
// OFAC says XBT.
func isBitcoin(symbol string) bool {
	switch strings.ToUpper(strings.TrimSpace(symbol)) {
	case "", "BTC", "XBT", "BITCOIN":
		return true
	}
	return false
}

func (j *Judge) takes(symbol string) bool {
	return slices.ContainsFunc(j.Symbols, func(s string) bool { return strings.EqualFold(s, symbol) })
}

// otherCoin says how a Bitcoin address comes to stand under another coin.
func otherCoin(symbol string) string {
	const take = "whether it means the address on Bitcoin is for you to say"
	switch strings.ToUpper(symbol) {
	case "USDT":
		return "Tether on Omni moves in Bitcoin transactions of this address; " + take
	case "BCH", "BSV", "BTG", "XEC":
		return "that chain spells addresses like Bitcoin, and who has the key has both; " + take
	}
	return take
}

// lowered says whether the text is an address in Base58 of which upper case was lost.
func lowered(text string, params *chaincfg.Params) bool {
	s := spellingOf(params)
	return len(text) >= shortestBase58 && len(text) <= longestBase58 && strings.IndexByte(s.first, text[0]) >= 0 &&
		text == strings.ToLower(text) && text != strings.ToUpper(text) && count(text, isAlphanumeric) == len(text)
}

// piece says whether the text can be a part of an address: too short for a
// whole one, of nothing but its letters.
func piece(text string, params *chaincfg.Params) bool {
	const shortest = 4 // below, it is anything
	s := spellingOf(params)
	if s.hasPrefix(text) {
		return len(text) < len(s.prefix)+39 && count(text, isAlphanumeric) == len(text)
	}
	mixed := strings.ToLower(text) != text && strings.ToUpper(text) != text && strings.ContainsAny(text, "0123456789")
	return len(text) >= shortest && len(text) < shortestBase58 && mixed && count(text, isBase58) == len(text)
}

// hasOddCharacter says whether there is one that cannot be typed on a plain keyboard.
func hasOddCharacter(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) })
}
