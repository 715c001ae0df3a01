package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/sql"
)

type evidenceCommand struct {
	TxID string `arg:"" name:"txid" help:"A recorded transaction."`
	Out  string `placeholder:"FILE" help:"Write to this file, whole or not at all. Without it: to standard output."`
}

// Run writes what is recorded of a transaction into one file that others can
// check without this database.
func (c *evidenceCommand) Run(s *session) error {
	txid, err := parseTxID(c.TxID)
	if err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(config.File)
	if err != nil {
		return fmt.Errorf("read the configuration for its digest: %w", err)
	}
	var file []byte
	err = s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		e, err := store.Evidence(ctx, txid)
		if errors.Is(err, sql.ErrNoTransaction) {
			return fmt.Errorf("the transaction %s is not recorded here: only those of watched addresses are (btcwatch history ADDRESS lists them)", txid)
		}
		if err != nil {
			return err
		}
		e.Stated.Version = s.version
		e.Stated.Configuration = fmt.Sprintf("%x", sha256.Sum256(text))
		s.warnOfSecrets(e)
		file, err = e.Encode()
		return err
	})
	if err != nil {
		return err
	}
	verdict, err := judge(file) // nothing leaves here that would not be believed elsewhere
	if err != nil {
		return fmt.Errorf("the record of %s does not bear itself out, so no evidence was written: %w", txid, err)
	}
	if c.Out == "" {
		_, err = s.Out.Write(file)
		return err
	}
	if err := writeWhole(c.Out, func(to io.Writer) error { _, err := to.Write(file); return err }); err != nil {
		return fmt.Errorf("write %s: %w", c.Out, openError(err))
	}
	s.say("Wrote %s: %s. Anybody can check it: btcwatch verify %[1]s", c.Out, inShort(verdict))
	return nil
}

func parseTxID(text string) (chainhash.Hash, error) {
	if len(text) != 2*chainhash.HashSize || strings.Trim(text, "0123456789abcdefABCDEF") != "" {
		return chainhash.Hash{}, wrongUsef("%q is no transaction id: it has 64 hexadecimal digits", tame(text))
	}
	id, err := chainhash.NewHashFromStr(text)
	if err != nil {
		return chainhash.Hash{}, wrongUse{err.Error()}
	}
	return *id, nil
}

// warnOfSecrets says what a file that goes to others would give away.
func (s *session) warnOfSecrets(e *chain.Evidence) {
	for _, a := range e.Stated.Addresses {
		for _, l := range a.Listings {
			if l.Secret {
				s.say("Take care: it names %s and why it is watched, which is confidential.", a.Address)
				break
			}
		}
	}
}

func judge(file []byte) (*chain.Verdict, error) {
	e, err := chain.ReadEvidence(file)
	if err != nil {
		return nil, err
	}
	return e.Verify()
}

func inShort(v *chain.Verdict) string {
	if v.Block == nil {
		return "it proves nothing about a block"
	}
	return fmt.Sprintf("it proves block %s, %s deep", grouped(int64(v.Block.Height)), counted(v.Block.Depth, "confirmation", "confirmations"))
}

// digestOf is the digest in the last line but one of a file that was read.
func digestOf(file []byte) string {
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	if len(lines) < 2 {
		return ""
	}
	digest := strings.Trim(strings.TrimPrefix(lines[len(lines)-2], ` "sha256": `), `"`)
	if _, err := hex.DecodeString(digest); err != nil {
		return ""
	}
	return digest
}
