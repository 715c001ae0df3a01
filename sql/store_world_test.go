package sql_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// factTables are those that only ever grow.
func factTables() []string {
	return []string{
		"script", "import", "import_told", "listing", "joined", "explorer", "block", "block_event", "tx", "tx_bytes",
		"tx_input", "tx_output", "stated_output", "placement", "observation", "tx_event", "touch", "movement", "coverage",
		"gap", "outage", "outage_end", "replacement", "thread_root", "alert", "staff_action", "journal", "start",
		"delivery_retry", "branch", "coinbase", "ancestor", "start_checked", "debit_amount", "debit_refuted", "past_branch", "absence",
		"quarantine", "quarantine_end",
		"stated_also", "disagreement", "disagreement_end", "rule_window",
		"fiat", "rate", "held", "list_read", "list_failure", "import_past_told",
	}
}

// bench is a store on a database of its own, led by one writer, in which every
// attempt to change or delete a fact fails.
type bench struct {
	*testing.T
	url    string
	conn   *pgx.Conn
	store  *sql.Store
	lead   *sql.Lead
	writer *sql.Writer
}

func regtest() *chaincfg.Params { return &chaincfg.RegressionNetParams }

func newBench(t *testing.T, tell sql.Telling) *bench {
	t.Helper()
	b := &bench{T: t, url: sqltest.Migrated(t)}
	var err error
	if b.conn, err = pgx.Connect(t.Context(), b.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.conn.Close(context.Background()) })
	b.exec(`
		CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			RAISE EXCEPTION '% of a fact in %', TG_OP, TG_TABLE_NAME;
		END $$`)
	for _, table := range factTables() {
		b.exec(`CREATE TRIGGER facts_stay BEFORE UPDATE OR DELETE ON btcwatch.` + table + ` FOR EACH ROW EXECUTE FUNCTION public.refuse()`)
		b.exec(`CREATE TRIGGER facts_stay_all BEFORE TRUNCATE ON btcwatch.` + table + ` EXECUTE FUNCTION public.refuse()`)
	}
	if b.store, err = sql.Open(t.Context(), b.url, regtest(), quiet()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.store.Close)
	if b.lead, err = b.store.TakeLead(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.lead.Release(context.Background()) })
	b.writer = b.store.Writer(b.lead, tell, nil)
	return b
}

func (b *bench) exec(statement string, args ...any) {
	b.Helper()
	if _, err := b.conn.Exec(b.Context(), statement, args...); err != nil {
		b.Fatalf("%s: %v", statement, err)
	}
}

// lines gives a query of one text column, sorted.
func (b *bench) lines(query string, args ...any) []string {
	b.Helper()
	found, err := b.conn.Query(b.Context(), query, args...)
	if err != nil {
		b.Fatal(query, err)
	}
	lines, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		b.Fatal(query, err)
	}
	slices.Sort(lines)
	return lines
}

func (b *bench) count(query string, args ...any) (n int64) {
	b.Helper()
	if err := b.conn.QueryRow(b.Context(), query, args...).Scan(&n); err != nil {
		b.Fatal(query, err)
	}
	return n
}

