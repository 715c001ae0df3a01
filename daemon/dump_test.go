package daemon

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// dump is every row of every table as a line, comparable between runs on copies
// of one database: rows are named by what they stand for and not by their
// number, times of the run itself are only said to be of it, and what belongs to
// a life and not to the record is left out, such as whom it asked how often. Which of the explorers served a block is
// chance, and so is whether another one has anything to add: who else said the
// same, and commits that hold no more than that, are left out too.
func (s *scene) dump(w *world) []string {
	w.t.Helper()
	d := &dumper{world: w, made: s.made, names: map[string]map[float64]string{}}
	for _, of := range []struct{ column, query string }{
		{"tx_id", `SELECT id, btcwatch.display(txid) FROM btcwatch.tx`},
		{"script_id", `SELECT id, encode(script, 'hex') FROM btcwatch.script`},
		{"block_id", `SELECT id, btcwatch.display(hash) FROM btcwatch.block`},
		{"explorer_id", `SELECT id, 'an explorer' FROM btcwatch.explorer`},
	} {
		d.names[of.column] = d.naming(of.query)
	}
	d.names["root_tx_id"], d.names["first_seen_by"] = d.names["tx_id"], d.names["explorer_id"]
	var parts []string
	for _, table := range w.lines(`SELECT tablename::text FROM pg_tables WHERE schemaname = 'btcwatch'`) {
		if !slices.Contains([]string{"goose_db_version", "explorer_now", "job_run", "disclosure", "hearer"}, table) {
			parts = append(parts, fmt.Sprintf(`SELECT '%[1]s ' || to_jsonb(t)::text FROM btcwatch.%[1]s t`, table))
		}
	}
	var all []string
	for _, line := range w.lines(strings.Join(parts, " UNION ALL ")) {
		table, row, _ := strings.Cut(line, " ")
		line = table + " " + d.row(table, row)
		if table == "observation" && slices.Contains(all, line) || strings.HasPrefix(line, "journal ") && strings.Contains(line, `"kind":"transactions"`) {
			continue
		}
		all = append(all, line)
	}
	return append(all, "alerts in this order: "+strings.Join(w.lines(`SELECT encode(id, 'hex') FROM btcwatch.alert ORDER BY seq`), " "),
		"commits in this order: "+strings.Join(w.lines(`SELECT kind FROM btcwatch.journal WHERE kind <> 'transactions' ORDER BY seq`), " "))
}

type dumper struct {
	*world
	made  time.Time
	names map[string]map[float64]string // by column, by number
}

func (d *dumper) naming(query string) map[float64]string {
	d.t.Helper()
	found, err := d.conn().Query(d.t.Context(), query)
	if err != nil {
		d.t.Fatal(err)
	}
	defer found.Close()
	all := map[float64]string{}
	for found.Next() {
		var id int64
		var name string
		if err := found.Scan(&id, &name); err != nil {
			d.t.Fatal(err)
		}
		all[float64(id)] = name
	}
	return all
}

// lives are columns that tell of the daemon that wrote a row, or of how often
// it tried.
var lives = regexp.MustCompile(`^(seq|epoch|lease|leased_until|claimed_by|next_at|attempts|digest|late_seconds)$`)

// lateness is how late a run came to a block.
var lateness = regexp.MustCompile(`"(late_seconds|late_confirmation|behind_since)":[^,}]*,?|; found (in its block )?late, [^"]*`)

func (d *dumper) row(table, text string) string {
	var row map[string]any
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		d.t.Fatal(err)
	}
	for column, value := range row {
		number, isNumber := value.(float64)
		words, isText := value.(string)
		switch {
		case lives.MatchString(column), column == "id" && isNumber:
			delete(row, column)
		case isNumber && d.names[column] != nil:
			row[column] = d.names[column][number]
		case table == "alert" && column == "body":
			body, err := hex.DecodeString(strings.TrimPrefix(words, `\x`))
			if err != nil {
				d.t.Fatal(err)
			}
			row[column] = d.timeless(lateness.ReplaceAllString(servers.ReplaceAllString(string(body), ""), ""))
		case isText && !strings.HasPrefix(words, `\x`): // bytes hold no times
			row[column] = d.timeless(words)
		}
	}
	line, err := json.Marshal(row)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(line)
}

// servers are the explorers of whom an alert says that they said so.
var servers = regexp.MustCompile(`"(reported_by|stated_by)":\[[^]]*\],?`)

// moments are times as Postgres, alerts and people write them.
var moments = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00| UTC)`)

// timeless replaces times of the run.
func (d *dumper) timeless(text string) string {
	return moments.ReplaceAllStringFunc(text, func(text string) string {
		plain := strings.NewReplacer(" UTC", "Z", "+00:00", "Z", " ", "T").Replace(text)
		at, err := time.Parse(time.RFC3339, plain)
		if err != nil {
			d.t.Fatal(fmt.Errorf("%s: %w", text, err))
		}
		if at.Before(d.made.Truncate(time.Second)) {
			return text
		}
		return "in this run"
	})
}
