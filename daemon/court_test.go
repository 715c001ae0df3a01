package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// court is an installation with three explorers of different software and
// different operators over one chain, whose jobs the test runs by hand and whose
// clock it moves: a poll is a round of each job, half a minute after the last.
type court struct {
	*world
	l      *leader
	ledger *chaintest.Chain
	wallet *chaintest.Wallet
	a, b   chain.Address // watched from the beginning
	late   chain.Address // paid before the watch; listed while they lie

	witnesses []*witness
	at        time.Time
	jobs      []func(context.Context) error
	polled    int
	forged    map[string]*wire.MsgTx // by what it is for

	replayed   *model // what the chain said last,
	replayedAt string // and where it stood then
}

// witness is one explorer, which can be made to lie.
type witness struct {
	name, kind string
	faults     *chaintest.Faults
	follow     func(chaintest.Source)
	freeze     func()
	thaw       func()
	handler    http.Handler // nil: it speaks no HTTP
}

const (
	pollPause   = 30 * time.Second
	courtJoined = 114 // the tip when the watch begins
)

// witnessKinds are three kinds whose software has no common ancestor.
var witnessKinds = []string{"esplora", "electrum", "blockbook"}

func newCourt(t *testing.T) *court {
	t.Helper()
	s := &court{ledger: chaintest.NewChain(), at: time.Now(), forged: map[string]*wire.MsgTx{}}
	began := time.Now().Add(-24 * time.Hour)
	s.ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * 10 * time.Minute) }
	s.ledger.MineEmpty(110)
	s.wallet = chaintest.NewWallet(s.ledger, "")
	s.a, s.b, s.late = s.wallet.Address(chain.P2WPKH, 1), s.wallet.Address(chain.P2PKH, 2), s.wallet.Address(chain.P2TR, 3)
	s.world = &world{t: t, config: testConfig(sqltest.Migrated(t)), log: &syncBuffer{}, stop: func() {}}
	s.world.config.Health = HealthSettings{FailingAfter: 2 * time.Minute, BlindAfter: 2 * time.Minute,
		Quarantine: 3 * time.Minute, DisagreeAfter: time.Minute}
	s.world.config.Alerts.DroppedAfter = time.Minute
	s.payBefore()
	for _, kind := range witnessKinds {
		s.testify(kind)
	}
	s.watch(s.a, "label")
	s.watch(s.b, "another")
	s.lead()
	if !s.settled(20) {
		t.Fatalf("honest explorers do not lead to the truth: %s\n%s", s.differs(), s.log)
	}
	return s
}

// payBefore makes the chain from before the watch: each address is paid in two
// blocks, and one spends.
func (s *court) payBefore() {
	first := s.pay(31_000, s.a, s.b, s.late)
	s.pay(32_000, s.a)
	s.ledger.MineMempool()
	s.send(chaintest.Payment{Spend: outpoints(first, s.a.Script), NoChange: true,
		Outputs: []chaintest.Output{{Script: s.wallet.Address(chain.P2TR, 9).Script, Value: 30_000}}})
	s.pay(33_000, s.a, s.b, s.late)
	s.ledger.MineMempool()
	s.pay(34_000, s.b)
	s.pay(35_000, s.late)
	s.ledger.MineMempool()
	s.ledger.MineEmpty(1)
}

func (s *court) pay(amount int64, to ...chain.Address) *wire.MsgTx {
	var p chaintest.Payment
	for _, a := range to {
		p.Outputs = append(p.Outputs, chaintest.Output{Script: a.Script, Value: amount})
	}
	return s.send(p)
}

func (s *court) send(p chaintest.Payment) *wire.MsgTx {
	s.world.t.Helper()
	return must(s.wallet.Send(s.world.t.Context(), p))
}

// forge gives a payment that never was: signed, and known to no honest explorer.
// Who asks for the same again gets the same.
func (s *court) forge(what string, amount int64, to ...chain.Address) *wire.MsgTx {
	s.world.t.Helper()
	if s.forged[what] == nil {
		tx := wire.NewMsgTx(2)
		seed := chainhash.HashH([]byte(what))
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: seed}, []byte{0x51}, nil))
		for _, a := range to {
			tx.AddTxOut(wire.NewTxOut(amount, a.Script))
		}
		s.forged[what] = tx
	}
	return s.forged[what]
}

