package cli_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// TestCheckKnowsOfQuarantine: who is in quarantine is named with what was false
// and what to do, counts as no witness, and hears of no address, though it
// answers well; and that nobody watches is said where nothing else is wrong.
func TestCheckKnowsOfQuarantine(t *testing.T) {
	c := chaintest.NewChain()
	c.MineEmpty(20)
	servers := []*chaintest.Esplora{chaintest.NewEsplora(c, c.Params()), chaintest.NewEsplora(c, c.Params())}
	database := sqltest.Migrated(t)
	store, err := sql.Open(t.Context(), database, c.Params(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	text := fmt.Sprintf("network = \"regtest\"\n[database]\nurl = %q\n[channels.screen]\nkind = \"stdout\"\n", database)
	var settings []explorer.Settings
	for i, name := range []string{"honest", "caught"} {
		url, stop := servers[i].Serve()
		t.Cleanup(stop)
		text += fmt.Sprintf("[explorers.%s]\nkind = \"esplora\"\nurl = %q\noperator = %q\nrequests_per_second = 0\n", name, url, name+" ones")
		settings = append(settings, explorer.Settings{Name: name, Kind: "esplora", Operator: name + " ones"})
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, out string) {
		p := sit("")
		code = p.types(append([]string{"--config", file}, args...)...)
		return code, p.out.String()
	}
	if code, out := run("watch", "add", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "--no-source"); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if err := store.SetExplorers(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	leading(t, store, func(w *sql.Writer) error {
		if err := w.SetStart(t.Context(), sql.Start{Height: 5, Parent: c.BlockAt(4).BlockHash(), RestsOn: "a test", Proves: true}); err != nil {
			return err
		}
		_, err := w.BeginQuarantine(t.Context(), sql.Quarantine{Explorer: "caught", Since: time.Now(), Reason: "lying: block 5 of caught"})
		return err
	})

	code, out := run("check")
	for _, want := range []string{
		"explorer honest  ok ", "explorer caught  wrong ", "in quarantine since ", "lying: block 5 of caught", "btcwatch explorers clear caught",
		"one of 2 answers: it is believed for want of another",
	} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is not in\n%s", code, want, out)
		}
	}
	const about = "/address/**"
	if honest, caught := servers[0].Faults.Count(about), servers[1].Faults.Count(about); honest == 0 || caught != 0 {
		t.Errorf("asked about addresses: the honest one %d times, the one in quarantine %d times", honest, caught)
	}

	if err := store.ClearQuarantine(t.Context(), "caught", "somebody", ""); err != nil {
		t.Fatal(err)
	}
	code, out = run("check")
	for _, want := range []string{"explorer caught  ok ", "2 answer, and can check each other", "Nothing is wrong; but no daemon runs, so nobody watches.\n"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("cleared: exit %d, %q is not in\n%s", code, want, out)
		}
	}
	if servers[1].Faults.Count(about) == 0 {
		t.Error("cleared, and asked about no address")
	}
}

// TestCheckReadsTheBlock: an explorer that serves a false block gives no blocks,
// and something is wrong.
func TestCheckReadsTheBlock(t *testing.T) {
	c := chaintest.NewChain()
	c.MineEmpty(3)
	server := chaintest.NewEsplora(c, c.Params())
	server.Faults.Set("/block/*/raw", chaintest.Fault{Rewrite: func(_ string, body []byte) []byte {
		body[len(body)-1] ^= 1 // the lock time of the coinbase
		return body
	}})
	url, stop := server.Serve()
	t.Cleanup(stop)
	file := filepath.Join(t.TempDir(), "config.toml")
	text := fmt.Sprintf("network = \"regtest\"\n[database]\nurl = %q\n[explorers.a]\nkind = \"esplora\"\nurl = %q\nrequests_per_second = 0\n[channels.screen]\nkind = \"stdout\"\n", sqltest.Migrated(t), url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := sit("")
	code := p.types("--config", file, "check")
	out := p.out.String()
	for _, want := range []string{"explorer a     wrong ", "did not give blocks: lying: block 1 of a", "merkle root", "  explorer a: what it says there is false"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is not in\n%s", code, want, out)
		}
	}
}
