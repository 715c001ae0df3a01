package cli_test

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// firstBlock is evidence of the coinbase of block 1 of mainnet, with real headers
// from one height to another. The block's header commits to the bytes.
func firstBlock(t *testing.T, from, to int) *chain.Evidence {
	t.Helper()
	raw, err := hex.DecodeString("01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0104ffffffff" +
		"0100f2052a0100000043410496b538e853519c726a2c91e61ec11600ae1390813a627c66fb8be7947be63c52da7589379515d4e0a604f8141781e6229472" +
		"1166bf621e73a82cbf2342c858eeac00000000")
	if err != nil {
		t.Fatal(err)
	}
	headers := recorded.Read(t, "vectors", "headers-0-2015.raw")
	hash := chain.HashText(chainhash.DoubleHashH(headers[80:160]))
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e := &chain.Evidence{Network: "mainnet", TxID: chain.HashText(chainhash.DoubleHashH(raw))}
	e.Proof.Transaction = raw
	e.Proof.Block = &chain.EvidenceBlock{Height: 1, Hash: hash, TxCount: new(1), Coinbase: raw, FirstHeight: int32(from)}
	for height := from; height <= to; height++ {
		e.Proof.Block.Headers = append(e.Proof.Block.Headers, headers[80*height:80*height+80])
	}
	e.Stated.MadeAt = at
	e.Stated.States = []chain.EvidenceState{{State: "confirmed", Grade: "proven", Height: new(int32(1)), Block: &hash, At: at}}
	e.Stated.Starts = []chain.EvidenceStart{{Height: 1000, Parent: chain.HashText(chainhash.DoubleHashH(headers[80*999 : 80*1000])), RestsOn: "two operators", Proves: true, At: at}}
	return e
}

// verified is what a person reads of evidence.
func verified(t *testing.T, e *chain.Evidence) string {
	t.Helper()
	if err := e.Leave(); err != nil {
		t.Fatal(err)
	}
	file, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p := sit("")
	if code := p.types("verify", write(t, "evidence.json", file)); code != 0 || p.err.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, &p.err)
	}
	return p.out.String()
}

// says demands lines, in this order.
func says(t *testing.T, page string, lines ...string) {
	t.Helper()
	if !regexp.MustCompile(`(?s)` + strings.Join(lines, `.*\n`)).MatchString(page) {
		t.Errorf("it does not say\n%s\nin\n%s", strings.Join(lines, "\n"), page)
	}
}

// TestVerifySaysWhatItRestsOn: real headers of mainnet, in words and numbers that
// were worked out by hand: a header of difficulty 1 takes 4,295,032,833 hashes,
// 2,016 of them 8,658,786,191,328, or 2 to the 42.977th.
func TestVerifySaysWhatItRestsOn(t *testing.T) {
	page := verified(t, firstBlock(t, 0, 2016))
	says(t, page,
		`  - It stands at place 0 of block 1, dated 2009-01-09 02:54:25 UTC:`,
		`    00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048`,
		`    The block itself does not say its height; the headers do, counted from one that is compiled into this program\.`,
		`  - It is 2,016 confirmations deep: the block and 2,015 blocks on top stand for about 8\.66 thousand billion hashes \(2\^43\.0\)\.`,
		`    That is the work of 2,016 blocks at the difficulty of block 2,016 \(2009-01-27 13:38:51 UTC\), the last in the file, which is set so that the whole network takes about 14 days for so much\.`,
		`The chain that this holds for`,
		`  - The file has 2,017 headers, from block 0 to 2,016, each`,
		`  - Where a period begins \(1 time\), the difficulty is exactly what the rule makes of the headers before\.`,
		`  - They lead back to block 0, the first of mainnet, compiled into this program:`,
		`    000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f`,
		`    A false chain could begin there, too, at the cost of all the work from there on\.`,
		`  - The payment is from before the watch\. Following began with block 1,000, which is built on it and rests, by the issuer's word, on two operators\.`)
	page = verified(t, firstBlock(t, 1, 2016))
	says(t, page,
		`  - At block 2,016, where a period begins, the difficulty is only known to have changed by a factor of four at most: the period before is not whole in the file\.`,
		`  - They lead back to block 0, the first of mainnet`)

	left := firstBlock(t, 0, 1500)
	left.Stated.Starts[0].Parent[0]++
	left.Stated.Starts[0].Proves = false
	page = verified(t, left)
	says(t, page,
		`  - All of them ask for the same work, as those of one period have to\.`,
		`    Stated: followed from block 1,000 on, which rests on two operators; the chain has left that block since\.`)
	one := firstBlock(t, 0, 1500)
	one.Stated.Starts[0].Proves = false
	says(t, verified(t, one), `by the issuer's word, on one operator alone: two operators\.`)

	file, err := firstBlock(t, 0, 30).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(file); at += 53 { // package chain changes every one
		wrong := bytes.Clone(file)
		wrong[at] ^= 1
		p := sit("")
		if code := p.types("verify", write(t, "evidence.json", wrong)); code != 1 || p.out.Len() > 0 || !strings.Contains(p.err.String(), "false evidence") {
			t.Errorf("byte %d changed: exit code %d: %s%s", at, code, &p.out, &p.err)
		}
	}
}
