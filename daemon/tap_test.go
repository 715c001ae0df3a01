package daemon

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"

	"btcwatch/chain"
)

// tap stands before a server and records every byte that is sent to it. Nothing
// is encrypted on its way: it reads what leaves.
type tap struct {
	url   string
	mu    sync.Mutex
	sent  []*bytes.Buffer // by connection
	ends  []net.Conn
	ended bool
}

// newTap lays a tap before the server of a url, and gives its own url by the
// same scheme.
func newTap(t *testing.T, server string) *tap {
	t.Helper()
	u := must(url.Parse(server))
	if u.Scheme == "https" || u.Scheme == "ssl" {
		t.Fatalf("%s is encrypted: a tap would read nothing", server)
	}
	behind := u.Host
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	u.Host = listener.Addr().String()
	p := &tap{url: u.String()}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { p.carry(conn, behind) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		p.ended = true
		for _, end := range p.ends {
			_ = end.Close()
		}
		p.mu.Unlock()
		work.Wait()
	})
	return p
}

func (p *tap) carry(conn net.Conn, behind string) {
	defer conn.Close()
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer server.Close()
	record := p.connection()
	p.mu.Lock()
	p.ends = append(p.ends, conn, server)
	ended := p.ended
	p.mu.Unlock()
	if ended {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, server)
		_ = conn.Close()
	})
	_, _ = io.Copy(io.MultiWriter(recorder{p, record}, server), conn)
	_ = server.Close()
	back.Wait()
}

// recorder writes down before anything is passed on.
type recorder struct {
	*tap
	into *bytes.Buffer
}

func (r recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.into.Write(b)
}

// size is how many bytes were sent.
func (p *tap) size() (all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.sent {
		all += b.Len()
	}
	return all
}

// holds names the needles that were sent, each once.
func (p *tap) holds(all []needle) (found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.sent {
		found = append(found, within(b.Bytes(), all)...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// within names the needles that some bytes hold: as they are, and as hexadecimal
// or other text in any case.
func within(data []byte, all []needle) (found []string) {
	lower := bytes.ToLower(data)
	for _, n := range all {
		if n.text && bytes.Contains(lower, bytes.ToLower(n.bytes)) || !n.text && (bytes.Contains(data, n.bytes) || bytes.Contains(lower, []byte(hex.EncodeToString(n.bytes)))) {
			found = append(found, n.name)
		}
	}
	return found
}

// needle is something that must not leave.
type needle struct {
	name  string
	bytes []byte
	text  bool
}

// hashNeedles is a hash in both orders of its bytes.
func hashNeedles(name string, hash []byte) []needle {
	turned := slices.Clone(hash)
	slices.Reverse(turned)
	return []needle{{name: name, bytes: slices.Clone(hash)}, {name: name, bytes: turned}}
}

// addressNeedles is all by which an address can be named: its text, script, the
// hash in it, in both orders, and the hash of its script in both orders.
func addressNeedles(name string, a chain.Address) []needle {
	digest := sha256.Sum256(a.Script)
	all := []needle{{name: name + " text", bytes: []byte(a.Text), text: true}, {name: name + " script", bytes: a.Script}}
	for _, push := range must(txscript.PushedData(a.Script)) {
		if len(push) > 0 { // the version of a witness program is an empty one
			all = append(all, hashNeedles(name+" hash", push)...)
		}
	}
	return append(all, hashNeedles(name+" script hash", digest[:])...)
}

func transactionNeedles(name string, ids ...chainhash.Hash) (all []needle) {
	for _, id := range ids {
		all = append(all, hashNeedles(name, id[:])...)
	}
	return all
}

// connection begins the record of one more connection.
func (p *tap) connection() *bytes.Buffer {
	record := &bytes.Buffer{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, record)
	return record
}

// text is all that was sent, as text.
func (p *tap) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all bytes.Buffer
	for _, b := range p.sent {
		all.Write(b.Bytes())
	}
	return all.String()
}
