package explorer

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"time"

	"btcwatch/chain"
)

// Hints tells without being asked that something may have happened. Nothing of
// it is believed: it says when to ask.
type Hints interface {
	// Listen makes a connection of its own for hints, on which nothing is wished
	// for yet. Whoever gets it closes it.
	Listen(ctx context.Context) (*Feed, error)
}

// PingEvery is how often a feed is to be pinged: servers hang up on who is
// silent for ten minutes, and who is silent for two pings is gone.
const PingEvery = 2 * time.Minute

// Feed is one connection on which a server tells of what happens. Next may wait
// while the other methods are used.
type Feed struct {
	// Allow, where it is set, is asked before the server hears of an address: an
	// error of it comes back, and nothing is sent.
	Allow func(context.Context, chain.Address) error

	electrum electrum
	lines    *lines
	silence  time.Duration // without a sign of life for so long it is given up

	mu      sync.Mutex
	asked   map[int64]wish    // that are not answered yet
	scripts map[string]string // wished for, by the hash that the protocol goes by
}

// wish is what a call on a feed is about.
type wish struct {
	script string
	what   string // one of the methods below
}

const (
	wishBlocks  = "blockchain.headers.subscribe"
	wishScript  = "blockchain.scripthash.subscribe"
	dropScript  = "blockchain.scripthash.unsubscribe"
	signOfLife  = "server.ping"
	forHints    = "hints"
	noSuchReply = "a reply to another call"
)

// Hint is one thing that a server tells of on a feed.
type Hint struct {
	Script  string // of the address, as bytes; empty: a block
	State   string // another one: something happened; empty: nothing ever did
	First   bool   // it answers the wish: so it stands now
	Refused error  // it answers the wish: the server will not tell; nil: it will
}

