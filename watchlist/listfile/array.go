package listfile

import (
	"bytes"
	"encoding/json"
	"iter"

	"btcwatch/watchlist"
)

func isArray(beginning []byte) bool {
	text, found := bytes.CutPrefix(bytes.TrimSpace(beginning), []byte("["))
	return found && bytes.HasPrefix(bytes.TrimSpace(text), []byte(`"`))
}

// readArray reads a flat array of addresses; it has no lines to speak of.
func readArray(in Input) iter.Seq2[watchlist.Entry, error] {
	symbol := symbolOf(in.Name)
	return func(yield func(watchlist.Entry, error) bool) {
		tokens := json.NewDecoder(in.Text)
		fault := func(reason string) { yield(watchlist.Entry{}, &FaultError{Reason: reason}) }
		if _, err := tokens.Token(); err != nil {
			fault("the JSON cannot be read: " + err.Error())
			return
		}
		for tokens.More() {
			token, err := tokens.Token()
			if err != nil {
				fault("the JSON cannot be read: " + err.Error())
				return
			}
			text, ok := token.(string)
			if !ok {
				fault("something other than an address in quotes stands in the array")
				return
			}
			if !yield(watchlist.Entry{Text: text, Symbol: symbol}, nil) {
				return
			}
		}
		if _, err := tokens.Token(); err != nil {
			fault("the JSON ends amid the array: it is cut off")
			return
		}
		if tokens.More() {
			fault("something follows on the array")
		}
	}
}
