package cli_test

import (
	"strings"
	"testing"
	"time"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// TestExplorersListAndClear: who was caught is listed with what was false, and
// cleared once, without the daemon.
func TestExplorersListAndClear(t *testing.T) {
	_, store, file := followed(t)
	run := func(args ...string) (code int, out, said string) {
		p := sit("")
		code = p.types(append([]string{"--config", file}, args...)...)
		return code, p.out.String(), p.err.String()
	}
	if code, _, said := run("explorers", "list"); code != 0 || !strings.Contains(said, "a of "+file+" was never asked yet") {
		t.Errorf("before any daemon: exit %d, %s", code, said)
	}
	if err := store.SetExplorers(t.Context(), []explorer.Settings{{Name: "a", Kind: "esplora", Operator: "o", Budget: explorer.Budget{Hour: 700}}}); err != nil {
		t.Fatal(err)
	}
	leading(t, store, func(w *sql.Writer) error {
		_, err := w.BeginQuarantine(t.Context(), sql.Quarantine{Explorer: "a", Since: time.Now(), Reason: "lying: block 5 of a"})
		return err
	})
	if err := store.SaveExplorer(t.Context(), sql.ExplorerState{Name: "a", State: "lying"}); err != nil {
		t.Fatal(err)
	}
	code, out, _ := run("explorers", "list")
	for _, want := range []string{"lying", "in quarantine: lying: block 5 of a", "700"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is not in\n%s", code, want, out)
		}
	}
	if code, out, _ := run("explorers", "list", "--json"); code != 0 || !strings.Contains(out, `"left_this_hour":700`) || !strings.Contains(out, `"left_this_day":null`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out, _ := run("explorers", "clear", "a", "--reason", "ticket 5"); code != 0 || !strings.Contains(out, "Cleared a") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if open, err := store.Quarantines(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("still open: %v, %v", open, err)
	}
	if code, _, said := run("explorers", "clear", "a"); code != 1 || !strings.Contains(said, "in no quarantine") {
		t.Errorf("cleared twice: exit %d, %s", code, said)
	}
	if code, _, said := run("explorers", "clear", "b"); code != 1 || !strings.Contains(said, `is named "b"`) || strings.Contains(said, "b is in no quarantine") {
		t.Errorf("one that there is not: exit %d, %s", code, said)
	}
	if code, _, _ := run("explorers", "clear", "a", "--reason", "two\nlines"); code != 2 {
		t.Errorf("a reason of two lines: exit %d", code)
	}
}
