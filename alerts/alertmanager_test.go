package alerts

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func openAt(t *testing.T, kind, table string, now time.Time) Channel {
	t.Helper()
	c, err := Open(settings(kind, table), Env{Version: "1.2.3", Host: "desk1", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ends pairs each message that ends something with the one that it ends.
func ends(t *testing.T) map[string][2]Alert {
	s := samples(t)
	over := blindness("blocks", "blocks")
	over.Until, over.Hole.Closed = over.At.Add(time.Hour), ptr(true)
	over.At = over.Until
	hole := over
	hole.Hole.Closed = ptr(false)
	well := outage("mempool.space")
	well.Until = well.At.Add(time.Hour)
	well.At = well.Until
	unusable := blindness("canary", "canary")
	unusable.Reason = CanaryWatched
	usable := unusable
	usable.Until, usable.Hole.Closed = usable.At, ptr(true)
	return map[string][2]Alert{
		"usable":     {unusable.Blind(testKey()), usable.Restored(testKey())},
		"restored":   {blindness("blocks", "blocks").Blind(testKey()), over.Restored(testKey())},
		"with hole":  {blindness("blocks", "blocks").Blind(testKey()), hole.Restored(testKey())},
		"recovered":  {outage("mempool.space").ExplorerFailing(testKey()), well.ExplorerRecovered(testKey())},
		"goes on":    {s["stopped"], s["goes-on"]},
		"refollowed": {s["stopped"], s["refollowed"]},
	}
}

// TestWhatEndsHasTheLabelsOfWhatItEnds: Alertmanager knows an alert by all of
// its labels, so that one that differs would leave the first one firing.
func TestWhatEndsHasTheLabelsOfWhatItEnds(t *testing.T) {
	now := at("2026-03-01T13:00:00Z")
	c := openAt(t, "alertmanager", `url = "https://example.org"`, now).(*alertmanager)
	for name, pair := range ends(t) {
		if pair[0].Thread != pair[1].Thread {
			t.Fatalf("%s: not of one thread", name)
		}
		first := c.alerts(message(t, pair[0]))
		m := message(t, pair[1])
		m.ReplyTo = &pair[0].ID
		last := c.alerts(m)
		if len(first) != 1 || first[0].EndsAt.Before(now.Add(365*24*time.Hour)) {
			t.Errorf("%s: what lasts is sent as %+v", name, first)
		}
		if last[0].Labels != first[0].Labels {
			t.Errorf("%s: ends %+v, not %+v", name, last[0].Labels, first[0].Labels)
		}
		if last[0].EndsAt.After(now.Add(-skew)) || last[0].EndsAt.Before(last[0].StartsAt) {
			t.Errorf("%s: over from %s to %s", name, last[0].StartsAt, last[0].EndsAt)
		}
		alone := len(last) == 1
		if alone != (name == "restored" || name == "recovered" || name == "goes on" || name == "usable") {
			t.Errorf("%s: %d alerts", name, len(last))
		}
		if !alone && (last[1].Labels.AlertID != pair[1].ID.String() || !last[1].EndsAt.Equal(now.Add(24*time.Hour))) {
			t.Errorf("%s: its own alert is %+v", name, last[1])
		}
		m.ReplyTo = nil // what it ends never went to this channel
		if own := c.alerts(m); len(own) != 1 || own[0].Labels.AlertID != pair[1].ID.String() || !own[0].EndsAt.After(now) {
			t.Errorf("%s: without the first: %+v", name, own)
		}
	}
}

// TestAnAlertThatComesLateIsNotOver: after days of trying it is as new there as
// it would have been at once.
func TestAnAlertThatComesLateIsNotOver(t *testing.T) {
	m := message(t, told(t)(incoming().Seen(testKey())))
	now := m.Decoded.Timestamp.Add(75 * time.Hour)
	c := openAt(t, "alertmanager", "url = \"https://example.org/\"\nresolve_after = \"6h\"", now).(*alertmanager)
	if got := c.alerts(m); len(got) != 1 || !got[0].EndsAt.Equal(now.Add(6*time.Hour)) || !got[0].StartsAt.Equal(m.Decoded.Timestamp) {
		t.Errorf("%+v", got)
	}
	c = openAt(t, "alertmanager", `url = "https://example.org/"`, m.Decoded.Timestamp.Add(-72*time.Hour)).(*alertmanager)
	if got := c.alerts(m); got[0].EndsAt.Before(got[0].StartsAt) {
		t.Errorf("with a clock that lags: %+v", got)
	}
	if c.url != "https://example.org/api/v2/alerts" {
		t.Errorf("posts to %s", c.url)
	}
}

// TestAnEndThatComesFirstCounts: the beginning of an outage that could not be
// delivered in time is told, and does not last for ever.
func TestAnEndThatComesFirstCounts(t *testing.T) {
	var last []postedAlert
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		last = nil
		json.NewDecoder(r.Body).Decode(&last)
	}))
	t.Cleanup(server.Close)
	now := at("2026-03-01T13:00:00Z")
	for name, pair := range ends(t) {
		c := openAt(t, "alertmanager", `url = "`+server.URL+`"`+"\nallow_private = true", now)
		m := message(t, pair[1])
		m.ReplyTo = &pair[0].ID
		for i, sent := range []Message{m, message(t, pair[0])} {
			if err := c.Send(context.Background(), sent); err != nil {
				t.Fatalf("%s: %d: %v", name, i, err)
			}
		}
		if len(last) != 1 || last[0].Labels.AlertID != pair[0].ID.String() || !last[0].EndsAt.Equal(now.Add(24*time.Hour)) {
			t.Errorf("%s: %+v", name, last)
		}
	}
}

