package chaintest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// lineClient asks an Electrum server as any client would.
type lineClient struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func dialLines(t *testing.T, url string) *lineClient {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &lineClient{t, conn, bufio.NewReader(conn)}
}

// ask gives the whole reply; empty where the connection ends.
func (c *lineClient) ask(method string, params ...any) string {
	c.t.Helper()
	if params == nil {
		params = []any{}
	}
	if _, err := c.conn.Write(append(encode(c.t, map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), '\n')); err != nil {
		return ""
	}
	line, err := c.lines.ReadString('\n')
	if err != nil && err != io.EOF {
		c.t.Logf("%s: %v", method, err)
	}
	return line
}

// electrumScript spells a script as Electrum servers do.
func electrumScript(script []byte) string {
	hash := sha256.Sum256(script)
	slices.Reverse(hash[:])
	return hex.EncodeToString(hash[:])
}

// recordedResponse is a documented reply without the request beside it.
func recordedResponse(t *testing.T, file string) []byte {
	t.Helper()
	var both struct{ Response json.RawMessage }
	decode(t, recorded.Read(t, "recorded", "electrum", file), &both)
	return both.Response
}

// What the server answers has the shape of what real ones answered: ElectrumX
// in the recorded scenario, and the documentation's samples.
func TestElectrumAnswersAsRecorded(t *testing.T) {
	c := NewChain()
	c.MineEmpty(110)
	wallet := NewWallet(c, "")
	watched := wallet.Address(chain.P2WPKH, 1)
	paid, err := wallet.Pay(t.Context(), Output{Script: watched.Script, Value: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	c.Mine(paid)
	if _, err := wallet.Pay(t.Context(), Output{Script: watched.Script, Value: 25_000}); err != nil {
		t.Fatal(err)
	}
	server := NewElectrum(c, c.Params())
	url, stop := server.Serve()
	t.Cleanup(stop)
	client := dialLines(t, url)
	script := electrumScript(watched.Script)
	regtest := func(folder, file string) []byte { return recorded.Read(t, "recorded", "regtest", folder, file) }
	for _, p := range []struct {
		want   []byte
		method string
		params []any
	}{
		{regtest("s4-second-unconfirmed", "electrumx_get_history.json"), "blockchain.scripthash.get_history", []any{script}},
		{regtest("s4-second-unconfirmed", "electrumx_get_mempool.json"), "blockchain.scripthash.get_mempool", []any{script}},
		{regtest("s0-empty", "electrumx_get_history.json"), "blockchain.scripthash.get_history", []any{electrumScript([]byte{0x51})}},
		{recordedResponse(t, "server-version.json"), "server.version", []any{"x", "1.4"}},
		{recordedResponse(t, "server-ping.json"), "server.ping", nil},
		{recordedResponse(t, "blockchain-headers-subscribe.json"), "blockchain.headers.subscribe", nil},
		{recordedResponse(t, "blockchain-block-header.json"), "blockchain.block.header", []any{5}},
		{recordedResponse(t, "blockchain-block-headers.json"), "blockchain.block.headers", []any{5, 3}},
		{recordedResponse(t, "blockchain-transaction-get.json"), "blockchain.transaction.get", []any{paid.TxHash().String()}},
		{recordedResponse(t, "blockchain-transaction-get-merkle.json"), "blockchain.transaction.get_merkle", []any{paid.TxHash().String(), 111}},
	} {
		wantShape(t, p.method, []byte(client.ask(p.method, p.params...)), p.want)
	}
	// ElectrumX passes bitcoind's error on, in words of its own.
	var want, got struct{ Error any }
	decode(t, regtest("s2-replaced-old", "electrumx_tx.json"), &want)
	decode(t, []byte(client.ask("blockchain.transaction.get", strings.Repeat("ab", 32))), &got)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("of an unknown transaction: %v, recorded %v", got, want)
	}
	// What is verbose has no keys that the recording has not.
	var verbose, real struct{ Result map[string]any }
	decode(t, regtest("s3-confirmed", "electrumx_tx.json"), &real)
	decode(t, []byte(client.ask("blockchain.transaction.get", paid.TxHash().String(), true)), &verbose)
	for key, value := range verbose.Result {
		if other, ok := real.Result[key]; !ok || fmt.Sprintf("%T", other) != fmt.Sprintf("%T", value) {
			t.Errorf("verbose: %s is %T, recorded %T", key, value, other)
		}
	}
}

// Esplora's servers answer errors as texts, know no get_mempool, and list up to
// 500 transactions.
func TestElectrumSideOfEsplora(t *testing.T) {
	c := NewChain()
	c.MineEmpty(110)
	busy := NewWallet(c, "").Address(chain.P2WPKH, 1)
	c.History(busy.Script, 501)
	server := NewElectrum(c, c.Params())
	server.Flavour = EsploraElectrum
	url, stop := server.Serve()
	t.Cleanup(stop)
	client := dialLines(t, url)
	for method, want := range map[string]string{
		"blockchain.scripthash.get_history": "Too many history",
		"blockchain.scripthash.get_mempool": "unknown method",
	} {
		var got struct{ Error string }
		decode(t, []byte(client.ask(method, electrumScript(busy.Script))), &got)
		if !strings.Contains(got.Error, want) {
			t.Errorf("%s: %q", method, got.Error)
		}
	}
}

// Faults of lines: each is met, counted under its method, and ends.
func TestFaultsOfElectrum(t *testing.T) {
	c := NewChain()
	c.MineEmpty(3)
	server := NewElectrum(c, c.Params())
	url, stop := server.Serve()
	t.Cleanup(stop)
	server.Faults.Set("/blockchain.block.header", Fault{Body: []byte("nonsense"), Times: 1})
	client := dialLines(t, url)
	if line := client.ask("blockchain.block.header", 1); line != "nonsense\n" {
		t.Errorf("%q", line)
	}
	if line := client.ask("blockchain.block.header", 1); !strings.Contains(line, `"result":"`) {
		t.Errorf("after the fault: %q", line)
	}
	if n := server.Faults.Count("/blockchain.block.header"); n != 2 {
		t.Errorf("counted %d", n)
	}
	server.Faults.Set("/**", Fault{Truncate: true})
	if line := client.ask("server.ping"); line == "" || strings.HasSuffix(line, "\n") {
		t.Errorf("cut off: %q", line)
	}
	server.Faults.Set("/**", Fault{Close: true})
	if line := dialLines(t, url).ask("server.ping"); line != "" {
		t.Errorf("closed: %q", line)
	}
	server.Faults.Set("/**", Fault{Hang: true})
	hanging := dialLines(t, url)
	if _, err := hanging.conn.Write([]byte(`{"id":1,"method":"server.ping","params":[]}` + "\n")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.Faults.Await(ctx, "/server.ping", 3); err != nil {
		t.Fatal(err)
	}
	hanging.conn.Close() // stop, in the end, waits for nobody who hangs
	server.Faults.ClearAll()
	server.Freeze()
	c.MineEmpty(1)
	frozen := dialLines(t, url)
	if line := frozen.ask("blockchain.headers.subscribe"); !strings.Contains(line, `"height":3`) {
		t.Errorf("frozen: %s", line)
	}
	server.Thaw()
	if line := frozen.ask("blockchain.headers.subscribe"); !strings.Contains(line, `"height":4`) {
		t.Errorf("thawed: %s", line)
	}
}

// What bitcoind's stand-in says of a transaction has no keys that real ones do
// not say. The recording is of one without a block; what it says of a block is as
// ElectrumX passed it on, above.
func TestBitcoindAnswersAsRecorded(t *testing.T) {
	c := NewChain()
	c.MineEmpty(110)
	wallet := NewWallet(c, "")
	paid, err := wallet.Pay(t.Context(), Output{Script: wallet.Address(chain.P2PKH, 1).Script, Value: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	url, stop := NewBitcoind(c, c.Params()).Serve()
	t.Cleanup(stop)
	ask := func(body string) (int, map[string]any) {
		t.Helper()
		res, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		var reply map[string]any
		decode(t, text, &reply)
		return res.StatusCode, reply
	}
	status, reply := ask(`{"id":7,"method":"getrawtransaction","params":["` + paid.TxHash().String() + `",1]}`)
	if status != 200 || reply["id"] != 7.0 || reply["error"] != nil {
		t.Errorf("%d, %v", status, reply)
	}
	var real map[string]any
	decode(t, recorded.Read(t, "recorded", "bitcoind", "getrawtransaction_p2pkh_9c741de6.json"), &real)
	if inner, ok := real["result"].(map[string]any); ok {
		real = inner
	}
	for key, value := range reply["result"].(map[string]any) {
		if other, ok := real[key]; !ok || fmt.Sprintf("%T", other) != fmt.Sprintf("%T", value) {
			t.Errorf("%s is %T, recorded %T", key, value, other)
		}
	}
	for body, want := range map[string]int{
		`{"id":1,"method":"getblockhash","params":[112]}`:           500,
		`{"id":1,"method":"getnewaddress","params":[]}`:             404,
		`{"id":1,"method":"getblock","params":["` + "00" + `", 0]}`: 500,
	} {
		if status, reply := ask(body); status != want || reply["result"] != nil || reply["error"] == nil {
			t.Errorf("%s: %d, %v", body, status, reply)
		}
	}
}
