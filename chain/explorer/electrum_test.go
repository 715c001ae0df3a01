package explorer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"btcwatch/chain/chaintest"
)

func serveElectrum(t *testing.T, s *scene, w *badWire) Settings {
	url, stop := chaintest.NewElectrum(s.chain, s.chain.Params()).Serve()
	t.Cleanup(stop)
	return Settings{Kind: "electrum", URL: overLines(t, w, url)}
}

// overLines puts the wire before a server that speaks in lines, and gives the
// address. The first question of a connection passes as it is: what is tested
// are those that come after it.
func overLines(t *testing.T, w *badWire, url string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { passLines(w, conn, strings.TrimPrefix(url, "tcp://")) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return "tcp://" + listener.Addr().String()
}

func passLines(w *badWire, client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	asks, answers := bufio.NewReader(client), bufio.NewReader(server)
	for {
		line, err := asks.ReadString('\n')
		if err != nil {
			return
		}
		hello := strings.Contains(line, "server.version")
		asked, ok := line, true
		if !hello {
			asked, ok = w.ask(line)
		}
		if !ok {
			var call struct{ ID json.RawMessage }
			_ = json.Unmarshal([]byte(line), &call)
			fmt.Fprintf(client, `{"jsonrpc":"2.0","id":%s,"error":{"code":-101,"message":"excessive resource usage"}}`+"\n", call.ID)
			continue
		}
		if _, err := io.WriteString(server, asked); err != nil {
			return
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			return
		}
		if !hello {
			answer = w.answer(strings.TrimSuffix(answer, "\n")) + "\n"
		}
		if _, err := io.WriteString(client, answer); err != nil {
			return
		}
	}
}
