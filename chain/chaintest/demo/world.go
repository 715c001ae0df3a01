package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// world is everything that runs.
type world struct {
	say    *narrator
	dir    string
	node   *chaintest.Node
	wallet *chaintest.Wallet
	own    chain.Address // whose key the demo holds
	ledger *ledger
	daemon *daemon

	cases      *receiver   // webhook
	compliance post        // e-mail
	record     *recordFile // file

	wanted   []told
	altered  *effect  // about which an explorer lied
	late     *effect  // paid while the receiver was out of order
	missed   *effect  // paid while nobody watched
	hushed   []told   // that have to be recorded and sent to nobody
	handed   []string // what was wrong with the evidence that was handed over
	refused  bool     // it was, with a byte changed
	explorer []string // urls, and keys that only their kinds have
	servers  []*chaintest.Esplora

	mailServer, webhook string        // where alerts go
	poll                time.Duration // how often the mempool is asked about
	electrum            string        // url of a fourth explorer; empty: there is none
	hinted              bool          // it is listened to

	stops []func()
}

// show plays the whole story in a folder.
func show(ctx context.Context, o options, dir string, say *narrator) (err error) {
	w := &world{say: say, dir: dir, poll: time.Second}
	w.daemon = &daemon{binary: o.binary, dir: dir, say: say}
	w.cases = newReceiver(newInbox("cases", "webhook"))
	w.compliance = post{newInbox("compliance", "e-mail")}
	w.record = &recordFile{inbox: newInbox("record", "file"), path: filepath.Join(dir, "alerts.jsonl")}
	defer func() {
		err = errors.Join(err, w.close())
		if words := w.daemon.lastWords(); err != nil && ctx.Err() == nil && words != "" {
			say.tell("The end of the daemon's log:")
			say.show(words)
		}
	}()
	say.raw("btcwatch at work, on this machine alone: no internet, and coins of no value. Real parts: a Bitcoin node\n" +
		"with a chain of its own, three explorers over it, the daemon with its own Postgres, a mail server, a\n" +
		"webhook receiver. Each line has a clock (minutes:seconds). ✓ is a check against the chain itself.\n")
	playing, cancel := context.WithCancel(ctx)
	killing := w.killAt(playing, o.killAt)
	defer func() { cancel(); <-killing }()
	return w.play(playing)
}

func (w *world) close() error {
	err := w.daemon.stop()
	slices.Reverse(w.stops)
	for _, stop := range w.stops {
		stop()
	}
	return err
}

func (w *world) later(stop func()) { w.stops = append(w.stops, stop) }

// randomMoments are in the time in which the story plays.
func randomMoments(n int) moments {
	var all moments
	for range n {
		all = append(all, time.Second+rand.N(31*time.Second).Truncate(100*time.Millisecond))
	}
	return all
}

// killAt kills the daemon at these moments, every second time with its
// database. The channel closes when it is over.
func (w *world) killAt(ctx context.Context, at moments) <-chan struct{} {
	slices.Sort(at)
	if len(at) > 0 {
		w.say.tell("The daemon will also be killed at %s after the start (repeat it with -kill-at %[1]s).", at.String())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, moment := range at {
			timer := time.NewTimer(time.Until(w.say.began.Add(moment)))
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			w.say.tell("kill -9, at a random moment.")
			w.daemon.killAtRandom(i%2 == 1)
		}
	}()
	return done
}

// pay sends a payment from the wallet and takes it into the ledger.
func (w *world) pay(ctx context.Context, outputs ...chaintest.Output) ([]*effect, error) {
	tx, err := w.wallet.Pay(ctx, outputs...)
	if err != nil {
		return nil, err
	}
	return w.ledger.add(tx), nil
}

// mine puts everything that waits into a block.
func (w *world) mine(ctx context.Context) error {
	hashes, err := w.node.Generate(ctx, 1)
	if err != nil {
		return err
	}
	block, err := w.block(ctx, hashes[0])
	if err != nil {
		return err
	}
	height, err := w.node.Height(ctx)
	w.ledger.confirm(height, block)
	return err
}

func (w *world) block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	raw, err := w.node.RawBlock(ctx, hash)
	if err != nil {
		return nil, err
	}
	block := new(wire.MsgBlock)
	return block, block.Deserialize(strings.NewReader(string(raw)))
}

// patience is how long anything may take. A delivery that was under way at a
// kill, of the daemon or by somebody else of Postgres, is taken up again after
// a minute and a half; and it may be killed again.
func (w *world) patience() time.Duration {
	if killed, _ := w.daemon.state(); killed {
		return 4 * time.Minute
	}
	return 150 * time.Second
}

