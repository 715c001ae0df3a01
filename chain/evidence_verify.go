package chain

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Verdict is what a file of evidence comes to.
type Verdict struct {
	Evidence *Evidence
	Params   *chaincfg.Params
	Tx       *wire.MsgTx
	Fee      *int64 // satoshis; nil while not all previous transactions are there
	Block    *ProvenBlock
}

// ProvenBlock is the block that holds the transaction, and what is around it.
type ProvenBlock struct {
	Hash       chainhash.Hash
	Height     int32
	SaysHeight bool // its coinbase says the height, so that its work covers it
	Time       time.Time
	Index      int
	Depth      int      // confirmations: the block and those on top of it
	Work       *big.Int // of these, in hashes
	Chain      ProvenChain
}

// Verify checks what can be checked and gives what is proven by it. The error
// says what is wrong, and wraps ErrFalseEvidence.
func (e *Evidence) Verify() (*Verdict, error) {
	params, err := Network(e.Network)
	if err != nil {
		return nil, falsef("%v", err)
	}
	v := &Verdict{Evidence: e, Params: params}
	if v.Tx, err = parseTransaction(e.Proof.Transaction); err != nil {
		return nil, falsef("the transaction %v", err)
	}
	if id := v.Tx.TxHash(); id != chainhash.Hash(e.TxID) {
		return nil, falsef("the bytes are the transaction %s and not %s", id, chainhash.Hash(e.TxID))
	}
	if v.Tx.SerializeSizeStripped() == 64 {
		return nil, falsef("a transaction of 64 bytes could stand for a Merkle node")
	}
	spent, err := v.spent()
	if err != nil {
		return nil, err
	}
	if err := v.addresses(spent); err != nil {
		return nil, err
	}
	if err := v.block(); err != nil {
		return nil, err
	}
	return v, v.stated()
}

// parseTransaction reads a transaction that fills the bytes, and of which there
// is only this spelling.
func parseTransaction(raw []byte) (*wire.MsgTx, error) {
	msg := new(wire.MsgTx)
	reader := bytes.NewReader(raw)
	if err := msg.Deserialize(reader); err != nil {
		return nil, fmt.Errorf("cannot be parsed: %w", err)
	}
	var again bytes.Buffer
	_ = msg.Serialize(&again) // a bytes.Buffer takes everything
	if !bytes.Equal(again.Bytes(), raw) {
		return nil, errors.New("has other bytes than it should")
	}
	if err := blockchain.CheckTransactionSanity(btcutil.NewTx(msg)); err != nil {
		return nil, fmt.Errorf("can be none: %w", err)
	}
	return msg, nil
}

// spentOutput is an output that the transaction spends.
type spentOutput struct {
	*wire.TxOut
	proven bool
}

// spent gives for each input what it spends: by the previous transaction, whose
// hash the input names, or by somebody's word; nil where there is neither.
func (v *Verdict) spent() ([]*spentOutput, error) {
	previous := map[chainhash.Hash]*wire.MsgTx{}
	for i, raw := range v.Evidence.Proof.Previous {
		tx, err := parseTransaction(raw)
		if err != nil {
			return nil, falsef("previous transaction %d %v", i+1, err)
		}
		if previous[tx.TxHash()] != nil {
			return nil, falsef("previous transaction %s is there twice", tx.TxHash())
		}
		previous[tx.TxHash()] = tx
	}
	all := make([]*spentOutput, len(v.Tx.TxIn))
	used := map[chainhash.Hash]bool{}
	for i, in := range v.Tx.TxIn {
		at := in.PreviousOutPoint
		tx := previous[at.Hash]
		if tx == nil {
			continue
		}
		if int64(at.Index) >= int64(len(tx.TxOut)) {
			return nil, falsef("input %d spends output %d of a transaction with %d", i, at.Index, len(tx.TxOut))
		}
		used[at.Hash] = true
		all[i] = &spentOutput{tx.TxOut[at.Index], true}
	}
	if len(used) != len(previous) {
		return nil, falsef("a previous transaction is there that no input spends from")
	}
	if err := v.fee(all); err != nil {
		return nil, err
	}
	for _, s := range v.Evidence.Stated.Spent {
		if s.Input < 0 || s.Input >= len(all) || all[s.Input] != nil {
			return nil, falsef("it states what input %d spends, which is known or none", s.Input)
		}
		if s.Amount < 0 || s.Amount > MaxMoney {
			return nil, falsef("it states an impossible amount for input %d", s.Input)
		}
		all[s.Input] = &spentOutput{wire.NewTxOut(s.Amount, s.Script), false}
	}
	return all, nil
}

