package explorer

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of failure, for errors.Is. Nothing but a well-formed empty answer
// means "none": whatever else an explorer does is one of these.
var (
	// ErrRateLimited: asked too often; RetryAfter says when to come back.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable: no whole answer came; asking again later may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrNotFound: a proper answer that the transaction, block or price is not known.
	ErrNotFound = errors.New("not found")
	// ErrRefused: the explorer will not answer this; asking again is no use.
	ErrRefused = errors.New("refused")
	// ErrMalformed: the answer is not what this kind of explorer answers.
	ErrMalformed = errors.New("malformed")
	// ErrLying: the answer is well-formed and contradicts itself or the question.
	ErrLying = errors.New("lying")
)

// Error is one question that got no usable answer.
type Error struct {
	Kind       error         // one of the sentinels above
	Explorer   string        // the explorer's name
	Question   string        // what was asked, in words
	Status     int           // of HTTP; 0: there was none
	RetryAfter time.Duration // how long to leave the explorer alone; 0: not said
	Detail     string        // our words: an explorer's text is never passed on

	cause error // the context's end, or errTooLarge, where that is why
}

// Error says what was asked of whom and what went wrong.
func (e *Error) Error() string {
	var text strings.Builder
	if e.Question != "" {
		fmt.Fprintf(&text, "fetch %s from %s: ", e.Question, e.Explorer)
	}
	text.WriteString(e.Kind.Error())
	if e.Detail != "" {
		text.WriteString(": " + e.Detail)
	}
	if e.Status != 0 {
		fmt.Fprintf(&text, " (HTTP %d)", e.Status)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&text, "; again in %s", max(e.RetryAfter.Round(time.Second), time.Second))
	}
	return text.String()
}

// Unwrap gives the kind, and the cause where one is known.
func (e *Error) Unwrap() []error {
	if e.cause != nil {
		return []error{e.Kind, e.cause}
	}
	return []error{e.Kind}
}

// RetryAfter says how long the explorer is to be left alone, and false where
// the error does not tell.
func RetryAfter(err error) (time.Duration, bool) {
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter, true
	}
	return 0, false
}

// malformed and lying are what readers of answers return; the client adds who
// was asked what.
func malformed(format string, args ...any) *Error {
	return &Error{Kind: ErrMalformed, Detail: fmt.Sprintf(format, args...)}
}

func lying(format string, args ...any) *Error {
	return &Error{Kind: ErrLying, Detail: fmt.Sprintf(format, args...)}
}
