package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is a program that takes webhooks, as a case system would. It checks
// every signature, and can be out of order.
type receiver struct {
	*inbox
	secret []byte

	mu      sync.Mutex
	down    bool
	refused map[string]time.Time // by id: when it was refused first
}

// longestDown is less than the five seconds after which a delivery is tried
// again for the first time: the second retry comes minutes later, and nobody
// wants to look on for so long.
const longestDown = 4 * time.Second

func newReceiver(box *inbox) *receiver {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return &receiver{inbox: box, secret: secret, refused: map[string]time.Time{}}
}

// secretText is the secret as Standard Webhooks writes it.
func (r *receiver) secretText() string {
	return "whsec_" + base64.StdEncoding.EncodeToString(r.secret)
}

func (r *receiver) breakDown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = true
}

func (r *receiver) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = false
}

// refusals gives the ids that were refused.
func (r *receiver) refusals() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for id := range r.refused {
		ids = append(ids, id)
	}
	return ids
}

// ServeHTTP takes one webhook.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	if err != nil {
		return // the sender went away in the middle; it will try again
	}
	id := req.Header.Get("Webhook-Id")
	if err := r.verify(id, req.Header, content); err != nil {
		r.fault("webhook %q: %s", id, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.refuses(id) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.take(id, content)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) refuses(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.down {
		return false
	}
	first, again := r.refused[id]
	if again && time.Since(first) > longestDown {
		r.down = false
		return false
	}
	if !again {
		r.refused[id] = time.Now()
	}
	return true
}

// verify checks a webhook as Standard Webhooks 1.0.0 says.
func (r *receiver) verify(id string, header http.Header, content []byte) error {
	at := header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if age := time.Since(time.Unix(seconds, 0)); err != nil || age.Abs() > 5*time.Minute {
		return fmt.Errorf("its time is %q", at)
	}
	mac := hmac.New(sha256.New, r.secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, content)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !slices.Contains(strings.Fields(header.Get("Webhook-Signature")), want) {
		return fmt.Errorf("its signature is wrong")
	}
	if b, err := readBody(content); err != nil || b.Data.ID != id {
		return fmt.Errorf("the id in its body is %q", b.Data.ID)
	}
	return nil
}