// Listen makes a connection of its own for hints.
func (e electrum) Listen(ctx context.Context) (*Feed, error) {
	c, q := e.client, question{words: "a connection for " + forHints}
	if err := e.turn(ctx, blocksShare+pollShare); err != nil {
		return nil, c.about(q, err)
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	own := c.lines.another()
	if err := own.open(limited, ctx, c); err != nil {
		own.close()
		return nil, c.about(q, c.brokenLine(ctx, err))
	}
	e.told.clear()
	silence := 2*PingEvery + c.timeout
	return &Feed{electrum: e, lines: own, silence: silence, asked: map[int64]wish{}, scripts: map[string]string{}}, nil
}

// turn waits for the turn of a request that no answer is waited for here: the
// pace and the budget are those of all that is asked of the server, of which
// leaves is for what matters more.
func (e electrum) turn(ctx context.Context, leaves float64) error {
	if err := e.client.turns.take(ctx, false); err != nil {
		return err
	}
	defer e.client.turns.give()
	if err := e.client.pace.pausing(); err != nil {
		return err
	}
	if err := e.client.pace.afford(leaves, 1); err != nil {
		return err
	}
	return e.client.pace.wait(ctx)
}

// Close ends the connection, and with it what waits in Next.
func (f *Feed) Close() {
	_ = f.lines.conn.Close() // nothing of it is wanted any more
	f.electrum.told.clear()
}

// Blocks wishes to be told of new blocks.
func (f *Feed) Blocks(ctx context.Context) error {
	return f.send(ctx, wish{what: wishBlocks})
}

// Address wishes to be told of what happens at an address: the server learns
// that it is watched. Next gives the answer.
func (f *Feed) Address(ctx context.Context, a chain.Address) error {
	// What the budget does not bear is no disclosure.
	if err := f.electrum.client.pace.afford(blocksShare+pollShare, 1); err != nil {
		return f.about(err)
	}
	if f.Allow != nil {
		if err := f.Allow(ctx, a); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.scripts[scriptHash(a.Script)] = string(a.Script)
	f.mu.Unlock()
	return f.send(ctx, wish{string(a.Script), wishScript}, scriptHash(a.Script))
}

// Drop ends the wish to be told of an address. Servers that cannot end it go on
// telling, which is passed over.
func (f *Feed) Drop(ctx context.Context, a chain.Address) error {
	f.mu.Lock()
	delete(f.scripts, scriptHash(a.Script))
	f.mu.Unlock()
	f.electrum.told.drop(scriptHash(a.Script))
	return f.send(ctx, wish{string(a.Script), dropScript}, scriptHash(a.Script))
}

// Ping asks for a sign of life.
func (f *Feed) Ping(ctx context.Context) error { return f.send(ctx, wish{what: signOfLife}) }

// send writes a call, in its turn.
func (f *Feed) send(ctx context.Context, w wish, params ...any) error {
	c, leaves := f.electrum.client, blocksShare+pollShare
	if w.what == signOfLife { // it keeps what the wishes have cost
		leaves = blocksShare
	}
	if err := f.electrum.turn(ctx, leaves); err != nil {
		return c.about(question{words: forHints}, err)
	}
	id := f.note(w)
	c.pace.sent()
	_ = f.lines.conn.SetWriteDeadline(time.Now().Add(c.timeout)) // what it fails with, writing does too
	if _, err := f.lines.conn.Write(append(encode([]call{{w.what, params}}, id), '\n')); err != nil {
		return c.about(question{words: forHints}, c.brokenLine(ctx, err))
	}
	return nil
}

func (f *Feed) note(w wish) (id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id = f.lines.nextID
	f.lines.nextID++
	f.asked[id] = w
	return id
}

// Next waits for the next hint. After an error the feed is of no more use.
func (f *Feed) Next() (Hint, error) {
	for {
		_ = f.lines.conn.SetReadDeadline(time.Now().Add(f.silence)) // what it fails with, reading does too
		line, err := f.lines.line(textLimit)
		if err != nil {
			return Hint{}, f.about(f.broken(err))
		}
		hint, worth, err := f.read(line)
		if err != nil {
			return Hint{}, f.about(err)
		}
		if worth {
			return hint, nil
		}
	}
}

func (f *Feed) about(err error) error {
	return f.electrum.client.about(question{words: forHints}, err)
}

func (f *Feed) broken(err error) error {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return &Error{Kind: ErrUnavailable, Detail: "no sign of life for " + f.silence.String()}
	}
	return f.electrum.client.brokenLine(context.Background(), err)
}

// read reads a line: the answer to a wish, or what the server tells by itself.
// worth is false for one that tells nothing.
func (f *Feed) read(line []byte) (hint Hint, worth bool, err error) {
	id, unasked, err := glance(line)
	if err != nil {
		return Hint{}, false, err
	}
	if unasked {
		return f.notice(line)
	}
	f.mu.Lock()
	w, ok := f.asked[id]
	delete(f.asked, id)
	f.mu.Unlock()
	switch {
	case !ok:
		return Hint{}, false, malformed(noSuchReply)
	case w.what == wishBlocks:
		hint, err = f.answer(line, readHeaderState)
	case w.what == wishScript:
		hint, err = f.answer(line, readStatus)
	default:
		return Hint{}, false, nil // alive is all that it says
	}
	hint.Script, hint.First = w.script, true
	if err == nil && hint.Refused == nil && w.script != "" {
		f.electrum.told.set(scriptHash([]byte(w.script)), hint.State)
	}
	return hint, err == nil, err
}

// answer reads the answer to a wish.
func (f *Feed) answer(line []byte, read func(r *jsonReader) string) (hint Hint, err error) {
	hint.State, err = readNullable(line, f.electrum.refusal(question{}), read)
	if isA[*Error](err) && !errors.Is(err, ErrMalformed) {
		return Hint{Refused: f.about(err)}, nil
	}
	return hint, err
}

// notice reads what the server tells by itself. What was not wished for is
// passed over.
func (f *Feed) notice(line []byte) (hint Hint, worth bool, err error) {
	method, err := readJSON(line, func(r *jsonReader) (method string) {
		r.object(func(key string) {
			if key == "method" {
				method = r.string()
			} else {
				r.skip()
			}
		}, "method")
		return method
	})
	switch {
	case err != nil:
		return Hint{}, false, err
	case method == wishBlocks:
		hint.State, err = readParams(line, func(r *jsonReader) (state string) {
			r.array(func() { state = readHeaderState(r) })
			return state
		})
		return hint, err == nil, err
	case method != wishScript:
		return Hint{}, false, nil
	}
	said, err := readParams(line, readTold)
	if err != nil {
		return Hint{}, false, err
	}
	f.mu.Lock()
	script, wished := f.scripts[said[0]]
	f.mu.Unlock()
	if wished {
		f.electrum.told.set(said[0], said[1])
	}
	return Hint{Script: script, State: said[1]}, wished, nil
}

func readParams[T any](line []byte, read func(r *jsonReader) T) (T, error) {
	return readJSON(line, func(r *jsonReader) (got T) {
		r.object(func(key string) {
			if key == "params" {
				got = read(r)
			} else {
				r.skip()
			}
		}, "params")
		return got
	})
}

// readTold reads a script's hash and its new status.
func readTold(r *jsonReader) (said [2]string) {
	count := 0
	r.array(func() {
		switch count++; count {
		case 1:
			said[0] = r.hash().String()
		case 2:
			said[1] = readStatus(r)
		default:
			r.skip()
		}
	})
	if r.err == nil && count != 2 {
		r.fail("not a script's hash and its status")
	}
	return said
}

// readStatus reads the status of a history; none has null.
func readStatus(r *jsonReader) string {
	if r.null() {
		return ""
	}
	return r.hash().String()
}

func readHeaderState(r *jsonReader) (hash string) {
	r.object(func(key string) {
		switch key {
		case "height":
			r.integer(0, math.MaxInt32)
		case "hex":
			header := readRawHeader(r)
			hash = header.BlockHash().String()
		default:
			r.skip()
		}
	}, "height", "hex")
	return hash
}
