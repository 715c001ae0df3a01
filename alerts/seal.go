package alerts

import (
	"bytes"
	"encoding/json"
	"time"
)

// seal fills in the body of an alert, from then on the same bytes for ever.
func seal(a Alert, d Data) Alert {
	a.At = instant(a.At)
	d.ID, d.Thread, d.Severity = a.ID.String(), a.Thread, a.Severity.String()
	a.Body = encode(Body{Type: a.Type, Timestamp: a.At, Data: d})
	return a
}

// encode writes compact JSON. It cannot fail: a body holds nothing but
// strings, numbers and times that JSON has a form for.
func encode(b Body) []byte {
	var buffer bytes.Buffer
	enc := json.NewEncoder(&buffer)
	enc.SetEscapeHTML(false) // for machines; the channels for people escape for their own medium
	if err := enc.Encode(b); err != nil {
		panic("alerts: encode a body: " + err.Error())
	}
	return bytes.TrimRight(buffer.Bytes(), "\n")
}

// instant cuts a time to what Postgres and every receiver can hold. JSON has
// no form for years beyond 9999, which no clock here should show.
func instant(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Microsecond)
	if t.Year() > 9999 || t.Year() < 1 {
		return time.Time{}
	}
	return t
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = instant(t)
	return &t
}

func momentOf(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return moment(*t)
}
