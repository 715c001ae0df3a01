package cli_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// followed is an installation that follows a chain of 20 blocks from block 5 on,
// and has covered none.
func followed(t *testing.T) (c *chaintest.Chain, store *sql.Store, file string) {
	t.Helper()
	c = chaintest.NewChain()
	c.MineEmpty(20)
	url, stop := chaintest.NewEsplora(c, c.Params()).Serve()
	t.Cleanup(stop)
	database := sqltest.Migrated(t)
	store, err := sql.Open(t.Context(), database, c.Params(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	start := sql.Start{Height: 5, Parent: c.BlockAt(4).BlockHash(), RestsOn: "a test", Proves: true}
	leading(t, store, func(w *sql.Writer) error { return w.SetStart(t.Context(), start) })
	file = filepath.Join(t.TempDir(), "config.toml")
	text := fmt.Sprintf("network = \"regtest\"\n[database]\nurl = %q\n[explorers.a]\nkind = \"esplora\"\nurl = %q\nrequests_per_second = 0\n[channels.screen]\nkind = \"stdout\"\n", database, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, store, file
}

// leading records something as the daemon that leads.
func leading(t *testing.T, store *sql.Store, record func(*sql.Writer) error) {
	t.Helper()
	lead, err := store.TakeLead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lead.Release(t.Context())
	if err := record(store.Writer(lead, sql.Telling{}, nil)); err != nil {
		t.Fatal(err)
	}
}

// TestPersonIsAskedWhatToFollow: what is about to happen is said, and only yes
// makes it happen.
func TestPersonIsAskedWhatToFollow(t *testing.T) {
	c, store, file := followed(t)
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

// thinking is somebody who types yes each time that they are asked, after
// something else has happened.
type thinking func()

func (meanwhile thinking) Read(p []byte) (int, error) {
	meanwhile()
	return copy(p, "yes\n"), nil
}

// TestChainMovesWhileAPersonThinks: what was covered meanwhile of the same chain
// stays covered, since the block is traced anew; where that happens each time,
// nothing is done.
func TestChainMovesWhileAPersonThinks(t *testing.T) {
	for moves, want := range map[int]struct {
		code   int
		height int32
		gap    string
		says   string
	}{
		0:  {0, 18, "5 18", "Blocks 5 to 18 are not covered"},
		2:  {0, 18, "7 18", "What is covered up to block 6 stays"},
		10: {1, 14, "", "stop the daemon"},
	} {
		t.Run(fmt.Sprint(moves), func(t *testing.T) {
			c, store, file := followed(t)
			asked := 0
			p := sit("")
			p.In = thinking(func() {
				if asked++; asked <= moves {
					leading(t, store, func(w *sql.Writer) error { return cover(t, store, w, c) })
				}
			})
			from := fmt.Sprintf("19:%s", c.BlockAt(19).BlockHash())
			code := p.types("--config", file, "follow", "--from", from, "--reason", "a reason")
			if code != want.code || !strings.Contains(p.err.String(), want.says) || asked != min(moves+1, 10) {
				t.Errorf("exit code %d, asked %d times, said %q", code, asked, &p.err)
			}
			if position, err := store.Position(t.Context()); err != nil || position.Height != want.height {
				t.Errorf("the position is %+v, %v", position, err)
			}
			look := sit("")
			code = look.types("--config", file, "sql", "--", "-Atc", "SELECT concat_ws(' ', from_height, to_height) FROM gaps WHERE kind = 'blocks'")
			if got := strings.TrimSpace(look.out.String()); code != 0 || got != want.gap {
				t.Errorf("exit code %d, not covered are %q, and not %q", code, got, want.gap)
			}
		})
	}
}

// cover records the chain's next block.
func cover(t *testing.T, store *sql.Store, w *sql.Writer, c *chaintest.Chain) error {
	position, err := store.Position(t.Context())
	if err != nil {
		return err
	}
	next := c.BlockAt(position.Height + 1)
	var raw bytes.Buffer
	_ = next.Serialize(&raw) // a bytes.Buffer takes everything
	block, err := chain.VerifyBlock(raw.Bytes(), next.BlockHash(), position.Tip(), c.Params(), time.Now())
	if err != nil {
		return err
	}
	_, err = w.RecordBlock(t.Context(), block, "a", nil)
	return err
}
