package alerts

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// trouble says in our own words why a connection failed. The error itself may
// hold what must not be shown: the URL with its credentials, or text chosen by
// the other side.
func trouble(err error) string {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		tlsE tls.RecordHeaderError
		temp net.Error
		op   *net.OpError
	)
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate.Error()
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &temp) && temp.Timeout():
		return "it did not answer in time"
	case errors.As(err, &dns):
		return "its host name was not found"
	case errors.As(err, &cert):
		return "its certificate is not trusted for this host name: if its authority is your own, set ca_file"
	case errors.As(err, &tlsE), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS on this port"
	case errors.As(err, &op) && op.Op == "remote error": // the name of TLS's alerts
		return "it refused the TLS connection: see whether it asks for a certificate of this side"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refused the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ENOTCONN):
		return "it broke off the connection"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket here: see that the service behind it runs"
	case errors.Is(err, syscall.EACCES):
		return "this user may not write to it"
	case errors.Is(err, syscall.EMSGSIZE):
		return "the message is too large for it"
	}
	return "the connection failed"
}

// together makes one line of all faults that settings have; nil for none.
func together(faults ...error) error {
	err := errors.Join(faults...)
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}
