package alerts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// syslogFormat is what stands in the message, after the head that all share.
type syslogFormat string

const (
	syslogText syslogFormat = ""     // the sentence that says what happened
	syslogCEF  syslogFormat = "cef"  // ArcSight's Common Event Format
	syslogJSON syslogFormat = "json" // the body as every channel for programs gets it
)

// readFormat reads the key.
func (c *syslog) readFormat(word string) error {
	switch c.format = syslogFormat(word); c.format {
	case "text":
		c.format = syslogText
	case syslogText, syslogCEF, syslogJSON:
	default:
		return fmt.Errorf(`unknown format %q: use "text", "cef" or "json"`, word)
	}
	return nil
}

// line is one message of RFC 5424. It comes from the alert alone, so that every
// repeat is the same. No byte order mark is before the text: the standard allows
// to leave it out, and readers of CEF stumble over it.
func (c *syslog) line(m Message) []byte {
	b := m.Decoded
	head := fmt.Sprintf("<%d>1 %s %s btcwatch - %s ", c.facility*8+syslogSeverity(b.Data.Severity),
		b.Timestamp.UTC().Format("2006-01-02T15:04:05.999999Z07:00"), c.host, printable(string(b.Type), 32))
	switch c.format {
	case syslogCEF:
		return []byte(head + "- " + cef(b, c.version))
	case syslogJSON:
		return append([]byte(head+"- "), m.Body...)
	}
	return []byte(head + structured(b) + " " + sentence(b.Data.Summary))
}

// syslogSeverity is that of RFC 5424: from critical to informational.
func syslogSeverity(severity string) int {
	number, ok := map[string]int{"severe": 2, "high": 3, "medium": 4, "low": 5, "info": 6}[severity]
	if !ok {
		return 3
	}
	return number
}

// hostField is the name of this machine as a header may have it.
func hostField(name string) string {
	if name = printable(name, 255); name == "" {
		return "-"
	}
	return name
}

// printable keeps what a field of the header may hold: visible ASCII.
func printable(text string, most int) string {
	kept := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, text)
	return kept[:min(len(kept), most)]
}

// field is a name and its value, as structured data and CEF have them.
type field struct{ name, value string }

// structured is what programs look for, in one element. Its number is the one
// that is free for all who have none of their own (RFC 5612).
func structured(b Body) string {
	d := b.Data
	var out strings.Builder
	out.WriteString("[btcwatch@32473")
	for _, f := range []field{
		{"id", d.ID}, {"thread", d.Thread}, {"type", string(b.Type)}, {"severity", d.Severity}, {"network", d.Network},
		{"address", d.Address}, {"label", d.Label}, {"entity", d.Entity}, {"txid", d.TxID}, {"direction", string(d.Direction)},
		{"amount_sat", number(d.AmountSat)}, {"amount_fiat", d.fiatField()}, {"state", string(d.State)}, {"proof", string(d.Proof)}, {"block_height", number(d.BlockHeight)},
		{"corrects", d.Corrects}, {"explorer", d.Explorer}, {"channel", d.Channel}, {"kind", d.Kind}, {"reason", d.Reason},
	} {
		if value := clean(f.value); value != "" {
			fmt.Fprintf(&out, ` %s="%s"`, f.name, structuredMarks.Replace(value))
		}
	}
	out.WriteString("]")
	return out.String()
}

var structuredMarks = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

func number[N int32 | int64](n *N) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

// cef is an alert in the Common Event Format, version 0. Amounts are satoshis.
func cef(b Body, version string) string {
	d := b.Data
	if version = clean(version); version == "" {
		version = "0"
	}
	head := []string{"CEF:0", "btcwatch", "btcwatch", version, clean(string(b.Type)), briefly(b), cefSeverity(d.Severity)}
	for i := range head {
		head[i] = cefHeadMarks.Replace(head[i])
	}
	var extension []string
	for _, f := range cefFields(b) {
		if f.value != "" {
			extension = append(extension, f.name+"="+cefMarks.Replace(f.value))
		}
	}
	return strings.Join(head, "|") + "|" + strings.Join(extension, " ")
}

// cefSeverity is on a scale from 0 to 10.
func cefSeverity(severity string) string {
	number, ok := map[string]string{"severe": "10", "high": "8", "medium": "5", "low": "3", "info": "1"}[severity]
	if !ok {
		return "8"
	}
	return number
}

// cefFields are the keys that every reader of CEF knows. Where it knows none,
// the custom ones stand, each with its label.
func cefFields(b Body) []field {
	d := b.Data
	fields := []field{
		{"externalId", clean(d.ID)}, {"rt", strconv.FormatInt(b.Timestamp.UnixMilli(), 10)},
		{"start", millis(d.Since)}, {"end", millis(d.Until)}, {"reason", clean(d.Reason)}, {"outcome", clean(string(d.State))},
		{"deviceDirection", map[Direction]string{In: "0", Out: "1"}[d.Direction]},
	}
	for i, custom := range []field{
		{"address", clean(d.Address)}, {"txid", clean(d.TxID)}, {"label", clean(d.Label)},
		{"proof", clean(string(d.Proof))}, {"network", clean(d.Network)}, {"thread", clean(d.Thread)},
	} {
		fields = append(fields, labelled("cs"+strconv.Itoa(i+1), custom)...)
	}
	for i, custom := range []field{{"amountSat", number(d.AmountSat)}, {"blockHeight", number(d.BlockHeight)}, {"confirmations", number(d.Confirmations)}} {
		fields = append(fields, labelled("cn"+strconv.Itoa(i+1), custom)...)
	}
	fields = append(fields, labelled("flexString1", field{"amountFiat", d.fiatField()})...)
	return append(fields, field{"msg", sentence(d.Summary)})
}

func labelled(key string, custom field) []field {
	if custom.value == "" {
		return nil
	}
	return []field{{key + "Label", custom.name}, {key, custom.value}}
}

func millis(t *time.Time) string {
	if t == nil {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// CEF escapes the bar in its head and the equals sign in its extension, and the
// backslash in both. Line breaks are in neither: the text was made clean.
var (
	cefHeadMarks = strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	cefMarks     = strings.NewReplacer(`\`, `\\`, `=`, `\=`)
)
