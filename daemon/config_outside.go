package daemon

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// The tables about who watches the watcher: metrics and heartbeat.

func (l *loader) metrics(s *section) {
	defer s.finish()
	remote := s.flag("allow_remote")
	listen := s.text("listen", "")
	if listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(listen)
	number, portErr := strconv.Atoi(port)
	switch {
	case err != nil || portErr != nil || number < 1 || number > 65535:
		s.fault("listen", "not a place to listen at; write an address and a port, such as 127.0.0.1:9469")
	case host != "localhost" && !isAddress(host):
		s.fault("listen", "%q is no address of this machine; write one in numbers, such as 127.0.0.1:9469", host)
	case !loopback(host) && !remote:
		s.fault("listen", "other machines reach this address, and nobody is asked for a password there; listen at 127.0.0.1, or set allow_remote = true if that is meant")
	default:
		l.config.Metrics.Listen = listen
	}
}

// isAddress takes the empty host too, which is every address.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return host == "" || err == nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (l *loader) heartbeat(s *section) {
	defer s.finish()
	set := &l.config.Heartbeat
	set.Every = s.duration("interval", time.Minute, time.Second, time.Hour)
	switch method := s.text("method", "GET"); method {
	case "GET":
	case "POST":
		set.Post = true
	default:
		s.fault("method", "%s", unknownWord("method", method, []string{"GET", "POST"}))
	}
	text, file := s.text("url", ""), s.text("url_file", "")
	key := "url"
	if file != "" {
		if text != "" {
			s.fault("url_file", "both url and url_file are given; keep one of the two")
			return
		}
		key = "url_file"
		raw, err := os.ReadFile(file)
		if err != nil {
			s.fault(key, "%s; check the path, and let this user read it", err)
			return
		}
		if text = strings.TrimSpace(string(raw)); text == "" {
			s.fault(key, "%s is empty; write the url into it", file)
			return
		}
	}
	if text != "" && l.switchURL(s, key, text) {
		set.URL = text
	}
}

// switchURL never repeats what it judges: whoever knows it can keep the switch
// from telling.
func (l *loader) switchURL(s *section, key, text string) bool {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || badPort(u):
		s.fault(key, "not the address of a dead-man's switch; write the one that its service shows, which begins with https://")
	case u.Scheme == "http" && !private(u.Hostname()):
		s.fault(key, "begins with http://, so that others on the way could read it and keep the switch from telling; write https://")
	default:
		return true
	}
	return false
}
