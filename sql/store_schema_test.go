package sql_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"btcwatch/sql/sqltest"
)

// The columns that the design promises to analysts, with their types.
func TestReportViews(t *testing.T) {
	promised := map[string]string{
		"addresses": "address text, label text, entity text, category text, basis text, list text, added_at timestamptz, retired_at timestamptz",
		"transactions": "address text, txid text, direction text, amount_sat bigint, amount_btc numeric, fee_sat bigint, state text, proof text, " +
			"confirmations integer, block_height integer, block_hash text, block_time timestamptz, first_seen_at timestamptz, first_seen_by text, recorded_at timestamptz",
		"movements":      "address text, txid text, direction text, index integer, amount_sat bigint, amount_btc numeric, block_height integer, block_time timestamptz",
		"balances":       "address text, balance_sat bigint, balance_btc numeric, received_sat bigint, sent_sat bigint, unconfirmed_sat bigint, tx_count bigint, last_activity_at timestamptz",
		"counterparties": "address text, counterparty text, direction text, amount_sat bigint, amount_btc numeric, tx_count bigint, first_at timestamptz, last_at timestamptz",
		"alerts": "id text, type text, severity text, address text, txid text, amount_sat bigint, proof text, opened_at timestamptz, state text, " +
			"disposition text, closed_at timestamptz, closed_by text",
		"deliveries": "alert_id text, channel text, state text, attempts integer, last_error text, delivered_at timestamptz",
		"coverage":   "address text, from_height integer, to_height integer, grade text, from_time timestamptz, to_time timestamptz",
		"gaps":       "address text, kind text, from_height integer, to_height integer, from_time timestamptz, to_time timestamptz, reason text",
		"explorers":  "name text, kind text, operator text, state text, tip_height integer, last_success_at timestamptz, last_error text",
	}
	b := newBench(t, telling())
	for view, columns := range promised {
		there := b.lines(`
			SELECT column_name || ' ' || replace(data_type, 'timestamp with time zone', 'timestamptz')
			FROM information_schema.columns
			WHERE table_schema = 'report' AND table_name = $1`, view)
		for column := range strings.SplitSeq(columns, ", ") {
			if !slices.Contains(there, column) {
				t.Errorf("report.%s lacks %s; it has %q", view, column, there)
			}
		}
	}
	for _, view := range b.lines(`SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'report'::regnamespace AND obj_description(c.oid) IS NULL`) {
		t.Errorf("report.%s has no comment", view)
	}
}

// Down takes away what Up made, and Up makes it again.
func TestMigrationsDownAndUp(t *testing.T) {
	url := sqltest.Migrated(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	steps, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"),
		goose.WithTableName("btcwatch.schema_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	const inventory = `
		SELECT string_agg(x.line, chr(10) ORDER BY x.line)
		FROM (
		    SELECT n.nspname || '.' || c.relname || ' ' || c.relkind::text || ' ' || coalesce(obj_description(c.oid), '') AS line
		    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		    WHERE n.nspname IN ('btcwatch', 'report') AND c.relname NOT LIKE 'schema_version%'
		    UNION ALL
		    SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'btcwatch'::regnamespace
		) x`
	before := query(t, url, inventory)
	if _, err := steps.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if left := query(t, url, "coalesce(("+inventory+"), '')"); left != "" {
		t.Errorf("Down leaves\n%s", left)
	}
	if _, err := steps.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := query(t, url, inventory); after != before {
		t.Errorf("Up after Down makes\n%s, not\n%s", after, before)
	}
}

// dangling finds the rows that point to nothing: the largest tables have no
// foreign keys.
func (b *bench) dangling() {
	b.Helper()
	for _, link := range [][3]string{
		{"tx_input", "tx_id", "tx"}, {"tx_output", "tx_id", "tx"}, {"tx_output", "script_id", "script"},
		{"stated_output", "script_id", "script"}, {"stated_output", "explorer_id", "explorer"},
		{"observation", "tx_id", "tx"}, {"observation", "explorer_id", "explorer"}, {"tx_event", "tx_id", "tx"},
		{"tx_now", "tx_id", "tx"}, {"tx_now", "first_seen_by", "explorer"}, {"touch", "tx_id", "tx"}, {"touch", "script_id", "script"},
		{"movement", "tx_id", "tx"}, {"movement", "script_id", "script"}, {"pending", "tx_id", "tx"}, {"pending", "script_id", "script"},
		{"placement", "tx_id", "tx"}, {"placement", "block_id", "block"},
	} {
		if n := b.count(fmt.Sprintf(`
			SELECT count(*) FROM btcwatch.%[1]s x
			WHERE x.%[2]s IS NOT NULL AND NOT EXISTS (SELECT FROM btcwatch.%[3]s y WHERE y.id = x.%[2]s)`, link[0], link[1], link[2])); n > 0 {
			b.Errorf("%d rows of %s point to no %s", n, link[0], link[2])
		}
	}
	for _, whole := range []string{
		`SELECT count(*) FROM btcwatch.tx t WHERE NOT EXISTS (SELECT FROM btcwatch.tx_output o WHERE o.tx_id = t.id)`,
		`SELECT count(*) FROM btcwatch.tx t WHERE NOT EXISTS (SELECT FROM btcwatch.tx_input i WHERE i.tx_id = t.id)`,
		`SELECT count(*) FROM btcwatch.tx t WHERE NOT EXISTS (SELECT FROM btcwatch.observation o WHERE o.tx_id = t.id)`,
		`SELECT count(*) FROM btcwatch.placement p WHERE NOT EXISTS (SELECT FROM btcwatch.branch m WHERE m.block_id = p.block_id AND m.tx_id = p.tx_id)`,
		`SELECT count(*) FROM btcwatch.placement p WHERE NOT EXISTS (SELECT FROM btcwatch.coinbase c WHERE c.block_id = p.block_id)`,
		`SELECT count(*) FROM btcwatch.tx t WHERE sha256(sha256(t.raw)) <> t.txid AND get_byte(t.raw, 4) <> 0`,
		`SELECT count(*) FROM btcwatch.tx_now n JOIN LATERAL (SELECT * FROM btcwatch.tx_event e WHERE e.tx_id = n.tx_id ORDER BY e.id DESC LIMIT 1) e ON true
		 WHERE (e.turn, e.state, e.proof) <> (n.turn, n.state, n.proof) OR e.block_hash IS DISTINCT FROM n.block_hash`,
	} {
		if n := b.count(whole); n > 0 {
			b.Errorf("%d rows: %s", n, whole)
		}
	}
}
