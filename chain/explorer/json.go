package explorer

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// jsonReader reads one JSON answer that is not trusted, in one pass and without
// a tree. It is stricter than encoding/json, which takes the last of duplicate
// keys, any case of a key, null for anything, and leaves what is missing at
// zero: each of those would let an explorer say two things at once, or turn
// silence into a zero. Here a key is itself or unknown, a number that we need
// is a whole one, and null is only where the caller asks for it.
//
// The first fault stays in err; after it everything reads as zero and ends.
type jsonReader struct {
	text  string
	at    int
	depth int
	items int      // of all lists so far
	keys  []string // of the objects being read, outermost first
	name  string   // the last key that we know, for messages
	err   error
}

// Far beyond what any explorer sends, and near enough to bound the work.
const (
	maxJSONDepth = 32
	maxJSONKeys  = 128       // of one object
	maxJSONItems = 1_000_000 // of all lists; three bytes of an answer can become an item of 24
)

// readJSON reads one document with nothing after it.
func readJSON[T any](body []byte, read func(r *jsonReader) T) (T, error) {
	r := &jsonReader{text: string(body)}
	answer := read(r)
	if r.space(); r.err == nil && r.at != len(r.text) {
		r.fail("something follows the answer")
	}
	if r.err != nil {
		var none T
		return none, r.err
	}
	return answer, nil
}

// fail keeps the first fault, in our words.
func (r *jsonReader) fail(what string) {
	switch {
	case r.err != nil:
	case r.name != "":
		r.err = malformed("%s: %s", r.name, what)
	default:
		r.err = malformed("%s", what)
	}
}

// lies keeps the first fault, where the answer is well-formed and cannot be true.
func (r *jsonReader) lies(what string) {
	if r.err == nil {
		r.err = lying("%s: %s", r.name, what)
	}
}

func (r *jsonReader) space() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

