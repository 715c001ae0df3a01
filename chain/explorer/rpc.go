package explorer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
)

// call is a question in the way of JSON-RPC, which nodes and Electrum servers
// speak.
type call struct {
	method string
	params []any
}

// firstID is the id of the only call of a request, or of the first of several.
const firstID = 1

// encode writes calls as a request: one as an object, several as a list, with
// ids counting up from the first.
func encode(calls []call, first int64) []byte {
	var all []map[string]any
	for i, c := range calls {
		params := c.params
		if params == nil {
			params = []any{}
		}
		all = append(all, map[string]any{"jsonrpc": "2.0", "id": first + int64(i), "method": c.method, "params": params})
	}
	var request any = all
	if len(all) == 1 {
		request = all[0]
	}
	text, err := json.Marshal(request)
	if err != nil {
		panic(err) // parameters are our own strings and numbers
	}
	return text
}

// refusedCall is an error in the way of JSON-RPC. The words are the other side's:
// to recognise phrases by, in lower case, and for nothing else.
type refusedCall struct {
	code  int64
	words string
	bare  bool // a text where an object with a code was to come
}

func (e refusedCall) says(phrases ...string) bool {
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(e.words, p) })
}

// readReply reads one reply: either its result or its error, which refuse puts
// into our words. A result of null is none.
func readReply[T any](r *jsonReader, refuse func(refusedCall) error, read func(r *jsonReader) T) (answer T, id int64) {
	var refused *refusedCall
	answered := false
	r.object(func(key string) {
		switch key {
		case "result":
			if !r.null() {
				answer, answered = read(r), true
			}
		case "error":
			if !r.null() {
				refused = readRefusal(r)
			}
		case "id":
			id = r.integer(math.MinInt64, math.MaxInt64)
		default:
			r.skip()
		}
	}, "id")
	switch {
	case r.err != nil:
	case refused != nil && answered:
		r.fail("an answer and an error at once")
	case refused != nil:
		r.err = refuse(*refused)
	case !answered:
		r.fail("neither an answer nor an error")
	}
	if r.err != nil {
		var none T
		return none, id
	}
	return answer, id
}

// readRefusal reads the error of a reply: an object, or only a text, as the
// Electrum side of Esplora's servers has it.
func readRefusal(r *jsonReader) *refusedCall {
	if r.next() == '"' {
		return &refusedCall{words: strings.ToLower(r.string()), bare: true}
	}
	refused := &refusedCall{}
	r.object(func(key string) {
		switch key {
		case "code":
			refused.code = r.integer(math.MinInt32, math.MaxInt32)
		case "message":
			refused.words = strings.ToLower(r.string())
		default:
			r.skip()
		}
	}, "code", "message")
	return refused
}

// readCall reads the reply to a call with an id.
func readCall[T any](body []byte, id int64, refuse func(refusedCall) error, read func(r *jsonReader) T) (T, error) {
	return readJSON(body, func(r *jsonReader) T {
		answer, got := readReply(r, refuse, read)
		if r.err == nil && got != id {
			r.fail("a reply to another call")
		}
		return answer
	})
}

// readCalls reads the replies to several calls, in the order of the calls; they
// may come in any.
func readCalls[T any](body []byte, count int, refuse func(refusedCall) error, read func(r *jsonReader) T) ([]T, error) {
	return readJSON(body, func(r *jsonReader) []T {
		answers, known := make([]T, count), make([]bool, count)
		came := 0
		r.array(func() {
			answer, id := readReply(r, refuse, read)
			i := id - firstID
			if r.err == nil && (i < 0 || i >= int64(count) || known[i]) {
				r.fail("a reply to no call")
			}
			if r.err == nil {
				answers[i], known[i] = answer, true
				came++
			}
		})
		if r.err == nil && came < count {
			r.fail("fewer replies than calls")
		}
		return answers
	})
}

// errIsCallError stands for any error of a reply.
var errIsCallError = errors.New("a reply with an error")

// callError gives the body of a reply that is an error in the way of JSON-RPC,
// which nodes send with a status of their choice: bitcoind 500 or 404, btcd 200.
// Else the answer can still be read.
func callError(res *http.Response, q question) (body []byte, ok bool) {
	if len(q.calls) == 0 || !slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError}, res.StatusCode) {
		return nil, false
	}
	body, _ = io.ReadAll(io.LimitReader(res.Body, textLimit)) // what broke off is no error that we know
	res.Body = io.NopCloser(bytes.NewReader(body))
	_, err := readJSON(body, func(r *jsonReader) bool {
		readReply(r, func(refusedCall) error { return errIsCallError }, func(r *jsonReader) bool { r.skip(); return true })
		return true
	})
	return body, errors.Is(err, errIsCallError)
}