// dump is every row of every table with the transaction that wrote it and the
// place where it lies: no write, be it of the same values, leaves it the same.
func (b *bench) dump() string {
	b.Helper()
	var all strings.Builder
	for _, table := range b.lines(`SELECT tablename::text FROM pg_tables WHERE schemaname = 'btcwatch'`) {
		query := `SELECT count(*) || ' ' || coalesce(md5(string_agg(t.ctid::text || t.xmin::text || t::text, ',' ORDER BY t.ctid)), '') FROM btcwatch.` + table + ` t`
		fmt.Fprintln(&all, table, b.lines(query)[0])
	}
	return all.String()
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// begin starts following above the chain's block at a height.
func (b *bench) begin(c *chaintest.Chain, height int32) {
	b.Helper()
	b.must(b.writer.SetStart(b.Context(), sql.Start{Height: height + 1, Parent: c.BlockAt(height).BlockHash(), RestsOn: "a test", Proves: true}))
}

func (b *bench) position() sql.Position {
	b.Helper()
	p, err := b.store.Position(b.Context())
	b.must(err)
	return p
}

// next verifies the chain's block after the position.
func (b *bench) next(c *chaintest.Chain) *chain.Block {
	b.Helper()
	p := b.position()
	msg := c.BlockAt(p.Height + 1)
	var raw bytes.Buffer
	_ = msg.Serialize(&raw)
	block, err := chain.VerifyBlock(raw.Bytes(), msg.BlockHash(), p.Tip(), regtest(), msg.Header.Timestamp)
	b.must(err)
	return block
}

// follow records the chain's blocks up to its tip, with nothing but them.
func (b *bench) follow(c *chaintest.Chain) {
	b.Helper()
	for tip, _ := c.Tip(); b.position().Height < tip; {
		_, err := b.writer.RecordBlock(b.Context(), b.next(c), "alpha", nil)
		b.must(err)
	}
}

func (b *bench) watch(l watchlist.Listing) {
	b.Helper()
	_, err := b.store.Watch(b.Context(), l, "tester")
	b.must(err)
}

func (b *bench) report(explorer string, txs ...*chain.Transaction) sql.Recorded {
	b.Helper()
	r, err := b.writer.Record(b.Context(), explorer, txs)
	b.must(err)
	return r
}

func (b *bench) question(a chain.Address) *sql.Question {
	b.Helper()
	all, err := b.store.Questions(b.Context())
	b.must(err)
	for _, q := range all {
		if q.Address.Text == a.Text {
			return q
		}
	}
	return nil
}

func listing(a chain.Address) watchlist.Listing {
	return watchlist.Listing{Address: a, List: "command", Label: "of " + a.Text[:6], Basis: watchlist.Press}
}

func pressed(a chain.Address) watchlist.Listing {
	l := listing(a)
	l.Source.Title = "a title"
	return l
}

// address makes the regtest address of a P2PKH or P2WPKH script that nobody
// has a key for.
func address(n byte) chain.Address {
	hash := bytes.Repeat([]byte{n}, 20)
	script := slices.Concat([]byte{0x76, 0xa9, 0x14}, hash, []byte{0x88, 0xac})
	if n%2 == 0 {
		script = slices.Concat([]byte{0x00, 0x14}, hash)
	}
	a, ok := chain.AddressOf(script, regtest())
	if !ok {
		panic("no address")
	}
	return a
}

// transaction spends the outpoints and pays the outputs.
func transaction(salt uint32, spends []wire.OutPoint, outs ...*wire.TxOut) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.LockTime = salt
	for _, at := range spends {
		tx.AddTxIn(wire.NewTxIn(&at, nil, nil))
	}
	for _, out := range outs {
		tx.AddTxOut(out)
	}
	return tx
}

func stranger(n byte) wire.OutPoint { return wire.OutPoint{Hash: chainhash.Hash{0xee, n}} }

func seen(tx *wire.MsgTx, spent ...*wire.TxOut) *chain.Transaction {
	if len(spent) == 0 {
		spent = make([]*wire.TxOut, len(tx.TxIn))
	}
	return &chain.Transaction{ID: tx.TxHash(), Msg: tx, Spent: spent}
}

// confirmed is a transaction as an explorer shows it in a block of the chain.
func confirmed(tx *wire.MsgTx, c *chaintest.Chain, height int32, spent ...*wire.TxOut) *chain.Transaction {
	t := seen(tx, spent...)
	block := c.BlockAt(height)
	t.Place = &chain.Place{Height: height, Block: block.BlockHash(), Time: block.Header.Timestamp.UTC(), Index: -1}
	return t
}

func telling() sql.Telling {
	return sql.Telling{
		Confirmations: []int32{1, 3},
		Channels:      []alerts.Settings{{Name: "desk"}, {Name: "log"}},
	}
}

// dice is a random source that says its seed when the test fails.
func dice(t *testing.T, seed uint64) *rand.Rand {
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 42))
}

func unix(t time.Time) string { return fmt.Sprint(t.Unix()) }
