package cli_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"btcwatch/chain/chaintest"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// TestPersonIsAskedWhatToFollow: what is about to happen is said, and only yes
// makes it happen.
func TestPersonIsAskedWhatToFollow(t *testing.T) {
	c := chaintest.NewChain()
	c.MineEmpty(20)
	url, stop := chaintest.NewEsplora(c, c.Params()).Serve()
	t.Cleanup(stop)
	database := sqltest.Migrated(t)
	store, err := sql.Open(t.Context(), database, c.Params(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	lead, err := store.TakeLead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start := sql.Start{Height: 5, Parent: c.BlockAt(4).BlockHash(), RestsOn: "a test", Proves: true}
	if err := store.Writer(lead, sql.Telling{}, nil).SetStart(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	lead.Release(t.Context())
	file := filepath.Join(t.TempDir(), "config.toml")
	text := fmt.Sprintf("network = \"regtest\"\n[database]\nurl = %q\n[explorers.a]\nkind = \"esplora\"\nurl = %q\nrequests_per_second = 0\n[channels.screen]\nkind = \"stdout\"\n", database, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	from := fmt.Sprintf("10:%s", c.BlockAt(10).BlockHash())
	for _, turn := range []struct {
		typed        string
		code         int
		height       int32
		says, prints string
	}{
		{"no\n", 1, 4, "Nothing is changed.", ""},
		{"", 1, 4, "Nothing is changed.", ""},
		{"yes\n", 0, 9, "Blocks 5 to 9 are not covered", "Following goes on with block 10. Start the daemon"},
		{"", 0, 9, "", "is followed already"},
	} {
		p := sit(turn.typed)
		code := p.types("--config", file, "follow", "--from", from, "--reason", "a reason")
		if code != turn.code || !strings.Contains(p.err.String(), turn.says) || !strings.Contains(p.out.String(), turn.prints) {
			t.Errorf("typed %q: exit code %d, said %q, printed %q", turn.typed, code, &p.err, &p.out)
		}
		if position, err := store.Position(t.Context()); err != nil || position.Height != turn.height {
			t.Errorf("typed %q: the position is %+v, %v", turn.typed, position, err)
		}
	}
}
