package explorer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
)

func openedNode(t *testing.T, url string, change ...func(*Settings)) *Explorer {
	t.Helper()
	s := Settings{Name: "witness", Kind: "node", URL: url}
	for _, c := range change {
		c(&s)
	}
	e, err := Open(s, &chaincfg.RegressionNetParams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The real btcd, asked the way the daemon asks: tip, blocks, headers in
// batches, transactions confirmed and not, and what btcd words otherwise than
// bitcoind.
func TestRealBtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts btcd")
	}
	node, err := chaintest.StartNode(t.Context(), chaintest.NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Stop)
	wallet := chaintest.NewWallet(node, "")
	if _, err := node.Generate(t.Context(), 250); err != nil {
		t.Fatal(err)
	}
	watched := wallet.Address(chain.P2WPKH, 1)
	paid, err := wallet.Pay(t.Context(), chaintest.Output{Script: watched.Script, Value: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Generate(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	pending, err := wallet.Pay(t.Context(), chaintest.Output{Script: watched.Script, Value: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	url, user, password := node.RPC()
	e := openedNode(t, url, func(s *Settings) { s.User, s.PasswordFile = user, written(t, "password", password+"\n") })

	if tip, err := e.Chain.Tip(t.Context()); tip != 251 || err != nil {
		t.Errorf("tip %d, %v", tip, err)
	}
	height, hash, err := node.Best(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Chain.BlockHash(t.Context(), height); got != hash || err != nil {
		t.Errorf("hash %s, %v; want %s", got, err, hash)
	}
	// btcd has the code -1 where bitcoind has -8.
	if _, err := e.Chain.BlockHash(t.Context(), 252); !errors.Is(err, ErrNotFound) {
		t.Errorf("beyond the tip: %v", err)
	}
	raw, err := e.Blocks.Block(t.Context(), hash)
	if want, wantErr := node.RawBlock(t.Context(), hash); err != nil || wantErr != nil || string(raw) != string(want) {
		t.Errorf("block of %d bytes, %v, %v; want %d", len(raw), err, wantErr, len(want))
	}
	if _, err := e.Blocks.Block(t.Context(), chainhash.Hash{7}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no block: %v", err)
	}
	headers, err := e.Headers.Headers(t.Context(), height, hash)
	if err != nil || len(headers) != nodeHeaders+1 {
		t.Fatalf("%d headers, %v", len(headers), err)
	}
	if want, err := node.BlockHash(t.Context(), height-nodeHeaders); err != nil || headers[nodeHeaders].BlockHash() != want {
		t.Errorf("the last header is %s, want %s, %v", headers[nodeHeaders].BlockHash(), want, err)
	}
	tx, err := e.Transactions.Transaction(t.Context(), paid.TxHash())
	if err != nil || tx.Place == nil || tx.Place.Height != 251 || tx.Place.Block != hash || tx.Spent[0] == nil {
		t.Fatalf("confirmed: %+v, %v", tx, err)
	}
	if fee, err := wallet.Fee(paid); err != nil || tx.Spent[0].Value-tx.Msg.TxOut[0].Value-tx.Msg.TxOut[1].Value != fee {
		t.Errorf("the output spent has %d, which makes another fee than %d, %v", tx.Spent[0].Value, fee, err)
	}
	if tx, err := e.Transactions.Transaction(t.Context(), pending.TxHash()); err != nil || tx.Place != nil || tx.Spent[0] == nil {
		t.Errorf("unconfirmed: %+v, %v", tx, err)
	}
	if _, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{7}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no transaction: %v", err)
	}
	// Its block leaves the chain: the transaction is unconfirmed again.
	if err := node.InvalidateBlock(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	if tx, err := e.Transactions.Transaction(t.Context(), paid.TxHash()); err != nil || tx.Place != nil {
		t.Errorf("after its block left: %+v, %v", tx, err)
	}
	left, err := e.Headers.Headers(t.Context(), height, hash)
	if err != nil || len(left) == 0 || left[0].BlockHash() != hash {
		t.Errorf("a header that left the chain: %d, %v", len(left), err)
	}
	wrong := openedNode(t, url, func(s *Settings) { s.User, s.PasswordFile = user, written(t, "password", "other") })
	if _, err := wrong.Chain.Tip(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "credentials") || strings.Contains(err.Error(), "other") {
		t.Errorf("with another password: %v", err)
	}
}

// bitcoind writes its cookie anew at each start, and it is gone while the node
// is down.
func TestCookieIsReadAtEachQuestion(t *testing.T) {
	s := newScene(t)
	server := chaintest.NewBitcoind(s.chain, s.chain.Params())
	server.User, server.Password = "__cookie__", "first"
	url, stop := server.Serve()
	t.Cleanup(stop)
	cookie := written(t, ".cookie", "__cookie__:first")
	e := openedNode(t, url, func(s *Settings) { s.CookieFile = cookie })
	if _, err := e.Chain.Tip(t.Context()); err != nil {
		t.Error(err)
	}
	server.Password = "second"
	if _, err := e.Chain.Tip(t.Context()); !errors.Is(err, ErrRefused) {
		t.Errorf("with the cookie of before: %v", err)
	}
	if err := os.WriteFile(cookie, []byte("__cookie__:second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Chain.Tip(t.Context()); err != nil {
		t.Error(err)
	}
	if err := os.Remove(cookie); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Chain.Tip(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "is the node running?") {
		t.Errorf("without a cookie: %v", err)
	}
}

func TestNodeWithoutIndexKnowsTheUnconfirmed(t *testing.T) {
	s := newScene(t)
	server := chaintest.NewBitcoind(s.chain, s.chain.Params())
	server.NoIndex, server.Pruned = true, 50
	url, stop := server.Serve()
	t.Cleanup(stop)
	e := openedNode(t, url)
	// The parent is confirmed: nobody says what is spent.
	if tx, err := e.Transactions.Transaction(t.Context(), s.pending.TxHash()); err != nil || tx.Place != nil || tx.Spent[0] != nil {
		t.Errorf("unconfirmed: %+v, %v", tx, err)
	}
	if tx, err := e.Transactions.Transaction(t.Context(), s.child.TxHash()); err != nil || tx.Spent[0] == nil || tx.Spent[0].Value != 777_777 {
		t.Errorf("its child: %+v, %v", tx, err)
	}
	if _, err := e.Transactions.Transaction(t.Context(), s.paid.TxHash()); !errors.Is(err, ErrNotFound) {
		t.Errorf("confirmed: %v", err)
	}
	if _, err := e.Blocks.Block(t.Context(), s.blockAt(49)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "pruned") {
		t.Errorf("a block that was pruned: %v", err)
	}
}

// What a node says that is not "there is none", by code and words.
func TestNodeErrors(t *testing.T) {
	for _, c := range []struct {
		code    int
		message string
		status  int
		kind    error
	}{
		{-28, "Loading block index…", 500, ErrUnavailable},
		{-5, "No such mempool transaction. Blockchain transactions are still in the process of being indexed.", 500, ErrUnavailable},
		{-1, "Block not available (not fully downloaded)", 500, ErrUnavailable},
		{-1, "Block not available (pruned data)", 500, ErrRefused},
		{-32601, "Method not found", 404, ErrRefused},
		{-32603, "internal", 500, ErrUnavailable},
		{-32700, "Parse error", 500, ErrRefused},
		{-1, "getrawtransaction \"txid\"", 500, ErrRefused},
		{-5, "No information available about transaction", 200, ErrNotFound}, // btcd, with or without txindex
		{-5, "The transaction index must be enabled", 200, ErrNotFound},
	} {
		e := openedNode(t, serverOf(t, coreError(c.status, c.code, c.message)))
		_, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{1})
		if !errors.Is(err, c.kind) || strings.Contains(err.Error(), c.message) {
			t.Errorf("%d %s: %v, want %v", c.code, c.message, err, c.kind)
		}
	}
	// "Work queue depth exceeded" is no JSON.
	e := openedNode(t, serverOf(t, status(503, "Work queue depth exceeded")))
	if _, err := e.Chain.Tip(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	// A reply to another call is none to ours.
	e = openedNode(t, serverOf(t, text(`{"result":5,"error":null,"id":2}`)))
	if tip, err := e.Chain.Tip(t.Context()); tip != 0 || !errors.Is(err, ErrMalformed) {
		t.Error(tip, err)
	}
	e = openedNode(t, serverOf(t, text(`{"result":5,"error":{"code":-1,"message":""},"id":1}`)))
	if tip, err := e.Chain.Tip(t.Context()); tip != 0 || !errors.Is(err, ErrMalformed) {
		t.Error(tip, err)
	}
}

func serverOf(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// A transaction whose only block left the chain is neither confirmed nor
// unconfirmed: bitcoind with txindex still gives it.
func TestTransactionOfAStaleBlockIsNotThere(t *testing.T) {
	tx := payment(5000)
	hash := strings.Repeat("ab", 32)
	var raw strings.Builder
	if err := tx.Msg.Serialize(hex.NewEncoder(&raw)); err != nil {
		t.Fatal(err)
	}
	e := openedNode(t, serverOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Method string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		answer := fmt.Sprintf(`{"hex":%q,"blockhash":%q,"confirmations":0}`, raw.String(), hash)
		if asked.Method == "getblockheader" {
			answer = fmt.Sprintf(`{"hash":%q,"height":7,"time":5,"confirmations":-1}`, hash)
		}
		fmt.Fprint(w, replied(answer))
	})))
	if tx, err := e.Transactions.Transaction(t.Context(), tx.ID); tx != nil || !errors.Is(err, ErrNotFound) {
		t.Errorf("%+v, %v", tx, err)
	}
}

// What real bitcoinds said of real transactions, of every kind of script.
func TestRecordedBitcoindTransactions(t *testing.T) {
	files, err := filepath.Glob(recorded.Path(t, "recorded", "bitcoind", "getrawtransaction_*.json"))
	if err != nil || len(files) != 7 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Result *json.RawMessage
			TxID   string
		}
		if err := json.Unmarshal(data, &said); err != nil {
			t.Fatal(err)
		}
		body := data
		if said.Result != nil {
			body = *said.Result
		}
		if err := json.Unmarshal(body, &said); err != nil {
			t.Fatal(err)
		}
		want := txid(t, said.TxID)
		e := openedNode(t, serverOf(t, text("%s", replied(string(body)))))
		if tx, _, err := e.Transactions.(node).transaction(t.Context(), want); err != nil || tx.TxHash() != want {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

// btcd signs its own certificate at its first start: ca_file takes that one.
func TestCertificateThatTheNodeSignedItself(t *testing.T) {
	certificate, file := selfSigned(t, "127.0.0.1")
	server := httptest.NewUnstartedServer(text("%s", replied("7")))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = log.New(new(strings.Builder), "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	if _, err := openedNode(t, server.URL).Chain.Tip(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without ca_file: %v", err)
	}
	if tip, err := openedNode(t, server.URL, func(s *Settings) { s.CAFile = file }).Chain.Tip(t.Context()); tip != 7 || err != nil {
		t.Errorf("with ca_file: %d, %v", tip, err)
	}
	_, other := selfSigned(t, "127.0.0.1")
	if _, err := openedNode(t, server.URL, func(s *Settings) { s.CAFile = other }).Chain.Tip(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with another's: %v", err)
	}
}

// selfSigned makes a certificate that signs itself, and its file.
func selfSigned(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{Organization: []string{"gencerts"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.ParseIP(host)}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := written(t, "rpc.cert", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, file
}

// A transaction of many inputs asks for so many of its parents and no more.
func TestParentsAreBounded(t *testing.T) {
	tx := wire.NewMsgTx(2)
	for i := range 3 * mostParents {
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{byte(i), 1}}, nil, nil))
	}
	asked := 0
	spent, err := parents{get: func(_ context.Context, id chainhash.Hash) (*wire.MsgTx, error) {
		asked++
		return &wire.MsgTx{TxOut: []*wire.TxOut{{Value: int64(id[0])}}}, nil
	}, may: func(id chainhash.Hash, asked int) bool { return asked < mostParents || id[0] == 70 }}.spent(t.Context(), tx)
	if err != nil || asked != mostParents+1 || len(spent) != 3*mostParents || spent[24].Value != 24 || spent[25] != nil || spent[70].Value != 70 {
		t.Errorf("asked for %d, %v", asked, err)
	}
}
