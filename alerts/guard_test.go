package alerts

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Spellings of this machine in a URL. With a name server that resolves every
// name to 127.0.0.1, as an attacker's would, each could lead home.
func TestNoSpellingLeadsHome(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	home, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	spellings := []string{
		"127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "127.255.255.254", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0177.0.0.1",
		"0", "0.0.0.0", "0.0.0.1", "00000", "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "foo.localhost", "127.0.0.1.nip.io",
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
		"[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[::1%25lo]", "[fe80::1%25lo]",
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fc00::1]", "[fec0::1]",
		"224.0.0.1", "255.255.255.255", "[ff02::1]", "%31%32%37.0.0.1", "①②⑦.0.0.1", "rebound.example", "user@127.0.0.1", "example.org@127.0.0.1",
	}
	if len(spellings) < 40 {
		t.Fatalf("only %d spellings", len(spellings))
	}
	resolver := everythingIsHome(t)
	signers, err := readSigners(secretFile(t, testSecret))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range spellings {
		for _, scheme := range []string{"http", "https"} {
			target := scheme + "://" + host + ":" + home.Port() + "/"
			to := func(set receiverSettings) *receiver {
				dialer := set.dialer()
				dialer.Resolver = resolver
				client, err := httpClient(set, dialer)
				if err != nil {
					t.Fatal(err)
				}
				return &receiver{url: target, now: timeNow, timeout: limit, client: client}
			}
			for kind, c := range map[string]Channel{
				"webhook":      &webhook{receiver: to(webhookSettings{URL: target}.receiver()), signers: signers},
				"slack":        &slack{receiver: to(slackSettings{}.receiver(target))},
				"alertmanager": &alertmanager{receiver: to(alertmanagerSettings{URL: target}.receiver())},
			} {
				err := c.Send(context.Background(), message(t, outage("x").Blind(testKey())))
				if err == nil {
					t.Errorf("%s: %s://%s was reached", kind, scheme, host)
				} else if !strings.Contains(err.Error(), "public internet") && !strings.Contains(err.Error(), "cannot be read") && !strings.Contains(err.Error(), "host name") {
					t.Errorf("%s: %s://%s: %v", kind, scheme, host, err)
				}
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d of them came home", n)
	}
}

func TestWebhookStaysOutOfPrivateNetworksUnlessAllowed(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	trust := `ca_file = "` + secretFile(t, pemOf(server.Certificate().Raw)) + `"` + "\n"
	for more, want := range map[string]string{"": "public internet", "allow_private = true": "404"} {
		for kind, c := range posting(t, server.URL, trust+more) {
			if err := c.Send(context.Background(), message(t, outage("x").Blind(testKey()))); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %q gives %v, not %q", kind, more, err, want)
			}
		}
	}
}

// The rule itself, against what the registries of IANA say.
func TestPublicAddresses(t *testing.T) {
	for _, text := range []string{
		"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.167.1.1", "193.0.0.1", "223.255.255.255", "198.20.0.1",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700::1111", "2a00:1450::1", "2003::1",
	} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("%s is refused", text)
		}
	}
	for _, text := range []string{
		"0.1.2.3", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "169.254.0.1", "172.16.0.0", "172.31.255.255",
		"192.0.0.8", "192.0.2.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.251",
		"239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:db8::1", "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
	} {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("%s is let through", text)
		}
	}
	for _, address := range []string{"", "127.0.0.1", "localhost:80", "/run/socket"} {
		if publicOnly("tcp", address, nil) == nil {
			t.Errorf("%q is let through", address)
		}
	}
}

// everythingIsHome is a resolver whose name server answers every name with
// 127.0.0.1, on a socket of this test.
func everythingIsHome(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		question := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			conn.WriteTo(home(question[:n]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func home(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) == 0 {
		return nil
	}
	m.Response, m.Additionals = true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	answer, _ := m.Pack()
	return answer
}