// await waits until a condition holds.
func (w *world) await(ctx context.Context, what string, holds func() (bool, error)) error {
	began, warned := time.Now(), false
	for {
		w.record.look()
		ok, err := holds()
		if ok {
			return nil
		}
		if _, broken := w.daemon.state(); broken != nil {
			return broken
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		past := time.Since(began)
		if past > w.patience() {
			return errors.Join(fmt.Errorf("waited %.0f s in vain for: %s", past.Seconds(), what), err)
		}
		if past > 10*time.Second && !warned {
			warned = true
			w.say.tell("(Still waiting for: %s. A delivery that a kill cut off in the middle is tried again after 90 s.)", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// awaitRows waits until a query gives these rows.
func (w *world) awaitRows(ctx context.Context, what, query string, want ...string) error {
	return w.await(ctx, what, func() (bool, error) {
		got, err := w.daemon.rows(ctx, query)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("the database says %q, and not %q", got, want)
		}
		return err == nil, err
	})
}

// rows asks the database, again when it was killed while it answered.
func (w *world) rows(ctx context.Context, query string) (rows []string, err error) {
	err = w.await(ctx, "an answer of the database", func() (bool, error) {
		rows, err = w.daemon.rows(ctx, query)
		return err == nil, err
	})
	return rows, err
}

// expect waits until an alert has come on all channels but the named one, and
// compares it with the chain.
func (w *world) expect(ctx context.Context, t told, but ...*inbox) (body, error) {
	if !slices.Contains(w.wanted, t) {
		w.wanted = append(w.wanted, t)
	}
	var found body
	for _, box := range w.boxes() {
		if slices.Contains(but, box) {
			continue
		}
		err := w.await(ctx, fmt.Sprintf("%s, by %s", t, box.what), func() (bool, error) {
			var ok bool
			found, ok = w.find(box, t)
			return ok, nil
		})
		if err != nil {
			return found, err
		}
	}
	if faults := w.faults(t, found); len(faults) > 0 {
		return found, fmt.Errorf("%s is wrong: %s", t, strings.Join(faults, "; "))
	}
	return found, nil
}

// find looks for an alert in an inbox. What a mail is about is known by its
// id, which the file has too.
func (w *world) find(box *inbox, t told) (body, bool) {
	for _, b := range w.record.bodies() {
		if _, came := box.get(b.Data.ID); came && t.meant(b) {
			return b, true
		}
	}
	return body{}, false
}

func (w *world) boxes() []*inbox { return []*inbox{w.record.inbox, w.cases.inbox, w.compliance.inbox} }

// watchList gives the article's two scripts in their regtest spelling, and an
// address of the wallet.
func watchList(own chain.Address) ([]watched, error) {
	list := []watched{
		{original: "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG", label: "Botobekov article, address 1 of 2"},
		{original: "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", label: "Botobekov article, address 2 of 2"},
	}
	for i, l := range list {
		a, err := chain.ParseAddress(l.original, &chaincfg.MainNetParams)
		if err != nil {
			return nil, err
		}
		here, ok := chain.AddressOf(a.Script, &chaincfg.RegressionNetParams)
		if !ok {
			return nil, fmt.Errorf("%s has no spelling on regtest", l.original)
		}
		list[i].text, list[i].script = here.Text, here.Script
	}
	return append(list, watched{text: own.Text, script: own.Script, label: "Address of the demo"}), nil
}

// writeConfig writes the configuration as an operator would.
func (w *world) writeConfig() error {
	secret := filepath.Join(w.dir, "webhook.secret")
	var b strings.Builder
	fmt.Fprintf(&b, "network = \"regtest\"\ndata_dir = %q\n\n", w.daemon.dataDir())
	fmt.Fprintf(&b, "[schedule]\nblocks = \"@every 1s\"\nmempool = \"@every %s\"\nhistory = \"\"\nreport = \"\"\n\n", w.poll)
	b.WriteString("[health]\nfailing_after = \"10s\"\n\n") // how explorers do is noted every fifth of it
	for i, url := range w.explorer {
		fmt.Fprintf(&b, "[explorers.%s]\nkind = %q\nurl = %s\noperator = %q\nrequests_per_second = 0\n\n", explorers[i].name, explorers[i].kind, url, explorers[i].operator)
	}
	if w.electrum != "" {
		fmt.Fprintf(&b, "[explorers.with-hints]\nkind = \"electrum\"\nurl = %q\noperator = \"the fourth operator\"\nrequests_per_second = 0\nhints = %t\n\n", w.electrum, w.hinted)
	}
	for _, l := range w.ledger.watched {
		fmt.Fprintf(&b, "[watch.%q]\nlabel = %q\n", l.text, l.label)
		if l.original == "" {
			b.WriteString("basis = \"partner\"\n\n")
			continue
		}
		b.WriteString("basis = \"press\"\nsource = { title = \"Central Asian Jihadists' Use of Cryptocurrencies in Bitcoin\", author = \"Uran Botobekov\" }\n\n")
	}
	fmt.Fprintf(&b, "[channels.record]\nkind = \"file\"\npath = %q\n\n", w.record.path)
	fmt.Fprintf(&b, "[channels.cases]\nkind = \"webhook\"\nurl = %q\nsecret_file = %q\nallow_private = true\n\n", w.webhook, secret)
	fmt.Fprintf(&b, "[channels.compliance]\nkind = \"email\"\nsmtp = %q\nfrom = \"btcwatch@example.org\"\nto = [\"compliance@example.org\"]\ntls = \"none\"\n", w.mailServer)
	return errors.Join(
		os.WriteFile(secret, []byte(w.cases.secretText()+"\n"), 0o600),
		os.WriteFile(w.daemon.config(), []byte(b.String()), 0o600))
}
