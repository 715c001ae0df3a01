package alerts

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// parsedSyslog is a message as RFC 5424, 6 has it.
type parsedSyslog struct {
	facility, severity              int
	at, host, app, proc, msgid, msg string
	fields                          map[string]string // of the one element; nil: none
}

var (
	syslogHead = regexp.MustCompile(`^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) (.*)$`)
	syslogID   = regexp.MustCompile(`^\[btcwatch@32473`)
	syslogPair = regexp.MustCompile(`^ ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"`)
)

// parseSyslog takes nothing that the grammar of the standard does not.
func parseSyslog(t *testing.T, line string) parsedSyslog {
	t.Helper()
	head := syslogHead.FindStringSubmatch(line)
	if head == nil {
		t.Fatalf("no message of RFC 5424: %q", line)
	}
	pri, _ := strconv.Atoi(head[1])
	p := parsedSyslog{facility: pri / 8, severity: pri % 8, at: head[2], host: head[3], app: head[4], proc: head[5], msgid: head[6]}
	rest := head[7]
	if after, none := strings.CutPrefix(rest, "- "); none {
		p.msg = after
		return p
	}
	p.fields = map[string]string{}
	rest = strings.TrimPrefix(rest, syslogID.FindString(rest))
	for pair := syslogPair.FindStringSubmatch(rest); pair != nil; pair = syslogPair.FindStringSubmatch(rest) {
		rest = rest[len(pair[0]):]
		if _, twice := p.fields[pair[1]]; twice {
			t.Errorf("%s stands twice in %q", pair[1], line)
		}
		p.fields[pair[1]] = regexp.MustCompile(`\\(["\\\]])`).ReplaceAllString(pair[2], "$1")
	}
	msg, ok := strings.CutPrefix(rest, "] ")
	if !ok {
		t.Fatalf("no structured data of RFC 5424: %q, at %q", line, rest)
	}
	p.msg = msg
	return p
}

