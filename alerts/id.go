package alerts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// ID is an alert's identity: the same fact always has the same one.
type ID [16]byte

// String gives the id as 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText gives the form of String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form of String.
func (id *ID) UnmarshalText(text []byte) error {
	read, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = read
	return nil
}

// ParseID reads an id as String writes it.
func ParseID(text string) (ID, error) {
	var id ID
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return ID{}, fmt.Errorf("%q is no alert id: give its 32 hexadecimal digits, as btcwatch alerts list shows them", text)
	}
	copy(id[:], raw)
	return id, nil
}

// Key is the secret of one installation, 32 bytes. With it the same fact gets
// the same id here for ever, while nobody who guesses the fact can tell from
// an id whether it was watched.
type Key []byte

// ID makes the id of an alert: HMAC-SHA256 over the parts, each with its
// length before it so that no two lists of parts run together.
func (k Key) ID(network string, typ Type, subject string, occasion ...string) ID {
	mac := hmac.New(sha256.New, k)
	for _, part := range append([]string{network, string(typ), subject}, occasion...) {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		io.WriteString(mac, part)
	}
	return ID(mac.Sum(nil)[:len(ID{})])
}

// thread names all that is said about one subject.
func (k Key) thread(network, subject string) string {
	return k.ID(network, "thread", subject).String()
}