// fee works out the fee where all that is spent is proven.
func (v *Verdict) fee(spent []*spentOutput) error {
	var fee int64
	for _, out := range spent {
		if out == nil {
			return nil
		}
		fee += out.Value
	}
	for _, out := range v.Tx.TxOut {
		fee -= out.Value
	}
	if fee < 0 {
		return falsef("the transaction pays %d satoshis more than it spends", -fee)
	}
	v.Fee = &fee
	return nil
}

// addresses checks what the file says that the transaction does to each.
func (v *Verdict) addresses(spent []*spentOutput) error {
	known := map[string]bool{}
	for _, a := range v.Evidence.Stated.Addresses {
		address, ok := AddressOf(a.Script, v.Params)
		if !ok || address.Text != a.Address {
			return falsef("the script of %.100q is another one", a.Address)
		}
		if known[a.Address] {
			return falsef("%s is there twice", a.Address)
		}
		known[a.Address] = true
		if movements := movementsOf(v.Tx, spent, a.Script); !slices.Equal(movements, a.Movements) {
			return falsef("the transaction does to %s something else than is said", a.Address)
		}
		shown := revealedOf(v.Tx, spent, a.Script)
		for i, n := range a.Revealed {
			if !slices.Contains(shown, n) || i > 0 && n <= a.Revealed[i-1] {
				return falsef("input %d shows nothing of %s, or what it spends is known", n, a.Address)
			}
		}
		if len(a.Movements)+len(a.Revealed) == 0 {
			return falsef("the transaction does nothing to %s", a.Address)
		}
	}
	return nil
}

// movementsOf gives what a transaction does to a script: debits, then credits.
func movementsOf(tx *wire.MsgTx, spent []*spentOutput, script []byte) (all []EvidenceMovement) {
	for i, out := range spent {
		if out != nil && bytes.Equal(out.PkScript, script) {
			all = append(all, EvidenceMovement{"out", i, out.Value, out.proven})
		}
	}
	for i, out := range tx.TxOut {
		if bytes.Equal(out.PkScript, script) {
			all = append(all, EvidenceMovement{"in", i, out.Value, true})
		}
	}
	return all
}

// revealedOf gives the inputs that show a key or script of an output script,
// where it is not known what they spend.
func revealedOf(tx *wire.MsgTx, spent []*spentOutput, script []byte) (all []int) {
	shows := func(one []byte) bool { return bytes.Equal(one, script) }
	for i, in := range tx.TxIn {
		if spent[i] == nil && slices.ContainsFunc(Reveals(in), shows) {
			all = append(all, i)
		}
	}
	return all
}

func branchOf(index int, siblings []HashText) Branch {
	b := Branch{Index: index, Siblings: make([]chainhash.Hash, len(siblings))}
	for i, s := range siblings {
		b.Siblings[i] = chainhash.Hash(s)
	}
	return b
}

// Move fills in, for each address of the evidence, what the transaction does to
// it by the bytes and the stated outputs that are there.
func (e *Evidence) Move() error {
	tx, err := parseTransaction(e.Proof.Transaction)
	if err != nil {
		return err
	}
	v := &Verdict{Evidence: e, Tx: tx}
	spent, err := v.spent()
	if err != nil {
		return err
	}
	for i, a := range e.Stated.Addresses {
		e.Stated.Addresses[i].Movements = movementsOf(tx, spent, a.Script)
		e.Stated.Addresses[i].Revealed = revealedOf(tx, spent, a.Script)
	}
	return nil
}