// parseCEF splits a head at its bars and an extension at its keys, as its
// readers do: a key follows a space and ends in an equals sign without a
// backslash before it.
func parseCEF(t *testing.T, text string) (head []string, extension map[string]string) {
	t.Helper()
	var part strings.Builder
	escaped := false
	rest := ""
	for i, r := range text {
		switch {
		case escaped:
			part.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '|':
			head = append(head, part.String())
			part.Reset()
		default:
			part.WriteRune(r)
		}
		if len(head) == 7 {
			rest = text[i+1:]
			break
		}
	}
	if len(head) != 7 {
		t.Fatalf("no head of CEF: %q", text)
	}
	extension = map[string]string{}
	keys := regexp.MustCompile(`(?:^| )([A-Za-z0-9]+)=`).FindAllStringSubmatchIndex(rest, -1)
	for i, k := range keys {
		end := len(rest)
		if i+1 < len(keys) {
			end = keys[i+1][0]
		}
		value := rest[k[1]:end]
		for j := 0; j < len(value); j++ {
			if value[j] == '\\' {
				j++
				if j == len(value) || !strings.ContainsRune(`\=`, rune(value[j])) {
					t.Errorf("wrongly escaped: %q", value)
				}
			} else if value[j] == '=' {
				t.Errorf("an equals sign is not escaped: %q", value)
			}
		}
		extension[rest[k[2]:k[3]]] = strings.NewReplacer(`\\`, `\`, `\=`, `=`).Replace(value)
	}
	return head, extension
}

func TestSyslogSaysWhatTheAlertSays(t *testing.T) {
	c := openAt(t, "syslog", `address = "unix:///dev/log"`+"\nfacility = \"authpriv\"", timeNow()).(*syslog)
	m := message(t, told(t)(confirmed().Confirmed(testKey(), 1, true)))
	p := parseSyslog(t, string(c.line(m)))
	if p.facility != 10 || p.severity != 3 || p.host != "desk1" || p.app != "btcwatch" || p.msgid != "transaction.confirmed" || p.msg != m.Decoded.Data.Summary {
		t.Errorf("%+v", p)
	}
	want := map[string]string{
		"id": m.ID.String(), "thread": m.Decoded.Data.Thread, "type": "transaction.confirmed", "severity": "high", "network": "mainnet",
		"address": articleOne, "label": "Botobekov article, address 1 of 2", "txid": someTxID, "direction": "out", "amount_sat": "123456789000",
		"state": "confirmed", "proof": "proven", "block_height": "840123",
	}
	if !maps.Equal(p.fields, want) {
		t.Errorf("%v", p.fields)
	}
	c.format = syslogJSON
	if p := parseSyslog(t, string(c.line(m))); p.msg != string(m.Body) || p.fields != nil {
		t.Errorf("%+v", p)
	}
	c.format = syslogCEF
	p = parseSyslog(t, string(c.line(m)))
	head, extension := parseCEF(t, p.msg)
	if strings.Join(head, "|") != "CEF:0|btcwatch|btcwatch|1.2.3|transaction.confirmed|A payment is in a block (Botobekov article, address 1 of 2).|8" {
		t.Errorf("%q", head)
	}
	for key, want := range map[string]string{
		"externalId": m.ID.String(), "rt": strconv.FormatInt(m.Decoded.Timestamp.UnixMilli(), 10), "deviceDirection": "1",
		"cs1Label": "address", "cs1": articleOne, "cs2": someTxID, "cn1Label": "amountSat", "cn1": "123456789000", "cn2": "840123", "msg": m.Decoded.Data.Summary,
	} {
		if extension[key] != want {
			t.Errorf("%s is %q, want %q", key, extension[key], want)
		}
	}
}

// TestRealSyslog: rsyslog takes each sort of alert by its socket and over TCP,
// and understands of it what was meant.
func TestRealSyslog(t *testing.T) {
	socket, tcp, out := runSyslog(t)
	want := map[string]int{}
	for _, format := range []string{"text", "cef", "json"} {
		for _, address := range []string{"unix://" + socket, "tcp://" + tcp} {
			c := openAt(t, "syslog", `address = "`+address+`"`+"\nformat = \""+format+`"`, timeNow()).(*syslog)
			for _, name := range slices.Sorted(maps.Keys(samples(t))) {
				m := message(t, samples(t)[name])
				if err := c.Send(context.Background(), m); err != nil {
					t.Fatalf("%s as %s to %s: %v", name, format, address, err)
				}
				p := parseSyslog(t, string(c.line(m)))
				data := "-"
				if p.fields != nil {
					data = strings.TrimSuffix(strings.SplitN(string(c.line(m)), " ", 7)[6], " "+p.msg)
				}
				want[fmt.Sprintf("%d\t%s\tbtcwatch\t-\t%s\t%s\t%s", p.facility*8+p.severity, p.host, p.msgid, data, p.msg)]++
			}
		}
	}
	got := map[string]int{}
	sum := func(all map[string]int) (n int) {
		for _, times := range all {
			n += times
		}
		return n
	}
	within(t, "all messages", func() bool {
		text, _ := os.ReadFile(out)
		clear(got)
		for line := range strings.Lines(string(text)) {
			got[strings.TrimSuffix(line, "\n")]++
		}
		return sum(got) >= sum(want) && strings.HasSuffix(string(text), "\n")
	})
	for line, times := range want {
		if got[line] != times {
			t.Errorf("%d times, not %d: %s", got[line], times, line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d messages, want %d", len(got), len(want))
	}
}

// pemPair makes a certificate of its own authority for 127.0.0.1.
func pemPair(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	pair, err = tls.X509KeyPair([]byte(pemOf(raw)), []byte(keyPEM))
	if err != nil {
		t.Fatal(err)
	}
	return pair, secretFile(t, pemOf(raw)), secretFile(t, keyPEM)
}

// serveSyslog reads messages, counted in octets, from connections that it then
// closes; none where handle is given, which has the connection instead.
func serveSyslog(t *testing.T, config *tls.Config, handle func(net.Conn)) (address string, lines chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, lines = l.Addr().String(), make(chan string, 10)
	if config != nil {
		l = tls.NewListener(l, config)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			if handle == nil {
				raw, err := io.ReadAll(conn)
				size, line, _ := strings.Cut(string(raw), " ")
				if n, _ := strconv.Atoi(size); err == nil && n == len(line) {
					lines <- line
				}
			} else {
				handle(conn)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return address, lines
}

// TestSyslogOverTLS: only to a server that is vouched for; and where a server
// refuses our certificate, which shows after the handshake alone, nothing counts
// as delivered. Whether its refusal is heard, or only that it hangs up, is a race.
func TestSyslogOverTLS(t *testing.T) {
	serverPair, serverFile, _ := pemPair(t)
	clientPair, clientCert, clientKey := pemPair(t)
	_, otherCert, otherKey := pemPair(t)
	clients := x509.NewCertPool()
	clients.AddCert(clientPair.Leaf)
	free, freeLines := serveSyslog(t, &tls.Config{Certificates: []tls.Certificate{serverPair}}, nil)
	strict, strictLines := serveSyslog(t, &tls.Config{Certificates: []tls.Certificate{serverPair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}, nil)
	shown := func(cert, key string) string { return "cert_file = \"" + cert + "\"\nkey_file = \"" + key + "\"\n" }
	for name, c := range map[string]struct {
		address, table, want string
		lines                chan string
	}{
		"trusted":          {free, `ca_file = "` + serverFile + `"` + "\n", "", freeLines},
		"not trusted":      {free, "", "certificate is not trusted", freeLines},
		"with certificate": {strict, `ca_file = "` + serverFile + `"` + "\n" + shown(clientCert, clientKey), "", strictLines},
		"without":          {strict, `ca_file = "` + serverFile + `"` + "\n", "write to syslog: it ", strictLines},
		"with another":     {strict, `ca_file = "` + serverFile + `"` + "\n" + shown(otherCert, otherKey), "write to syslog: it ", strictLines},
	} {
		channel := openAt(t, "syslog", c.table+`address = "tls://`+c.address+`"`, timeNow()).(*syslog)
		m := message(t, told(t)(incoming().Seen(testKey())))
		err := channel.Send(context.Background(), m)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || Permanent(err)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil {
			continue
		}
		if line := <-c.lines; line != string(channel.line(m)) {
			t.Errorf("%s: got %q", name, line)
		}
	}
}

// TestSyslogCountsAsDeliveredOnlyWhatWasRead: servers that hang up before they
// have read, that hold on, or that are not there.
func TestSyslogCountsAsDeliveredOnlyWhatWasRead(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("faults", func(t *testing.T) {
		release := make(chan struct{})
		resets, _ := serveSyslog(t, nil, func(conn net.Conn) {
			conn.Read(make([]byte, 1))
			conn.(*net.TCPConn).SetLinger(0)
		})
		holds, _ := serveSyslog(t, nil, func(net.Conn) { <-release })
		t.Cleanup(func() { close(release) })
		chatty, _ := serveSyslog(t, nil, func(conn net.Conn) { io.WriteString(conn, "hello hunter2"); io.Copy(io.Discard, conn) })
		none := freePort(t)
		nowhere := filepath.Join(t.TempDir(), "none")
		for address, want := range map[string]string{
			"tcp://" + resets: "broke off the connection", "tcp://" + holds: "did not answer in time", "tcp://" + chatty: "",
			"tcp://" + none: "refused the connection", "unix://" + nowhere: "no such socket",
		} {
			c := openAt(t, "syslog", `address = "`+address+`"`+"\ntimeout = \"1s\"", timeNow())
			err := c.Send(context.Background(), message(t, samples(t)["seen"]))
			if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || Permanent(err)) {
				t.Errorf("%s: %v, want %q", address, err, want)
			}
			discreet(t, err)
		}
		c := openAt(t, "syslog", `address = "tcp://`+holds+`"`, timeNow())
		ctx, cancel := context.WithCancel(context.Background())
		stop := time.AfterFunc(100*time.Millisecond, cancel)
		defer stop.Stop()
		if err := c.Send(ctx, message(t, samples(t)["seen"])); err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%v", err)
		}
	})
}

func TestSyslogSettings(t *testing.T) {
	_, cert, key := pemPair(t)
	for table, want := range map[string]string{
		``:                                "address is missing",
		`address = "/dev/log"`:            "address needs a host and a port",
		`address = "unix://dev/log"`:      "begins with /",
		`address = "udp://127.0.0.1:514"`: "write it like",
		`address = "tcp://127.0.0.1"`:     "needs a host and a port",
		`address = "tcp://192.0.2.1:601"`: "allow_plain = true",
		`address = "tcp://192.0.2.1:601"` + "\nallow_plain = true":                           "",
		`address = "tls://logs.example.org:6514"`:                                            "",
		`address = "tls://logs.example.org:6514"` + "\ncert_file = \"" + cert + `"`:          "belong together",
		`address = "tls://logs.example.org:6514"` + "\nca_file = \"" + key + `"`:             "no certificate",
		`address = "tls://x:1"` + "\ncert_file = \"" + key + "\"\nkey_file = \"" + key + `"`: "no certificate and its private key",
		`address = "unix:///dev/log"` + "\nca_file = \"" + cert + `"`:                        "for tls:// alone",
		`address = "unix:///dev/log"` + "\nfacility = \"kern\"":                              "unknown facility",
		`address = "unix:///dev/log"` + "\nfacility = \"local8\"":                            "unknown facility",
		`address = "unix:///dev/log"` + "\nformat = \"leef\"":                                "unknown format",
	} {
		s := settings("syslog", table)
		_, err := Open(s, Env{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", table, err, want)
		}
		if Local(s) != strings.Contains(table, `"unix:`) {
			t.Errorf("%s: local is %v", table, Local(s))
		}
	}
}