// testify adds an explorer of a kind, with an operator of its own.
func (s *court) testify(kind string) {
	w := &witness{name: kind, kind: kind}
	params := s.world.config.Network
	var server interface{ Serve() (string, func()) }
	switch kind {
	case "electrum":
		e := chaintest.NewElectrum(s.ledger, params)
		server, w.faults, w.follow, w.freeze, w.thaw = e, e.Faults, e.Follow, e.Freeze, e.Thaw
	case "blockbook":
		e := chaintest.NewBlockbook(s.ledger, params)
		w.handler = e
		server, w.faults, w.follow, w.freeze, w.thaw = e, e.Faults, e.Follow, e.Freeze, e.Thaw
	default:
		e := chaintest.NewEsplora(s.ledger, params)
		e.Flavour = chaintest.BlockstreamElectrs
		w.handler = e
		server, w.faults, w.follow, w.freeze, w.thaw = e, e.Faults, e.Follow, e.Freeze, e.Thaw
	}
	url, stop := server.Serve()
	s.world.t.Cleanup(stop)
	s.witnesses = append(s.witnesses, w)
	s.world.config.Explorers = append(s.world.config.Explorers, explorer.Settings{
		Name: kind, Kind: kind, URL: url, Operator: "operator " + kind, Timeout: 2 * time.Second})
}

// lead makes the leader, and the jobs of which a poll is made.
func (s *court) lead() {
	t, ctx := s.world.t, s.world.t.Context()
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config, now := s.world.config, func() time.Time { return s.at }
	d := &daemon{Program: Program{Version: "test", Log: log, Now: now, Notify: func(string) {}}, pulse: newPulse(now)}
	d.store = must(sql.Open(ctx, config.DatabaseURL, config.Network, log))
	t.Cleanup(d.store.Close)
	w := must(newWatch(d, config))
	t.Cleanup(w.close)
	held := must(d.store.TakeLead(ctx))
	t.Cleanup(func() { held.Release(context.Background()) })
	writer := d.store.Writer(held, sql.Telling{Confirmations: config.Alerts.Confirmations, Channels: config.Channels}, w.wakeAll)
	l := &leader{watch: w, writer: writer, health: w.resumeHealth(writer), short: newShortfall(), hold: newHold(d.store, holdPause(config), now)}
	l.ancestors, l.mempool = l.newAncestors(), l.asker("mempool")
	l.mempool.until = func(began time.Time) time.Time { return began.Add(pollPause) }
	if err := l.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	s.l = l
	s.jobs = []func(context.Context) error{
		l.follower().round, l.mempool.mempoolRound, l.asker("fill").fillRound, newPast(l.asker("past"), config.Network).round,
		newMissing(l.asker("missing"), config.Alerts.DroppedAfter).round, l.ancestors.round, l.tellList,
		newSecond(l.asker("second")).round, newAgreement(l.witnesses("agree"), l.mempool, config.Health.DisagreeAfter).round,
		(&prober{l.witnesses("probe"), config.Network, probePause(config.Health.Quarantine)}).round, l.health.judge,
	}
}

// poll is one round of each job. That a round fails is what lies bring about;
// that it fails for anything else is a fault.
func (s *court) poll() {
	s.world.t.Helper()
	s.at = s.at.Add(pollPause)
	s.polled++
	for _, job := range s.jobs {
		err := guarded(func() error { return job(s.world.t.Context()) })()
		if errors.Is(err, errDatabase) || err != nil && strings.Contains(err.Error(), "panic") {
			s.world.t.Errorf("a round: %v", err)
		}
		if err != nil {
			s.l.Log.Info("round failed", "error", err)
		}
	}
}

// mine puts what waits into a block; with the coinbase that makes an odd number
// of transactions.
func (s *court) mine() { s.ledger.MineMempool() }

// news is what happens between two polls: a block with the payments that waited,
// and two new ones that wait.
func (s *court) news(n int) {
	s.mine()
	s.pay(int64(50_000+n), s.a, s.b)
	s.pay(int64(60_000+n), s.b)
}

// truth is what the chain says, read anew when it has moved.
func (s *court) truth() *model {
	watched := []chain.Address{s.a, s.b}
	if len(s.world.config.Watch) == 3 {
		watched = append(watched, s.late)
	}
	pool := must(s.ledger.Mempool(s.world.t.Context()))
	_, tip := s.ledger.Tip()
	seen := fmt.Sprint(tip.BlockHash(), len(pool), len(watched)) // between two blocks payments only come
	if s.replayed == nil || s.replayedAt != seen {
		s.replayed, s.replayedAt = replay(s.world.t, s.ledger, courtJoined, watched...), seen
	}
	m := *s.replayed
	m.movements, m.balances, m.transactions = slices.Clone(m.movements), slices.Clone(m.balances), slices.Clone(m.transactions)
	return &m
}

