package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// handOver gives the evidence of a payment to somebody who has nothing but the
// program, and who gets it a second time with one byte changed.
func (w *world) handOver(ctx context.Context) error {
	w.say.heading("Evidence for somebody who trusts nobody")
	e := w.missed
	const name = "payment.json"
	path := filepath.Join(w.dir, name)
	err := w.await(ctx, "the evidence of a payment", func() (bool, error) {
		_, err := w.daemon.ask(ctx, "evidence", e.txid.String(), "--out", path)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	w.say.tell("$ btcwatch evidence %s --out %s", e.txid, name)
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page, err := w.elsewhere(ctx, name, file)
	if err != nil {
		return fmt.Errorf("the evidence is refused: %w", err)
	}
	w.say.tell("That file alone goes to an empty folder: no configuration, no database. There:")
	w.say.tell("$ btcwatch verify %s", name)
	w.say.show(page)
	w.handed = missing(page,
		fmt.Sprintf("pays %d.%08d BTC to %s (output", e.amount/1e8, e.amount%1e8, e.to.text),
		fmt.Sprintf("of block %d, dated", e.height), "    "+e.block.String()+"\n", "Scripts and signatures are not validated")
	if len(w.handed) == 0 {
		w.say.happened("It says what the chain says, with the program alone.")
	}
	return w.tamper(ctx, name, file)
}

// tamper changes one byte in the middle of the transaction's bytes.
func (w *world) tamper(ctx context.Context, name string, file []byte) error {
	wrong := slices.Clone(file)
	at := bytes.Index(wrong, []byte(`"transaction": "`)) + 100
	was := wrong[at]
	if wrong[at]++; !strings.ContainsRune("0123456789abcdef", rune(wrong[at])) {
		wrong[at] = '0'
	}
	page, err := w.elsewhere(ctx, name, wrong)
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) || exit.ExitCode() != 1 || page != "" {
		return fmt.Errorf("one byte of the evidence was changed, and verify said %q (%v)", page, err)
	}
	w.refused = true
	w.say.tell("Byte %d of %d is changed from %q to %q, and it is verified again:", at+1, len(wrong), was, wrong[at])
	w.say.show(strings.TrimSpace(string(exit.Stderr)))
	w.say.happened("Refused, with exit code 1.")
	w.say.proves("who doubts can check: what the bytes prove is kept apart from what rests on the issuer's word.")
	return nil
}

// elsewhere verifies a file where nothing else is, and gives what is printed.
func (w *world) elsewhere(ctx context.Context, name string, file []byte) (string, error) {
	empty, err := os.MkdirTemp(w.dir, "elsewhere-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(empty)
	if err := os.WriteFile(filepath.Join(empty, name), file, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, w.daemon.binary, "verify", name)
	cmd.Dir, cmd.Env = empty, []string{"HOME=" + empty, "PATH=/nowhere"}
	out, err := cmd.Output()
	return string(out), err
}

// missing gives what a page does not say.
func missing(page string, wants ...string) (faults []string) {
	for _, want := range wants {
		if !strings.Contains(page, want) {
			faults = append(faults, fmt.Sprintf("the evidence does not say %q", want))
		}
	}
	return faults
}

// countEvidence counts that the evidence says what the chain does, and that a
// changed byte is refused.
func (w *world) countEvidence(t *tally) {
	t.check(len(w.handed) == 0, "%s", strings.Join(w.handed, "; "))
	t.check(w.refused, "evidence with a byte changed was not refused")
}
