package alerts

import (
	"errors"
	"net/netip"
	"syscall"
)

// errPrivate is what a webhook meets whose host leads into a private network,
// where whoever may write the configuration, or a name's DNS records, could
// otherwise make this service call what only it can reach.
var errPrivate = errors.New("its address is not on the public internet: set allow_private = true if that is meant")

// publicOnly refuses to connect anywhere but to the public internet. It runs
// on the address that is really dialled, after every name has been resolved,
// so no spelling and no DNS answer gets around it.
func publicOnly(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !public(target.Addr()) {
		return errPrivate
	}
	return nil
}

// public says whether an address is one that the internet routes.
func public(ip netip.Addr) bool {
	ip = ip.WithZone("").Unmap()
	if nat64().Contains(ip) {
		raw := ip.As16()
		ip = netip.AddrFrom4([4]byte(raw[12:]))
	}
	if ip.Is6() && !unicast6().Contains(ip) {
		return false
	}
	for _, reserved := range reserved() {
		if reserved.Contains(ip) {
			return false
		}
	}
	return ip.IsValid()
}

// nat64 is how networks without IPv4 spell an IPv4 address (RFC 6052).
func nat64() netip.Prefix { return netip.MustParsePrefix("64:ff9b::/96") }

// unicast6 is the only part of IPv6 given out for public use so far.
func unicast6() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// reserved lists what is not public by the registries of IANA, and the tunnels
// (Teredo, 6to4) that carry an IPv4 address inside.
func reserved() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"), // link-local, and the metadata of clouds
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("224.0.0.0/4"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("2001::/23"),
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("3fff::/20"),
	}
}
