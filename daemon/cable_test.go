package daemon

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// cable stands between a daemon and Postgres and can be cut: at once, just before
// a commit reaches the server, or just after the server has committed and before
// the daemon hears of it. What is cut stays cut, as for a process that is gone.
type cable struct {
	url string // of the database, by this cable

	// commits is asked before each commit that has a row in the journal; kind is
	// "reorg" or "block", empty for any other.
	commits func(kind string) hearing
	whenCut func()
	server  func() (net.Conn, error)
	listens net.Listener
	work    sync.WaitGroup

	mu    sync.Mutex
	ends  []net.Conn
	isCut bool
}

// hearing is whether a commit is made, and heard of.
type hearing int

const (
	passes  hearing = iota
	lost            // the cable is cut before the server gets it
	unheard         // the server commits, and the cable is cut before the daemon knows
)

// newCable lays a cable to a database, for a test. whenCut is called when it is
// cut, be it more than once.
func newCable(t *testing.T, database string, commits func(kind string) hearing, whenCut func()) *cable {
	t.Helper()
	config, err := pgconn.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cable") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	w := &cable{commits: commits, whenCut: whenCut, url: throughSocket(t, database, dir)}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	w.server = func() (net.Conn, error) { return net.Dial(network, address) }
	if w.listens, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	w.work.Go(w.accept)
	t.Cleanup(func() {
		w.cut()
		w.work.Wait()
		_ = os.RemoveAll(dir)
	})
	return w
}

// throughSocket is the url of the same database by the socket in a directory.
func throughSocket(t *testing.T, database, dir string) string {
	t.Helper()
	parsed, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := parsed.Query()
	query.Set("host", dir)
	query.Set("port", "5432")
	query.Set("sslmode", "disable")
	parsed.Host, parsed.RawQuery = "", query.Encode()
	return parsed.String()
}

func (w *cable) accept() {
	for {
		client, err := w.listens.Accept()
		if err != nil {
			return // it is cut
		}
		server, err := w.server()
		if err != nil {
			client.Close()
			continue
		}
		w.mu.Lock()
		w.ends = append(w.ends, client, server)
		late := w.isCut
		w.mu.Unlock()
		if late {
			client.Close()
			server.Close()
			return
		}
		s := &session{cable: w, client: client, server: server}
		w.work.Go(s.up)
		w.work.Go(s.down)
	}
}

// cut ends all connections and takes no more.
func (w *cable) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	w.whenCut()
	w.listens.Close()
	for _, end := range w.ends {
		end.Close()
	}
}

// session is one connection through a cable.
type session struct {
	*cable
	client, server net.Conn
	last           atomic.Bool // the next answer is the last one, and nobody hears it
}

// up carries what the daemon says. Each message has a type, but for the first.
func (s *session) up() {
	defer s.server.Close()
	from := bufio.NewReader(s.client)
	message, err := readMessage(from, false)
	var said []byte // since the transaction began
	for ; err == nil; message, err = readMessage(from, true) {
		switch {
		case bytes.Equal(message[1:], asQuery("begin")):
			said = said[:0]
		case bytes.Equal(message[1:], asQuery("commit")):
			switch s.commits(kindOf(said)) {
			case lost:
				s.cut()
				return
			case unheard:
				s.last.Store(true)
			}
		default:
			said = append(said, message...)
		}
		if _, err := s.server.Write(message); err != nil {
			return
		}
	}
}

// down carries what the server says.
func (s *session) down() {
	defer s.client.Close()
	from := bufio.NewReader(s.server)
	for {
		message, err := readMessage(from, true)
		if err != nil {
			return
		}
		const ready = 'Z' // the server is done
		switch {
		case s.last.Load() && message[0] == ready:
			s.cut()
			return
		case s.last.Load():
			continue
		}
		if _, err := s.client.Write(message); err != nil {
			return
		}
	}
}

// readMessage gives a whole message of Postgres' protocol: a type, where it has
// one, the length of the rest, itself included, and the rest.
func readMessage(from *bufio.Reader, typed bool) ([]byte, error) {
	head := make([]byte, 4, 5)
	if typed {
		head = head[:5]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[len(head)-4:])) - 4
	message := append(head, make([]byte, size)...)
	_, err := io.ReadFull(from, message[len(head):])
	return message, err
}

// asQuery is a statement without parameters as it goes over the cable, less the
// type of the message.
func asQuery(statement string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(4+len(statement)+1)), statement+"\x00"...)
}

// kindOf finds the row of the journal in what a transaction said: its kind as a
// parameter, and behind it the length of the digest.
func kindOf(said []byte) string {
	for _, kind := range []string{"reorg", "block"} {
		if bytes.Contains(said, []byte("\x00\x00\x00\x05"+kind+"\x00\x00\x00\x20")) {
			return kind
		}
	}
	return ""
}
