package listfile

import (
	"encoding/json"
	"iter"
	"regexp"
	"strings"

	"btcwatch/watchlist"
)

var ransomwhereHas = regexp.MustCompile(`"family"\s*:`)

func isRansomwhere(beginning []byte) bool {
	text := strings.TrimSpace(string(beginning))
	return (strings.HasPrefix(text, `{"result"`) || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")) &&
		ransomwhereHas.MatchString(text) && strings.Contains(text, `"blockchain"`) && strings.Contains(text, `"address"`)
}

// readRansomwhere reads the export of ransomwhe.re. Its balances and payments are
// not read: they are sums of others, in floating point.
func readRansomwhere(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		for one, err := range elements(in.Text, "result") {
			var r struct {
				Address    string `json:"address"`
				Family     string `json:"family"`
				Blockchain string `json:"blockchain"`
				CreatedAt  string `json:"createdAt"`
			}
			if err == nil {
				if json.Unmarshal(one.raw, &r) != nil {
					err = &FaultError{Line: one.line, Reason: "an entry of another shape than ransomwhe.re's"}
				}
			}
			e := watchlist.Entry{Line: one.line, Text: r.Address, Symbol: r.Blockchain}
			e.Listing = watchlist.Listing{
				Label: r.Family, Category: "ransomware", Source: watchlist.Source{Title: "Ransomwhere", Publisher: "ransomwhe.re", Date: dateIn(r.CreatedAt)},
			}
			if r.Address == "" {
				e.Fault = "it names no address"
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
