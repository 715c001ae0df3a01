package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// Evidence is what btcwatch knows of one transaction, for others to check:
// docs/evidence.md describes it as a file. Proof can be checked with it alone;
// Stated rests on the word of whoever issued it.
type Evidence struct {
	Format  string        `json:"format"`
	About   string        `json:"about"`
	Network string        `json:"network"`
	TxID    HashText      `json:"txid"`
	Proof   EvidenceProof `json:"proof"`
	Stated  EvidenceWord  `json:"stated"`
}

// EvidenceProof are bytes that prove themselves.
type EvidenceProof struct {
	Transaction Hex            `json:"transaction"`
	Previous    []Hex          `json:"previous_transactions"` // of its inputs, as far as they are recorded
	Block       *EvidenceBlock `json:"block,omitempty"`       // absent: nothing is proven about a block
}

// EvidenceBlock leads from the transaction to a header, and on to the tip.
type EvidenceBlock struct {
	Height           int32      `json:"height"`
	Hash             HashText   `json:"hash"`
	Index            int        `json:"index"`              // of the transaction in the block
	TxCount          *int       `json:"tx_count,omitempty"` // absent: not known
	Siblings         []HashText `json:"siblings"`           // of the transaction, the lowest first
	Coinbase         Hex        `json:"coinbase"`
	CoinbaseSiblings []HashText `json:"coinbase_siblings"`
	FirstHeight      int32      `json:"first_header_height"`
	Headers          []Hex      `json:"headers"` // in the order of the chain
}

// EvidenceWord is what no byte of the file proves.
type EvidenceWord struct {
	MadeAt        time.Time         `json:"made_at"`
	Version       string            `json:"btcwatch_version"`
	Configuration string            `json:"configuration_sha256"` // of the file as it was then
	Tip           *EvidencePlace    `json:"followed_to,omitempty"`
	Starts        []EvidenceStart   `json:"starts"`
	Spent         []EvidenceSpent   `json:"spent_outputs"`
	Addresses     []EvidenceAddress `json:"addresses"`
	Reports       []EvidenceReport  `json:"reports"`
	States        []EvidenceState   `json:"states"`
	Alerts        []EvidenceAlert   `json:"alerts"`
}

// EvidencePlace is a block by height and hash.
type EvidencePlace struct {
	Height int32    `json:"height"`
	Hash   HashText `json:"hash"`
}

// EvidenceStart is where following began, or was put on a better footing.
type EvidenceStart struct {
	Height  int32     `json:"height"` // the first block after it
	Parent  HashText  `json:"parent"`
	RestsOn string    `json:"rests_on"`
	Proves  bool      `json:"proves"`     // false: it rests on one operator's word
	Left    bool      `json:"left_chain"` // the headers lead past it: the chain was reorganised there
	At      time.Time `json:"at"`
}

// EvidenceSpent is an output that an explorer says an input spends.
type EvidenceSpent struct {
	Input    int    `json:"input"`
	Script   Hex    `json:"script"`
	Amount   int64  `json:"amount_sat"`
	StatedBy string `json:"stated_by"`
}

// EvidenceAddress is a watched address, why it is, and what the transaction
// does to it.
type EvidenceAddress struct {
	Address   string             `json:"address"`
	Script    Hex                `json:"script"`
	Movements []EvidenceMovement `json:"movements"`
	Revealed  []int              `json:"revealed_inputs"` // that show a key or script of it: hints, where what they spend is not known
	Listings  []EvidenceListing  `json:"listings"`
}

// EvidenceMovement is one credit or debit.
type EvidenceMovement struct {
	Direction string `json:"direction"`  // in, out
	Index     int    `json:"index"`      // of the output (in) or input (out)
	Amount    int64  `json:"amount_sat"` // satoshis
	Proven    bool   `json:"proven"`     // by the transaction, or by the one that it spends from
}

// EvidenceListing is one row of the list, in force or not any more.
type EvidenceListing struct {
	List       string    `json:"list"`
	Label      string    `json:"label"`
	Entity     string    `json:"entity"`
	Category   string    `json:"category"`
	Basis      string    `json:"basis"`
	Title      string    `json:"source_title"`
	Author     string    `json:"source_author"`
	Publisher  string    `json:"source_publisher"`
	Date       string    `json:"source_date"`
	URL        string    `json:"source_url"`
	Secret     bool      `json:"confidential"` // not to be passed on without need
	Retired    bool      `json:"retired"`
	RecordedAt time.Time `json:"recorded_at"`
}

// EvidenceReport is that an explorer said it, and when first.
type EvidenceReport struct {
	Explorer string    `json:"explorer"`
	Operator string    `json:"operator"`             // as configured last; empty: not known
	Block    *HashText `json:"block_hash,omitempty"` // absent: as unconfirmed
	At       time.Time `json:"at"`
}