// confirmedTruth holds what is recorded as proven against what the chain
// confirms, byte for byte.
func (s *court) confirmedTruth() string {
	s.world.t.Helper()
	return unlike(s.confirmed(), s.lines(transactionLines+` WHERE proof = 'proven'`))
}

// feelessTruth is confirmedTruth without the fees, of which a block does not show
// all that they are made of.
func (s *court) feelessTruth() string {
	s.world.t.Helper()
	want, got := s.confirmed(), s.lines(transactionLines+` WHERE proof = 'proven'`)
	for _, lines := range [][]string{want, got} {
		for i, line := range lines {
			parts := strings.Fields(line)
			lines[i] = strings.Join(slices.Delete(parts, 4, 5), " ")
		}
	}
	return unlike(want, got)
}

// ungradedTruth holds what is recorded as confirmed against that, where the past
// cannot be proven, whatever its grade.
func (s *court) ungradedTruth() string {
	s.world.t.Helper()
	got := s.lines(transactionLines + ` WHERE state = 'confirmed'`)
	for i, line := range got {
		got[i] = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(line, "reported"), "corroborated"), "proven") + "proven"
	}
	return unlike(s.confirmed(), got)
}

// confirmed gives the lines of what the chain confirms.
func (s *court) confirmed() []string {
	return slices.DeleteFunc(s.truth().transactions, func(line string) bool { return strings.Contains(line, " unconfirmed ") })
}

// differs says in what the record differs from the chain and its mempool.
func (s *court) differs() string {
	s.world.t.Helper()
	m := s.truth()
	return strings.Join(slices.DeleteFunc([]string{
		unlike(m.movements, s.lines(movementLines)),
		unlike(m.balances, s.lines(balanceLines)),
		unlike(m.transactions, ungraded(s.lines(transactionLines+` WHERE state IN ('confirmed', 'unconfirmed')`))),
	}, func(text string) bool { return text == "" }), "\n")
}

// ungraded takes what two explorers say of the unconfirmed for what one says.
func ungraded(lines []string) []string {
	for i, line := range lines {
		lines[i] = strings.Replace(line, " false corroborated", " false reported", 1)
	}
	return lines
}

func unlike(want, got []string) string {
	missing, extra := less(want, got), less(got, want)
	if len(missing)+len(extra) == 0 {
		return ""
	}
	return "missing:\n  " + strings.Join(missing, "\n  ") + "\n wrong:\n  " + strings.Join(extra, "\n  ")
}

// settled polls until the record is as the chain is.
func (s *court) settled(most int) bool {
	s.world.t.Helper()
	for range most {
		s.poll()
		if s.differs() == "" {
			return true
		}
	}
	return false
}

// mask is a source that shows another chain or mempool than the true one.
type mask struct {
	chaintest.Source
	tip   func(height int32, hash chainhash.Hash) (int32, chainhash.Hash)
	block func(height int32, b *wire.MsgBlock) // changes it under its true name
	pool  func(txs []*wire.MsgTx) []*wire.MsgTx
}

// Best is the tip that it shows.
func (m *mask) Best(ctx context.Context) (int32, chainhash.Hash, error) {
	height, hash, err := m.Source.Best(ctx)
	if err == nil && m.tip != nil {
		height, hash = m.tip(height, hash)
	}
	return height, hash, err
}

// RawBlock is a block as it shows it.
func (m *mask) RawBlock(ctx context.Context, hash chainhash.Hash) ([]byte, error) {
	raw, err := m.Source.RawBlock(ctx, hash)
	if err != nil || m.block == nil {
		return raw, err
	}
	var b wire.MsgBlock
	if err := b.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	height, err := blockchain.ExtractCoinbaseHeight(btcutil.NewTx(b.Transactions[0]))
	if err != nil {
		return raw, nil // the first block of all
	}
	m.block(height, &b)
	var changed bytes.Buffer
	err = b.Serialize(&changed)
	return changed.Bytes(), err
}

// Mempool is the mempool that it shows.
func (m *mask) Mempool(ctx context.Context) ([]*wire.MsgTx, error) {
	txs, err := m.Source.Mempool(ctx)
	if err == nil && m.pool != nil {
		txs = m.pool(txs)
	}
	return txs, err
}

// said gives what is said of each explorer now.
func (s *court) said() string {
	return fmt.Sprint(s.lines(`SELECT concat_ws(' ', name, state, last_error) FROM report.explorers ORDER BY name`))
}