// TestRealAlertmanager: it takes each sort of alert, takes no two for one,
// pages for a second incident like the first, and ends what has ended.
func TestRealAlertmanager(t *testing.T) {
	var mu sync.Mutex
	paged := map[string]string{} // by alert id: the last status
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var told struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		raw, _ := io.ReadAll(r.Body)
		json.Unmarshal(raw, &told)
		mu.Lock()
		defer mu.Unlock()
		for _, a := range told.Alerts {
			paged[a.Labels["alert_id"]] = a.Status
		}
	}))
	t.Cleanup(hook.Close)
	status := func(id ID) string {
		mu.Lock()
		defer mu.Unlock()
		return paged[id.String()]
	}
	url := runAlertmanager(t, hook.URL)
	c, err := Open(settings("alertmanager", `url = "`+url+`"`+"\nallow_private = true"), Env{})
	if err != nil {
		t.Fatal(err)
	}
	all := samples(t)
	second := incoming()
	second.Turn = 1
	all["seen-again"] = told(t)(second.Seen(testKey()))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for range 2 { // a repeat makes no second one
			if err := c.Send(context.Background(), message(t, all[name])); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	shown := shownBy(t, url)
	ids := map[ID]bool{}
	for name, a := range all {
		ids[a.ID] = true
		got, ok := shown[a.ID.String()]
		if !ok {
			t.Errorf("%s is not shown", name)
		}
		for _, v := range got.Annotations {
			if strings.Contains(v, articleOne) || strings.Contains(v, someTxID) {
				t.Errorf("%s shows %q", name, v)
			}
		}
		within(t, "the page for "+name, func() bool { return status(a.ID) == "firing" })
	}
	if len(shown) != len(ids) {
		t.Errorf("%d are shown for %d alerts", len(shown), len(ids))
	}
	for name, pair := range ends(t) {
		m := message(t, pair[1])
		m.ReplyTo = &pair[0].ID
		if err := c.Send(context.Background(), m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		within(t, "the end of "+name, func() bool { return status(pair[0].ID) != "firing" })
	}
}