// EvidenceState is what the transaction was held for from then on.
type EvidenceState struct {
	State  string     `json:"state"`
	Grade  string     `json:"grade"`
	Height *int32     `json:"block_height,omitempty"`
	Block  *HashText  `json:"block_hash,omitempty"`
	Time   *time.Time `json:"block_time,omitempty"`  // as first told; the header has the one that counts
	By     *HashText  `json:"replaced_by,omitempty"` // the transaction that took its place, where replaced
	At     time.Time  `json:"at"`
}

// EvidenceAlert is an alert that was raised.
type EvidenceAlert struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Severity string    `json:"severity"`
	OpenedAt time.Time `json:"opened_at"`
}

// Hex is bytes, written in lower-case hexadecimal.
type Hex []byte

// MarshalText writes the bytes.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText reads lower-case hexadecimal and nothing else.
func (h *Hex) UnmarshalText(text []byte) error {
	if bytes.ContainsAny(text, "ABCDEF") {
		return errors.New("hexadecimal digits are lower-case here")
	}
	decoded := make([]byte, hex.DecodedLen(len(text)))
	_, err := hex.Decode(decoded, text)
	*h = decoded
	return err
}

// HashText is a hash, written as people write it: in hexadecimal, the last byte
// first.
type HashText chainhash.Hash

// MarshalText writes the hash.
func (h HashText) MarshalText() ([]byte, error) { return []byte(chainhash.Hash(h).String()), nil }

// UnmarshalText reads 64 lower-case digits and nothing else.
func (h *HashText) UnmarshalText(text []byte) error {
	var turned Hex
	if err := turned.UnmarshalText(text); err != nil {
		return err
	}
	if len(turned) != chainhash.HashSize {
		return fmt.Errorf("a hash has %d bytes and not %d", chainhash.HashSize, len(turned))
	}
	for i, b := range turned {
		h[chainhash.HashSize-1-i] = b
	}
	return nil
}

// EvidenceFormat names the only version there is.
const EvidenceFormat = "btcwatch evidence 1"

// evidenceAbout tells whoever opens the file what it is.
const evidenceAbout = "What stands under proof can be checked by anybody with the bytes alone: btcwatch verify FILE, or another program " +
	"written after docs/evidence.md. What stands under stated rests on the word of whoever issued this file. Scripts and " +
	"signatures are not validated. sha256 is over all lines but the last two."

// The end of the file, around its digest.
const (
	sealHead = " \"sha256\": \""
	sealTail = "\"\n}\n"
	sealSize = len(sealHead) + 2*sha256.Size + len(sealTail)
)

// Encode gives the file: JSON in lines, the last two of which hold the SHA-256
// of all that comes before them.
func (e *Evidence) Encode() ([]byte, error) {
	sealed := *e
	sealed.Format, sealed.About = EvidenceFormat, evidenceAbout
	sealed.fill()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(sealed); err != nil {
		return nil, fmt.Errorf("write evidence: %w", err)
	}
	body, ok := bytes.CutSuffix(text.Bytes(), []byte("\n}\n"))
	if !ok {
		return nil, errors.New("write evidence: it does not end as an object")
	}
	body = append(bytes.Clone(body), ",\n"...)
	if len(body)+sealSize > MaxEvidence {
		return nil, fmt.Errorf("write evidence: it would have %d bytes, and %d are the most", len(body)+sealSize, MaxEvidence)
	}
	return append(body, sealOf(body)...), nil
}

// fill makes empty lists of those that are nil: the format has no null.
func (e *Evidence) fill() {
	p, s := &e.Proof, &e.Stated
	p.Previous = list(p.Previous)
	if p.Block != nil {
		b := *p.Block
		b.Siblings, b.CoinbaseSiblings, b.Headers = list(b.Siblings), list(b.CoinbaseSiblings), list(b.Headers)
		p.Block = &b
	}
	s.Starts, s.Spent, s.Addresses = list(s.Starts), list(s.Spent), list(s.Addresses)
	s.Reports, s.States, s.Alerts = list(s.Reports), list(s.States), list(s.Alerts)
	s.Addresses = append([]EvidenceAddress{}, s.Addresses...)
	for i := range s.Addresses {
		a := &s.Addresses[i]
		a.Movements, a.Revealed, a.Listings = list(a.Movements), list(a.Revealed), list(a.Listings)
	}
}

func list[T any](of []T) []T {
	if of == nil {
		return []T{}
	}
	return of
}

// sealOf gives the last two lines.
func sealOf(body []byte) []byte {
	return fmt.Appendf(nil, "%s%x%s", sealHead, sha256.Sum256(body), sealTail)
}
