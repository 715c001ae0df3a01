package explorer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// A recorded proof leads to the root of the recorded header of its block.
func TestRecordedMerkleProof(t *testing.T) {
	id := txid(t, "15e10745f15593a899cef391191bdd3d7c12412cc4696b7bcb669d0feadc8521")
	e := opened(t, text("%s", recorded.Read(t, "recorded", "mempool", "merkle_proof_15e10745.json")))
	got, err := e.Proofs.Branch(t.Context(), id, 363348)
	if err != nil {
		t.Fatal(err)
	}
	var header wire.BlockHeader
	raw := strings.TrimSpace(string(recorded.Read(t, "recorded", "mempool", "header_363348.hex")))
	if err := header.Deserialize(hex.NewDecoder(bytes.NewReader([]byte(raw)))); err != nil {
		t.Fatal(err)
	}
	count := got.Branch.Most(id)
	if err := got.Branch.Check(id, count, header.MerkleRoot); err != nil || got.Height != 363348 {
		t.Errorf("at %d, in a block of at most %d: %v", got.Height, count, err)
	}
	if err := got.Branch.Check(txid(t, strings.Repeat("1", 64)), count, header.MerkleRoot); !errors.Is(err, chain.ErrFalseBranch) {
		t.Errorf("of another transaction: %v", err)
	}
}

// TestFalsePlaces: a place that no block has is not taken.
func TestFalsePlaces(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for name, body := range map[string]string{
		"more steps than a block has": `{"block_height":1,"merkle":["` + strings.Repeat(hash+`","`, 15) + hash + `"],"pos":1}`,
		"beyond the last":             `{"block_height":1,"merkle":[],"pos":16666}`,
		"before the first":            `{"block_height":1,"merkle":[],"pos":-1}`,
		"no place":                    `{"block_height":1,"merkle":[]}`,
		"no block":                    `{"merkle":[],"pos":0}`,
		"no branch":                   `{"block_height":1,"pos":0}`,
		"null for a branch":           `{"block_height":1,"merkle":null,"pos":0}`,
		"no hash":                     `{"block_height":1,"merkle":["ab"],"pos":0}`,
		"a height below zero":         `{"block_height":-1,"merkle":[],"pos":0}`,
		"two places":                  `{"block_height":1,"merkle":[],"pos":0,"pos":1}`,
	} {
		e := opened(t, text("%s", body))
		if got, err := e.Proofs.Branch(t.Context(), payment(1).ID, 1); got != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	e := opened(t, text("%s", `{"block_height":1,"merkle":[],"pos":0,"more":{"to":"come"}}`))
	if got, err := e.Proofs.Branch(t.Context(), payment(1).ID, 1); err != nil || got.Height != 1 || len(got.Branch.Siblings) != 0 {
		t.Errorf("a block of one: %+v, %v", got, err)
	}
}
