package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// ErrFalseEvidence is wrapped by every refusal of a file: it is none, was
// changed, or says what its bytes do not bear out.
var ErrFalseEvidence = errors.New("false evidence")

func falsef(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFalseEvidence}, args...)...)
}

// MaxEvidence is the most bytes that a file may have.
const MaxEvidence = 64 << 20

// The bounds of what is read before anything in it is believed.
const (
	mostDepth  = 8
	mostDigits = 17 // of 21 million coins in satoshis, and a sign
	mostKey    = 32
)

// ReadEvidence reads a file whole: its digest, and that it is of this format to
// the last key. Whether what it says is true is Verify's part.
func ReadEvidence(file []byte) (*Evidence, error) {
	body, err := unseal(file)
	if err != nil {
		return nil, err
	}
	if err := strict(file); err != nil {
		return nil, err
	}
	var e Evidence
	// The seal was checked, so that the object can end here.
	decoder := json.NewDecoder(io.MultiReader(bytes.NewReader(body[:len(body)-2]), strings.NewReader("}")))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return nil, falsef("not of this format: %v", err)
	}
	switch {
	case e.Format != EvidenceFormat:
		return nil, falsef("its format is %.40q; this program reads %q", e.Format, EvidenceFormat)
	case e.About != evidenceAbout:
		return nil, falsef("its text about itself is another one than the format has")
	}
	return &e, nil
}

// unseal checks the digest and gives what it is over.
func unseal(file []byte) ([]byte, error) {
	switch {
	case len(file) > MaxEvidence:
		return nil, falsef("%d bytes; %d are the most", len(file), MaxEvidence)
	case !utf8.Valid(file):
		return nil, falsef("it is not text in UTF-8")
	case bytes.HasPrefix(file, []byte("\xef\xbb\xbf")) || bytes.Contains(file, []byte("\r")):
		return nil, falsef("it was changed on its way: its ends of lines or its beginning were converted")
	case !bytes.HasPrefix(file, []byte("{\n")) || len(file) < sealSize+2:
		return nil, falsef("it is no evidence file, or was cut off")
	}
	body, seal := file[:len(file)-sealSize], file[len(file)-sealSize:]
	if !bytes.HasPrefix(seal, []byte(sealHead)) || !bytes.HasSuffix(seal, []byte(sealTail)) || !bytes.HasSuffix(body, []byte(",\n")) {
		return nil, falsef("it does not end with its digest: it was cut off or changed")
	}
	if !bytes.Equal(seal, sealOf(body)) {
		return nil, falsef("its digest does not fit: it was changed after it was made")
	}
	return body, nil
}

// strict refuses what different readers could read differently, or what would
// cost more than the file is worth: a key twice, keys that differ in case,
// depth, and numbers other than short whole ones.
func strict(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := strictValue(decoder, 0); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return falsef("something stands behind its end")
	}
	return nil
}

func strictValue(decoder *json.Decoder, depth int) error {
	token, err := decoder.Token()
	switch {
	case err != nil:
		return falsef("not JSON: %v", err)
	case depth > mostDepth:
		return falsef("nested deeper than the format is")
	case token == json.Delim('{'):
		return strictObject(decoder, depth)
	case token == json.Delim('['):
		for decoder.More() {
			if err := strictValue(decoder, depth+1); err != nil {
				return err
			}
		}
		return closing(decoder)
	case token == nil:
		return falsef("a null, which the format does not have")
	}
	if n, ok := token.(json.Number); ok && (len(n) > mostDigits || strings.ContainsAny(string(n), ".eE") || n == "-0") {
		return falsef("a number other than a short whole one")
	}
	return nil
}

func strictObject(decoder *json.Decoder, depth int) error {
	known := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return falsef("not JSON: %v", err)
		}
		key, _ := token.(string) // the decoder takes nothing else here
		switch {
		case known[key]:
			return falsef("it has the key %.*q twice", mostKey, key)
		case len(key) > mostKey || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
			return falsef("it has the key %.*q, which the format does not have", mostKey, key)
		}
		known[key] = true
		if err := strictValue(decoder, depth+1); err != nil {
			return err
		}
	}
	return closing(decoder)
}

func closing(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return falsef("not JSON: %v", err)
	}
	return nil
}
