package daemon

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// The measure of the storm.
const (
	stormKills    = 300
	stormPayments = 1_000
	stormBlock    = 10 // payments in a block
	stormWatched  = 20
	longestLife   = 900 * time.Millisecond
)

// storm is the program under a storm of payments, with four channels for
// programs, one of which refuses everything while it lasts.
type storm struct {
	*world
	binary, conf  string
	ledger        *chaintest.Chain
	watched       []chain.Address
	paid          []string // address, txid and satoshis of each payment
	hook, refuser *receiver
	siem          *siem
}

// TestAStormOfKills: in a storm of 1,000 payments the program is killed 300 times,
// with SIGKILL, at moments that nobody chose, while one of four channels refuses
// all. In the end each payment is recorded and told once, each channel took every
// alert, and each repeat was the same to the byte.
func TestAStormOfKills(t *testing.T) {
	t.Parallel()
	s := newStorm(t)
	random := rand.New(rand.NewPCG(20, 8)) // the same waits each time
	met := map[string]bool{}               // how many alerts and deliveries there were at a kill
	for kill := range stormKills {
		if kill%(stormKills*stormBlock/stormPayments) == 0 {
			s.mine()
		}
		life := launch(t, s.binary, s.conf, s.log)
		time.Sleep(time.Duration(random.IntN(int(longestLife))))
		life.kill()
		met[s.ask(`SELECT concat_ws(' ', (SELECT count(*) FROM btcwatch.alert), (SELECT count(*) FROM btcwatch.delivery WHERE state = 'delivered'))`)] = true
	}
	s.refuser.ClearAll()
	life := launch(t, s.binary, s.conf, s.log)
	tip, _ := s.ledger.Tip()
	s.covered(tip)
	s.exec(`UPDATE btcwatch.delivery SET next_at = now() WHERE state = 'waiting'`) // the pauses between tries pass
	s.await("0", `SELECT count(*) FROM btcwatch.delivery WHERE state <> 'delivered'`)
	life.stop()
	s.judge()
	if len(met) < stormKills/4 {
		t.Errorf("of %d kills the record stood at no more than %d places: they met no work", stormKills, len(met))
	}
	if len(s.paid) != stormPayments {
		t.Errorf("%d payments were made", len(s.paid))
	}
	t.Logf("%d kills met %d states of the record", stormKills, len(met))
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	s := &storm{ledger: chaintest.NewChain(), binary: built(t), siem: listenSyslog(t)}
	began := time.Now().Add(-24 * time.Hour)
	s.ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * time.Minute) }
	s.ledger.MineEmpty(20)
	s.world = newWorld(t, s.ledger)
	wallet := chaintest.NewWallet(s.ledger, "")
	for n := range stormWatched {
		a := wallet.Address(chain.P2WPKH, n+1)
		s.watched = append(s.watched, a)
		s.watch(a, "label")
	}
	s.hook, s.refuser = s.receiver("hook"), s.receiver("refuser")
	s.hook.hold = func(post) { time.Sleep(20 * time.Millisecond) } // so that some kills come amid a delivery
	s.refuser.Set("/**", chaintest.Fault{Status: http.StatusServiceUnavailable})
	s.channel("siem", "syslog", map[string]any{"address": "tcp://" + s.siem.address, "format": "json"})
	s.conf = s.write()
	life := launch(t, s.binary, s.conf, s.log) // it begins at the tip of now
	s.covered(20)
	life.stop()
	return s
}

// write makes the configuration file of the program.
func (s *storm) write() (conf string) {
	s.t.Helper()
	dir := s.t.TempDir()
	var text strings.Builder
	fmt.Fprintf(&text, "network = \"regtest\"\ndata_dir = %q\n[database]\nurl = %q\n", filepath.Join(dir, "data"), s.config.DatabaseURL)
	text.WriteString("[schedule]\nblocks = \"@every 1s\"\nmempool = \"\"\nhistory = \"\"\nreport = \"\"\n[alerts]\nconfirmations = [1]\n")
	for _, e := range s.config.Explorers {
		fmt.Fprintf(&text, "[explorers.%s]\nkind = %q\nurl = %q\noperator = %q\nrequests_per_second = 0\n", e.Name, e.Kind, e.URL, e.Operator)
	}
	for _, c := range s.channels {
		fmt.Fprintf(&text, "[channels.%s]\nkind = %q\n", c.Name, c.Kind)
		for key, value := range c.Keys {
			fmt.Fprintf(&text, "%s = %#v\n", key, value)
		}
	}
	for _, a := range s.watched {
		fmt.Fprintf(&text, "[watch.%q]\nlabel = \"label\"\nbasis = \"press\"\n", a.Text)
	}
	conf = filepath.Join(dir, "config.toml")
	if err := os.WriteFile(conf, []byte(text.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return conf
}

// mine makes a block of payments, each of which spends what nobody watches.
func (s *storm) mine() {
	var txs []*wire.MsgTx
	for range stormBlock {
		n := len(s.paid)
		to, amount := s.watched[n%len(s.watched)], int64(10_000+n)
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.HashH(fmt.Append(nil, "storm ", n))}, []byte{0x51}, nil))
		tx.AddTxOut(wire.NewTxOut(amount, to.Script))
		txs = append(txs, tx)
		s.paid = append(s.paid, fmt.Sprint(to.Text, " ", tx.TxHash(), " ", amount))
	}
	s.ledger.Mine(txs...)
}