// block checks that the transaction stands in the block, and what is around it.
func (v *Verdict) block() error {
	b := v.Evidence.Proof.Block
	if b == nil {
		return nil
	}
	headers, err := b.headers()
	if err != nil {
		return err
	}
	before := int(b.Height) - int(b.FirstHeight)
	if before < 0 || before >= len(headers) {
		return falsef("the header of block %d is not among them", b.Height)
	}
	header := headers[before]
	if hash := header.BlockHash(); hash != chainhash.Hash(b.Hash) {
		return falsef("block %d is %s and not %s", b.Height, hash, chainhash.Hash(b.Hash))
	}
	p := &ProvenBlock{
		Hash: header.BlockHash(), Height: b.Height, Time: header.Timestamp.UTC(), Index: b.Index,
		Depth: len(headers) - before, Work: workOf(headers[before:]),
	}
	if p.Chain, err = v.chain(b, headers); err != nil {
		return err
	}
	if p.SaysHeight, err = v.inclusion(b, header); err != nil {
		return err
	}
	v.Block = p
	return nil
}

// inclusion checks both branches, and the height that the coinbase says.
func (v *Verdict) inclusion(b *EvidenceBlock, header wire.BlockHeader) (saysHeight bool, err error) {
	coinbase, err := parseTransaction(b.Coinbase)
	if err != nil {
		return false, falsef("the coinbase %v", err)
	}
	switch {
	case !blockchain.IsCoinBaseTx(coinbase):
		return false, falsef("what is said to be the coinbase is none")
	case coinbase.SerializeSizeStripped() == 64:
		return false, falsef("a coinbase of 64 bytes could stand for a Merkle node")
	case blockchain.IsCoinBaseTx(v.Tx) != (b.Index == 0):
		return false, falsef("only the first transaction of a block is its coinbase")
	}
	own := branchOf(b.Index, b.Siblings)
	count := own.Most(v.Tx.TxHash())
	if b.TxCount != nil {
		count = *b.TxCount
	}
	if err := own.Check(v.Tx.TxHash(), count, header.MerkleRoot); err != nil {
		return false, falsef("of the transaction: %v", err)
	}
	if err := branchOf(0, b.CoinbaseSiblings).Check(coinbase.TxHash(), count, header.MerkleRoot); err != nil {
		return false, falsef("of the coinbase: %v", err)
	}
	height, err := blockchain.ExtractCoinbaseHeight(btcutil.NewTx(coinbase))
	says := err == nil && height > 0 && header.Version > 1
	switch must := b.Height >= v.Params.BIP0034Height && b.Height > 0; {
	case must && (!says || height != b.Height):
		return false, falsef("the coinbase does not say that the block's height is %d", b.Height)
	case says && height == b.Height:
		return true, nil
	}
	return false, nil // an old block, whose miner could write what they liked
}

// stated checks that the issuer does not contradict the proof.
func (v *Verdict) stated() error {
	states := v.Evidence.Stated.States
	if len(states) == 0 {
		return falsef("it states no state of the transaction")
	}
	for _, s := range states {
		if confirmed := s.State == "confirmed"; confirmed != (s.Height != nil) || confirmed != (s.Block != nil) {
			return falsef("a state is stated that has a block and is not confirmed, or the reverse")
		}
		if s.By != nil && s.State != "replaced" {
			return falsef("a state is stated that has a replacement and is not replaced")
		}
		if !slices.Contains([]string{"unconfirmed", "confirmed", "replaced", "dropped"}, s.State) ||
			!slices.Contains([]string{"reported", "corroborated", "proven"}, s.Grade) {
			return falsef("a state or a grade is stated that there is not")
		}
	}
	last := states[len(states)-1]
	if b := v.Block; b != nil && (last.Block == nil || chainhash.Hash(*last.Block) != b.Hash || *last.Height != b.Height) {
		return falsef("the last state that is stated is another one than the proof has")
	}
	return nil
}
