package main

import (
	"bytes"
	"fmt"
	"net/mail"
	"slices"
	"strings"
)

// threads gives the alerts that have to come, by the payment with which their
// thread begins.
func (w *world) threads() map[*effect][]told {
	threads := map[*effect][]told{}
	for _, want := range w.wanted {
		if want.about != nil {
			first := want.about.first()
			threads[first] = append(threads[first], want)
		}
	}
	return threads
}

// countThreads looks whether all that was told of a payment is one thread, and
// of no other payment.
func (w *world) countThreads(t *tally) {
	taken := map[string]bool{}
	for first, all := range w.threads() {
		var faults []string
		thread := ""
		for _, want := range all {
			b, _ := w.find(w.record.inbox, want)
			if thread == "" {
				thread = b.Data.Thread
			}
			if b.Data.Thread == "" || b.Data.Thread != thread || taken[thread] {
				faults = append(faults, fmt.Sprintf("%s is in the thread %q", want, b.Data.Thread))
			}
		}
		taken[thread] = true
		faults = append(faults, w.mailFaults(thread)...)
		t.check(len(faults) == 0, "the thread of %s: %v", told{kind: "payment", about: first}, faults)
	}
}

// mailFaults looks whether the mails of a thread are a thread to a mail program
// too: all are replies to the first. Only a kill between a mail and the note
// that it was sent leaves one without, for nothing is then known to reply to.
func (w *world) mailFaults(thread string) (faults []string) {
	killed, _ := w.daemon.state()
	var before []string
	for _, id := range w.mailsOf(thread) {
		answered, err := w.answeredBy(id)
		right := len(before) == 0 && answered == "" || len(before) > 0 && answered == before[0]
		spoilt := killed && (answered == "" || slices.Contains(before, answered))
		if err != nil || !right && !spoilt {
			faults = append(faults, fmt.Sprintf("the mail of alert %s is a reply to %q (%v)", id, answered, err))
		}
		before = append(before, id)
	}
	return faults
}

// mailsOf gives the alerts of a thread in the order in which their mails came.
func (w *world) mailsOf(thread string) (ids []string) {
	of := map[string]string{}
	for _, b := range w.record.bodies() {
		of[b.Data.ID] = b.Data.Thread
	}
	came, _, _ := w.compliance.state()
	for _, id := range came {
		if of[id] == thread {
			ids = append(ids, id)
		}
	}
	return ids
}

// answeredBy is the alert to whose mail the mail of another one is a reply.
func (w *world) answeredBy(id string) (string, error) {
	arrived, _ := w.compliance.get(id)
	message, err := mail.ReadMessage(bytes.NewReader(arrived.content))
	if err != nil {
		return "", err
	}
	answered, _, _ := strings.Cut(strings.Trim(message.Header.Get("In-Reply-To"), "<> "), "@")
	return answered, nil
}

// sameThread says that an alert came as a reply to the first about its payment.
func (w *world) sameThread(b body) error {
	mails := w.mailsOf(b.Data.Thread)
	if faults := w.mailFaults(b.Data.Thread); len(faults) > 0 || !slices.Contains(mails, b.Data.ID) {
		return fmt.Errorf("alert %s is not in the thread of its payment, whose mails are %v: %v", b.Data.ID, mails, faults)
	}
	w.say.happened("It is in the same thread: its mail is a reply to that of alert %s, the first of %d.", mails[0], len(mails))
	return nil
}