// next gives the next byte that is no space, without passing it; 0 at the end.
func (r *jsonReader) next() byte {
	if r.space(); r.err != nil || r.at >= len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// take passes one given byte.
func (r *jsonReader) take(want byte) bool {
	if r.next() != want {
		return false
	}
	r.at++
	return true
}

func (r *jsonReader) enter(open byte, what string) bool {
	if !r.take(open) {
		r.fail(what + " was to come here")
		return false
	}
	if r.depth++; r.depth > maxJSONDepth {
		r.fail("nested too deeply")
		return false
	}
	return true
}

// more passes the comma or the closing byte after an element, and says whether
// another element follows.
func (r *jsonReader) more(end byte) bool {
	switch {
	case r.take(','):
		return true
	case r.take(end):
		r.depth--
	default:
		r.fail("the answer is cut off or is no JSON")
	}
	return false
}

// object reads an object: field reads the value of each key. Keys must differ,
// and all that are required must be there.
func (r *jsonReader) object(field func(key string), required ...string) {
	if !r.enter('{', "an object") {
		return
	}
	first, known := len(r.keys), 0
	if r.take('}') {
		r.depth--
	} else {
		for again := true; again; again = r.more('}') {
			if key := r.key(r.keys[first:]); slices.Contains(required, key) {
				known++
			}
			if r.err == nil {
				field(r.name)
			}
		}
	}
	if known < len(required) {
		r.missing(r.keys[first:], required)
	}
	r.keys = r.keys[:first]
}

// key reads a key and its colon.
func (r *jsonReader) key(before []string) string {
	key := r.string()
	if !r.take(':') {
		r.fail("the answer is cut off or is no JSON")
	}
	if slices.Contains(before, key) {
		r.fail("a key comes twice")
	}
	if len(before) >= maxJSONKeys {
		r.fail("an object has too many keys")
	}
	if r.err == nil {
		r.keys, r.name = append(r.keys, key), key
	}
	return key
}

func (r *jsonReader) missing(have, required []string) {
	for _, key := range required {
		if !slices.Contains(have, key) {
			r.name = key
			r.fail("missing")
			return
		}
	}
}

// array reads an array: element reads each of its values.
func (r *jsonReader) array(element func()) {
	if !r.enter('[', "a list") {
		return
	}
	if r.take(']') {
		r.depth--
		return
	}
	for again := true; again && r.err == nil; again = r.more(']') {
		if r.items++; r.items > maxJSONItems {
			r.fail("lists too long")
		}
		element()
	}
}

// string reads a string.
func (r *jsonReader) string() string {
	if !r.take('"') {
		r.fail("a string was to come here")
		return ""
	}
	start, escaped := r.at, false
	for ; r.at < len(r.text) && r.text[r.at] != '"'; r.at++ {
		switch c := r.text[r.at]; {
		case c < 0x20:
			r.fail("a control character in a string")
			return ""
		case c == '\\':
			escaped = true
			r.at++
		}
	}
	if r.at >= len(r.text) {
		r.fail("the answer is cut off or is no JSON")
		return ""
	}
	r.at++
	if escaped {
		return r.unescape(r.text[start-1 : r.at])
	}
	return r.text[start : r.at-1]
}

func (r *jsonReader) unescape(quoted string) string {
	var plain string
	if json.Unmarshal([]byte(quoted), &plain) != nil {
		r.fail("a string with a wrong escape")
	}
	return plain
}

// integer reads a whole number of the given range.
func (r *jsonReader) integer(least, most int64) int64 {
	if c := r.next(); c != '-' && (c < '0' || c > '9') {
		r.fail("a number was to come here")
		return 0
	}
	n, err := strconv.ParseInt(r.number(), 10, 64)
	if r.err == nil && (err != nil || n < least || n > most) {
		r.fail("not a whole number in its range")
	}
	if r.err != nil {
		return 0
	}
	return n
}

// number passes a number and gives its text.
func (r *jsonReader) number() string {
	start := r.at
	for r.at < len(r.text) && strings.IndexByte("+-.0123456789Ee", r.text[r.at]) >= 0 {
		r.at++
	}
	text := r.text[start:r.at]
	if !json.Valid([]byte(text)) { // leading zeros and the like
		r.fail("not a number")
	}
	return text
}

// boolean reads true or false.
func (r *jsonReader) boolean() bool {
	switch {
	case r.word("true"):
		return true
	case !r.word("false"):
		r.fail("true or false was to come here")
	}
	return false
}

// null passes a null, if there is one.
func (r *jsonReader) null() bool { return r.word("null") }

func (r *jsonReader) word(word string) bool {
	if r.next() == 0 || !strings.HasPrefix(r.text[r.at:], word) {
		return false
	}
	r.at += len(word)
	return true
}

// skip passes the value of a key that we do not know, as strictly as the rest.
func (r *jsonReader) skip() {
	r.name = "" // the explorer's words, not for messages
	switch c := r.next(); {
	case c == '{':
		r.object(func(string) { r.skip() })
	case c == '[':
		r.array(r.skip)
	case c == '"':
		r.string()
	case c == '-' || (c >= '0' && c <= '9'):
		r.number()
	case !r.null():
		r.boolean()
	}
}

// hex reads bytes in hexadecimal.
func (r *jsonReader) hex() []byte {
	data, err := hex.DecodeString(r.string())
	if err != nil {
		r.fail("not hexadecimal")
	}
	return data
}

// hash reads a txid or block hash in its usual, reversed spelling.
func (r *jsonReader) hash() chainhash.Hash {
	hash, ok := parseHash(r.string())
	if !ok {
		r.fail("not a hash of 64 hexadecimal digits")
	}
	return hash
}

// parseHash reads a hash of exactly 64 digits; chainhash would fill up a
// shorter one with zeros.
func parseHash(text string) (chainhash.Hash, bool) {
	if len(text) != 2*chainhash.HashSize {
		return chainhash.Hash{}, false
	}
	hash, err := chainhash.NewHashFromStr(text)
	if err != nil {
		return chainhash.Hash{}, false
	}
	return *hash, true
}
