package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

type verifyCommand struct {
	File string `arg:"" name:"file" help:"What btcwatch evidence wrote; - for standard input."`
}

// Run checks a file of evidence and says in plain words what it proves. It
// needs neither database nor configuration nor network.
func (c *verifyCommand) Run(s *session) error {
	file, name, err := c.read(s)
	if err != nil {
		return err
	}
	v, err := judge(file)
	if err != nil {
		return fmt.Errorf("%s: %s", name, tame(err.Error()))
	}
	var page bytes.Buffer
	verdict{v, &page}.write(digestOf(file))
	_, err = s.Out.Write(page.Bytes())
	return err
}

func (c *verifyCommand) read(s *session) (file []byte, name string, err error) {
	source, name := s.In, "standard input"
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, "", fmt.Errorf("open %s: %w", c.File, openError(err))
		}
		defer f.Close()
		source, name = f, c.File
	}
	file, err = io.ReadAll(io.LimitReader(source, chain.MaxEvidence+1)) // one too many is refused
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", name, openError(err))
	}
	return file, name, nil
}

// verdict is how a person reads what evidence comes to.
type verdict struct {
	*chain.Verdict
	page *bytes.Buffer
}

func (v verdict) line(format string, args ...any) {
	fmt.Fprintln(v.page, tame(fmt.Sprintf(format, args...)))
}

func (v verdict) head(text string) { fmt.Fprintf(v.page, "\n%s\n", text) }

func (v verdict) write(digest string) {
	stated := &v.Evidence.Stated
	v.line("Evidence of transaction %s on %s,", chainhash.Hash(v.Evidence.TxID), v.Evidence.Network)
	v.line("issued %s by btcwatch %s. It is whole and unchanged: sha256 %s.", second(stated.MadeAt), stated.Version, digest)
	v.head("Proven by the bytes in the file")
	v.proven()
	if v.Block != nil {
		v.head("The chain that this holds for")
		v.chain()
	}
	v.head("Not proven; it rests on the word of whoever issued the file")
	v.word()
	v.head("Not looked at")
	v.line("  - Scripts and signatures are not validated. What a witness holds is covered by no branch.")
	if v.Block != nil && v.Block.Chain.Beyond == nil {
		v.line("  - Whether another chain has more work: compare the block's hash with a source of your own.")
	}
	v.line("  - Who made the file: anybody can make one. Ask the issuer for the digest by another way.")
}

// proven says what needs nobody's word.
func (v verdict) proven() {
	for _, a := range v.Evidence.Stated.Addresses {
		for _, m := range a.Movements {
			switch {
			case m.Direction == "in":
				v.line("  - The transaction pays %s BTC to %s (output %d).", btc(m.Amount), a.Address, m.Index)
			case m.Proven:
				v.line("  - It takes %s BTC from %s (input %d): the transaction that paid it there is in the file.", btc(m.Amount), a.Address, m.Index)
			}
		}
	}
	if v.Fee != nil {
		v.line("  - Its fee is %s BTC.", btc(*v.Fee))
	}
	b := v.Block
	if b == nil {
		v.line("  - These are the bytes of that transaction, and no more: that it ever stood in a block, or was sent at all, is not proven.")
		return
	}
	v.line("  - It stands at place %s of block %s, dated %s:", grouped(int64(b.Index)), grouped(int64(b.Height)), second(b.Time))
	v.line("    %s", b.Hash)
	if !b.SaysHeight {
		who := "the issuer does"
		if b.Chain.Below != nil || b.Chain.Beyond != nil {
			who = "the headers do, counted from one that is compiled into this program"
		}
		v.line("    The block itself does not say its height; %s.", who)
	}
	on := "nothing on top"
	if b.Depth > 1 {
		on = counted(b.Depth-1, "block", "blocks") + " on top"
	}
	v.line("  - It is %s deep: the block and %s stand for %s.", counted(b.Depth, "confirmation", "confirmations"), on, hashes(b.Work))
	if nominal(v.Params) {
		v.line("  - On %s that is nominal: work costs next to nothing there, and anybody could have made such blocks.", v.Evidence.Network)
		return
	}
	v.line("    %s", inBlocks(b.Work, b.Chain))
}

// nominal says whether work on a network is no proof of anything.
func nominal(params *chaincfg.Params) bool { return params.Net != wire.MainNet }

// word says what is only stated.
func (v verdict) word() {
	stated := &v.Evidence.Stated
	for _, a := range stated.Addresses {
		for _, m := range a.Movements {
			if !m.Proven {
				v.line("  - It takes %s BTC from %s (input %d), %s.", btc(m.Amount), a.Address, m.Index, by(statedBy(stated.Spent, m.Index)))
			}
		}
		for _, n := range a.Revealed {
			v.line("  - Input %d shows a key or script of %s, which hints that it spends from there; anybody can show another's. No amount is known.", n, a.Address)
		}
		for _, l := range a.Listings {
			v.line("  - %s", listed(a.Address, l))
		}
	}
	for _, r := range stated.Reports {
		what := "as unconfirmed"
		if r.Block != nil {
			what = "in block " + chainhash.Hash(*r.Block).String()
		}
		v.line("  - Reported by %s, %s, %s.", r.Explorer, second(r.At), what)
	}
	for _, state := range stated.States {
		what := state.State
		if state.By != nil {
			what += " by " + chainhash.Hash(*state.By).String()
		}
		v.line("  - Held for %s (%s) from %s on.", what, state.Grade, second(state.At))
	}
	last := stated.States[len(stated.States)-1]
	if last.Grade == "proven" && v.Block == nil {
		v.line("    The file has no proof of that: none was kept when its block was recorded.")
	}
	for _, a := range stated.Alerts {
		v.line("  - Alert %s (%s, %s), %s.", a.ID, a.Type, a.Severity, second(a.OpenedAt))
	}
	if stated.Tip != nil {
		v.line("  - The chain was followed to block %s when the file was made.", grouped(int64(stated.Tip.Height)))
	}
	v.line("  - Configuration in use: sha256 %s.", stated.Configuration)
}

func statedBy(spent []chain.EvidenceSpent, input int) string {
	for _, s := range spent {
		if s.Input == input {
			return s.StatedBy
		}
	}
	return ""
}

func by(explorer string) string {
	if explorer == "" {
		return "as an explorer stated"
	}
	return "as the explorer " + explorer + " stated"
}

func listed(address string, l chain.EvidenceListing) string {
	var source []string
	for _, part := range []string{l.Author, l.Title, l.Publisher, l.Date, l.URL} {
		if part != "" {
			source = append(source, part)
		}
	}
	at := "from " + second(l.RecordedAt) + " on"
	if l.Retired {
		return fmt.Sprintf("%s: off the list %s %s.", address, l.List, at)
	}
	text := fmt.Sprintf("%s: on the list %s %s", address, l.List, at)
	if l.Label != "" {
		text += ", as " + l.Label
	}
	if l.Entity != "" {
		text += ", entity " + l.Entity
	}
	if len(source) > 0 {
		text += "; source: " + strings.Join(source, ", ")
	} else {
		text += "; no source is named"
	}
	if l.Basis != "" {
		text += " (basis: " + l.Basis + ")"
	}
	return text + "."
}

func second(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
