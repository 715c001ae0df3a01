package sql

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// TestRefusedIsToldOnce: pgx tries with TLS and without; what both say alike is
// said once, in one line, for it goes into logs and tables.
func TestRefusedIsToldOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = connect(t.Context(), "postgres://nobody@"+host+"/x")
	if !errors.Is(err, ErrUnreachable) || strings.Count(err.Error(), "connection refused") != 1 || strings.Contains(err.Error(), "\n") {
		t.Errorf("said: %v", err)
	}
}
