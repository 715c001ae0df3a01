package alerts

import (
	"fmt"
	"regexp"
	"strings"
)

// detail is how much of an alert a channel shows that others read too: a chat,
// or a system that passes on what it gets.
type detail string

const (
	detailBrief detail = ""     // what kind of thing happened, how severe, the label, and the id to look it up by
	detailFull  detail = "full" // all of it
)

// readDetail reads the key.
func readDetail(word string) (detail, error) {
	switch word {
	case "", "brief":
		return detailBrief, nil
	case "full":
		return detailFull, nil
	}
	return detailBrief, fmt.Errorf(`unknown detail %q: use "brief" or "full"`, word)
}

// briefly says in one sentence what happened, without an address, a
// transaction, an amount or anybody's name but the label. What is about the
// watch itself is said as it is; of what is not known here, nothing but its type.
func briefly(b Body) string {
	d := b.Data
	switch b.Type {
	case WatchBlind, WatchRestored, ExplorerFailing, ExplorerRecovered, ChainQuiet, ChainStuck, ChainReorged, ChannelFailing, ChannelTest, ReportDaily:
		return sentence(withoutNames(d.Summary))
	}
	what, ok := map[Type]string{
		TransactionSeen:      "A payment was seen, not confirmed yet",
		TransactionConfirmed: "A payment is in a block",
		TransactionReorged:   "Correction: the block of a payment has left the chain",
		TransactionReplaced:  "Correction: another transaction replaces a payment",
		TransactionDropped:   "Correction: no explorer knows a payment any more",
		TransactionRefuted:   "Correction: what was told as a payment was none",
		ListChanged:          "The list of watched addresses has changed",
		ListFailing:          "A list of addresses could not be taken",
		ListRecovered:        "A list of addresses is taken again",
		MessagesSummed:       "Several messages, summed up",
	}[b.Type]
	if d.Summed != nil {
		what = capital(count(d.Summed.Count, "message", "messages")) + ", summed up"
	}
	if name := b.Type.Rule(); name != "" {
		what, ok = "Payments over time meet the rule "+clean(name), true
	}
	if !ok {
		what = shorten(safe(string(b.Type)), 80)
	}
	if d.Network != "" && d.Network != "mainnet" {
		what += " on " + clean(d.Network)
	}
	if label := clean(d.Label); label != "" {
		what += " (" + label + ")"
	}
	return what + "."
}

// longWord is an address, a transaction id or a hash, for no word of ours and no
// number has so many letters and digits in a row; or what is left of one where a
// text was cut off.
var longWord = regexp.MustCompile(`[0-9A-Za-z]{25,}…?|[0-9A-Za-z]+…`)

// withoutNames leaves out of a sentence the addresses and transactions that it
// names: why an explorer fails is said by the question that it failed at.
func withoutNames(text string) string { return longWord.ReplaceAllString(text, "…") }

// headline is the first line of an alert in a chat.
func (w detail) headline(b Body) string {
	if w == detailFull {
		return sentence(b.Data.Summary)
	}
	return briefly(b)
}

// following says to which earlier message this one belongs, where the medium
// itself cannot show it.
func following(m Message) string {
	var all []string
	if corrects := clean(m.Decoded.Data.Corrects); corrects != "" {
		all = append(all, "Corrects alert "+corrects+".")
	}
	if m.ReplyTo != nil && m.ReplyTo.String() != m.Decoded.Data.Corrects {
		all = append(all, "Follows on alert "+m.ReplyTo.String()+".")
	}
	return strings.Join(all, " ")
}
