package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"btcwatch/chain/chaintest/recorded"
	"btcwatch/cli"
	"btcwatch/sql/sqltest"
)

// person is somebody at a terminal, and what they see.
type person struct {
	cli.Terminal
	out, err bytes.Buffer
}

func sit(typed string) *person {
	p := &person{}
	p.Terminal = cli.Terminal{
		In: strings.NewReader(typed), Out: &p.out, Err: &p.err,
		InIsTerminal: true, ErrIsTerminal: true, Getenv: os.Getenv, Now: time.Now,
	}
	return p
}

func (p *person) types(args ...string) int { return cli.Main(args, "1.2.3", p.Terminal) }

// TestArticle reads the recorded article: its two addresses and nothing else,
// not even a near miss.
func TestArticle(t *testing.T) {
	p := sit("")
	if code := p.types("extract", "--json", recorded.Path(t, "article.txt")); code != 0 {
		t.Fatalf("exit code %d: %s", code, &p.err)
	}
	var found []string
	for line := range strings.Lines(p.out.String()) {
		var row struct{ Address, Kind string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		found = append(found, row.Address+" "+row.Kind)
	}
	want := "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG P2SH, 12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk P2PKH"
	if got := strings.Join(found, ", "); got != want {
		t.Errorf("found %s", got)
	}
	if want := "2 addresses of mainnet, 0 near misses.\n"; p.err.String() != want {
		t.Errorf("summed up as %q", &p.err)
	}
}

const asked = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

// TestPersonIsAsked adds an address at a terminal, without flags.
func TestPersonIsAsked(t *testing.T) {
	config := configure(t)
	p := sit("The label\nThe title\nThe author\n\n2020\n\npress\n")
	if code := p.types("--config", config, "watch", "add", asked); code != 0 {
		t.Fatalf("exit code %d: %s", code, &p.err)
	}
	if !strings.Contains(p.err.String(), "Title of the source: ") {
		t.Errorf("asked %q", &p.err)
	}
	look := sit("")
	if code := look.types("--config", config, "sql", "--", "-At", "-c", "SELECT 1"); code != 0 {
		t.Fatalf("exit code %d: %s", code, &look.err)
	}
	look = sit("")
	code := look.types("--config", config, "sql", "--", "-Atc",
		"SELECT label, source_title, source_author, source_publisher, source_date, source_url, basis FROM addresses")
	if got := strings.TrimSpace(look.out.String()); code != 0 || got != "The label|The title|The author||2020||press" {
		t.Errorf("exit code %d, recorded %q", code, got)
	}
}

// TestPersonNamesNothing must not end with a listing nobody vouches for.
func TestPersonNamesNothing(t *testing.T) {
	for typed, want := range map[string]int{
		"\n\n\n\n\n\npress\n":    2, // no source
		"\nA title\n\n\n\n\n\n":  0, // the basis is not known
		"\nA title\n\n\n\n\nx\n": 2, // no such basis
		"\nA title":              1, // went away
	} {
		p := sit(typed)
		if code := p.types("--config", configure(t), "watch", "add", asked); code != want {
			t.Errorf("typed %q: exit code %d, not %d: %s", typed, code, want, &p.err)
		}
	}
}

func configure(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	text := `network = "regtest"
data_dir = "` + t.TempDir() + `"
[database]
url = "` + sqltest.Migrated(t) + `"
[explorers.a]
kind = "esplora"
url = "http://127.0.0.1:9"
[channels.screen]
kind = "stdout"
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
