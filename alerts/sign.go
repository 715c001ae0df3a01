package alerts

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"btcwatch/keyfile"
)

// signer makes one signature of a webhook, in the form of Standard Webhooks.
type signer interface {
	sign(text []byte) string
}

// hmacSigner shares its secret with the receiver, who could therefore sign too.
type hmacSigner []byte

func (s hmacSigner) sign(text []byte) string {
	mac := hmac.New(sha256.New, s)
	mac.Write(text)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// ed25519Signer keeps the private key here: what verifies with the public one
// was sent by this program and nobody else, the receiver included.
type ed25519Signer ed25519.PrivateKey

func (s ed25519Signer) sign(text []byte) string {
	return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(ed25519.PrivateKey(s), text))
}

func (s ed25519Signer) public() string {
	return "whpk_" + base64.StdEncoding.EncodeToString(s[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
}

// readSigners reads one secret a line, shared ones (whsec_) and private keys
// (whsk_). During a rotation there are two, and a receiver that knows either
// can verify.
func readSigners(path string) ([]signer, error) {
	text, err := keyfile.Secret("secret_file", path)
	if err != nil {
		return nil, err
	}
	var signers []signer
	for line := range strings.FieldsSeq(text) {
		s, err := readSigner(line)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	return signers, nil
}

func readSigner(line string) (signer, error) {
	const shared = `secret_file: each line that begins with whsec_ must go on with 24 to 64 bytes in base64; make one with: printf 'whsec_%s\n' "$(openssl rand -base64 32)"`
	const private = `secret_file: each line that begins with whsk_ must go on with an ed25519 key of 32 bytes in base64, or of 64 with its public half; make one with: printf 'whsk_%s\n' "$(openssl genpkey -algorithm ed25519 -outform DER | tail -c 32 | base64)"`
	kind, encoded, _ := strings.Cut(line, "_")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case kind == "whsec" && err == nil && len(raw) >= 24 && len(raw) <= 64:
		return hmacSigner(raw), nil
	case kind == "whsk" && err == nil && len(raw) == ed25519.SeedSize:
		return ed25519Signer(ed25519.NewKeyFromSeed(raw)), nil
	case kind == "whsk" && err == nil && len(raw) == ed25519.PrivateKeySize:
		key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
		if key.Equal(ed25519.PrivateKey(raw)) {
			return ed25519Signer(key), nil
		}
		return nil, errors.New("secret_file: the public half of a key that begins with whsk_ is not that of its private half")
	case kind == "whsk":
		return nil, errors.New(private)
	case kind == "whpk":
		return nil, errors.New("secret_file: whpk_ is a public key, which the receiver needs; sign with the private one, whsk_")
	}
	if kind != "whsec" {
		return nil, errors.New("secret_file: a line in it begins neither with whsec_ nor with whsk_; make a secret with: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\"")
	}
	return nil, errors.New(shared)
}