// judge holds the record and the channels against what was paid.
func (s *storm) judge() {
	t := s.world.t
	t.Helper()
	slices.Sort(s.paid)
	recorded := s.lines(`SELECT concat_ws(' ', address, txid, amount_sat) FROM report.movements`)
	told := s.lines(`SELECT concat_ws(' ', address, txid, amount_sat) FROM report.alerts WHERE type = 'transaction.confirmed'`)
	slices.Sort(recorded)
	slices.Sort(told)
	sameLines(t, "the payments recorded", s.paid, recorded)
	sameLines(t, "the payments told", s.paid, told)
	bodies := map[string]string{}
	for _, body := range s.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE NOT quiet`) {
		bodies[idOf(t, body)] = body
	}
	written, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	file := map[string][]string{}
	for line := range strings.Lines(string(written)) {
		id := idOf(t, line)
		file[id] = append(file[id], strings.TrimSuffix(line, "\n"))
	}
	s.holdAgainst("the file", bodies, file)
	s.holdAgainst("the syslog server", bodies, s.siem.took(t))
	for name, r := range map[string]*receiver{"the webhook": s.hook, "the webhook that refused": s.refuser} {
		took, digests := map[string][]string{}, map[string]string{}
		for id, posts := range r.posts() {
			for _, p := range posts {
				took[id] = append(took[id], string(p.body[:]))
			}
		}
		for id, body := range bodies {
			digest := sha256.Sum256([]byte(body))
			digests[id] = string(digest[:])
		}
		s.holdAgainst(name, digests, took)
	}
}

// holdAgainst checks that a channel took every alert, nothing else, and in every
// repeat the same bytes.
func (s *storm) holdAgainst(channel string, bodies map[string]string, took map[string][]string) {
	t := s.world.t
	t.Helper()
	repeats := 0
	for id, body := range bodies {
		repeats += max(len(took[id])-1, 0)
		if len(took[id]) == 0 {
			t.Errorf("%s never took %s", channel, id)
		}
		for _, taken := range took[id] {
			if taken != body {
				t.Errorf("%s took %s with other bytes: %q", channel, id, taken)
			}
		}
	}
	for id := range took {
		if bodies[id] == "" {
			t.Errorf("%s took %s, which is no alert", channel, id)
		}
	}
	t.Logf("%s took %d alerts, and %d repeats", channel, len(took), repeats)
}

// siem is a syslog server over TCP, which takes messages counted in octets
// (RFC 6587).
type siem struct {
	address string
	mu      sync.Mutex
	frames  []string
}

func listenSyslog(t *testing.T) *siem {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s := &siem{address: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.read(conn)
		}
	}()
	return s
}

// read takes whole frames until the sender ends, or is killed within one.
func (s *siem) read(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		var size int
		if _, err := fmt.Fscanf(r, "%d ", &size); err != nil {
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		s.mu.Lock()
		s.frames = append(s.frames, string(frame))
		s.mu.Unlock()
	}
}

// took gives the bodies by id. All that is before them has to be the same in
// every repeat too.
func (s *siem) took(t *testing.T) map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	heads, took := map[string]string{}, map[string][]string{}
	for _, frame := range s.frames {
		at := strings.Index(frame, "{")
		if at < 0 {
			t.Fatalf("the syslog server took what is no alert: %q", frame)
		}
		head, id := frame[:at], idOf(t, frame[at:])
		if before, met := heads[id]; met && before != head {
			t.Errorf("the syslog server took %s under two heads: %q and %q", id, before, head)
		}
		heads[id], took[id] = head, append(took[id], frame[at:])
	}
	return took
}
