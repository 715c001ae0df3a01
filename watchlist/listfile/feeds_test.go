package listfile

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"btcwatch/chain/chaintest/recorded"
	"btcwatch/watchlist"
)

// said gives what matters of the rows, one a line.
func saidOf(rows []watchlist.Row) string {
	var all []string
	for _, row := range rows {
		l := row.Listing
		text := fmt.Sprintf("%d %s %s|%s|%s|%s|%s|%s|%s|%s|%s", row.Line, row.Symbol, row.Text, l.Label, l.Entity, l.Category, l.Source.Title, l.Source.Author, l.Source.Date, l.Source.Locator, l.Source.Quote)
		if row.Held != nil {
			text += " held: " + row.Held.Words
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

// TestOtherFormats: none of these but the STIX objects is stored as a genuine
// file; the others have the documented shapes.
func TestOtherFormats(t *testing.T) {
	wallet := string(recorded.Read(t, "lists/stix/cryptocurrency-wallet--b6ae6083-875f-5fe9-84b9-89e168f89406.json"))
	payment := string(recorded.Read(t, "lists/stix/cryptocurrency-transaction--d3b3642a-9759-5078-9fae-3a868238889c.json"))
	for name, c := range map[string]struct{ text, format, want string }{
		"STIX wallet": {wallet, "stix",
			"12  1KFHE7w8BhaENAswwryaoccDb6qcT6DbYY|||||||cryptocurrency-wallet--b6ae6083-875f-5fe9-84b9-89e168f89406|"},
		"STIX transaction": {payment, "stix",
			"19 BTC 3FZbgi29cpjq2GjdwV8eyHuJJnkLtktZc5|||||||cryptocurrency-transaction--d3b3642a-9759-5078-9fae-3a868238889c| held: it is a transaction, not an address"},
		"STIX bundle": {`{"type":"bundle","id":"bundle--1","objects":[
{"type":"cryptocurrency-wallet","id":"w1","address":"` + malhama + `","holder_ref":"identity--1"},
{"type":"identity","id":"identity--1","name":"The Holder"},
{"type":"indicator","id":"i1","name":"Ransom","pattern":"[cryptocurrency-wallet:value = '` + katibat + `']","created":"2024-05-01T00:00:00Z","indicator_types":["malicious-activity"],"revoked":true}
]}`, "stix",
			"4  " + katibat + "|Ransom||malicious-activity|||2024-05-01|i1| held: the source has revoked it\n" +
				"2  " + malhama + "||The Holder|||||w1|"},
		"MISP": {`{"Event":{"info":"On money","date":"2020-08-13","uuid":"e","Orgc":{"name":"CIRCL"},
"Attribute":[{"type":"btc","value":"` + malhama + `","comment":"seen there","uuid":"a"},{"type":"url","value":"x"},{"type":"btc","value":"` + katibat + `","deleted":true,"uuid":"b"}],
"Object":[{"name":"coin-address","Attribute":[{"type":"text","object_relation":"symbol","value":"ETH"},{"type":"text","object_relation":"address-crypto","value":"0x2f389ce8bd8ff92de3402ffce4691d17fc4f6535","uuid":"c"}]}]}}`, "misp",
			"3  " + malhama + "||||On money|CIRCL|2020-08-13|a|seen there\n" +
				"3  " + katibat + "||||On money|CIRCL|2020-08-13|b| held: it is deleted from the event\n" +
				"3 ETH 0x2f389ce8bd8ff92de3402ffce4691d17fc4f6535||||On money|CIRCL|2020-08-13|c| held: an Ethereum address (or of a chain that took its form)"},
		"MISP response": {`{"response":[{"Event":{"info":"A","Attribute":[{"type":"btc","value":"` + malhama + `"}]}},
{"Event":{"info":"B","Attribute":[{"type":"btc","value":"` + katibat + `"}]}}]}`, "misp",
			"1  " + malhama + "||||A||||\n2  " + katibat + "||||B||||"},
		"Ransomwhere": {`{"result":[{"address":"` + malhama + `","balance":12.5e8,"blockchain":"bitcoin","createdAt":"2021-07-08T18:55:58.543Z","family":"Netwalker","transactions":[{"hash":"x","time":1,"amount":1}]}]}`, "ransomwhere",
			"1 bitcoin " + malhama + "|Netwalker||ransomware|Ransomwhere||2021-07-08||"},
		"FollowTheMoney": {`{"id":"w","caption":"x","schema":"CryptoWallet","datasets":["il_mod_crypto"],"properties":{"publicKey":["` + malhama + `","` + katibat + `"],"currency":["BTC"],"holder":["p"],"topics":["crime.terror"],"notes":["ASO 12/21"]}}
{"id":"p","caption":"A Person","schema":"Person","properties":{"name":["A Person"]}}
`, "ftm",
			"1 BTC " + malhama + "||A Person|crime.terror|il_mod_crypto|||w|ASO 12/21\n1 BTC " + katibat + "||A Person|crime.terror|il_mod_crypto|||w|ASO 12/21"},
		"targets": {"id,schema,name,aliases,birth_date,countries,addresses,identifiers,sanctions,phones,emails,dataset,first_seen,last_seen,last_change\n" +
			"p,Person,Somebody,,,,,,,,,Il,,,\nw,CryptoWallet," + malhama + ",,,,," + malhama + ";" + katibat + ",ASO 12,,,Israel,,,\n", "opensanctions-csv",
			"3  " + malhama + "||||Israel|||w|ASO 12\n3  " + katibat + "||||Israel|||w|ASO 12"},
		"SDN.XML": {`<?xml version="1.0" standalone="yes"?>
<sdnList xmlns="http://tempuri.org/sdnList.xsd"><publshInformation><Publish_Date>09/27/2024</Publish_Date></publshInformation>
<sdnEntry><uid>1</uid><lastName>A &amp; Co</lastName><programList><program>SDGT</program><program>CYBER2</program></programList>
<idList><id><uid>9</uid><idType>Digital Currency Address - XBT</idType><idNumber>` + malhama + `</idNumber></id>
<id><uid>10</uid><idType>Passport</idType><idNumber>X1</idNumber></id></idList></sdnEntry>
<sdnEntry><uid>2</uid><firstName>Jane</firstName><lastName>DOE</lastName><idList><id><idType>Digital Currency Address - ETH</idType><idNumber>0x2f389ce8bd8ff92de3402ffce4691d17fc4f6535</idNumber></id></idList></sdnEntry></sdnList>`, "ofac-xml",
			"4 XBT " + malhama + "|A & Co|A & Co|SDGT, CYBER2|Specially Designated Nationals List||2024-09-27|UID 1|\n" +
				"6 ETH 0x2f389ce8bd8ff92de3402ffce4691d17fc4f6535|Jane DOE|Jane DOE||Specially Designated Nationals List||2024-09-27|UID 2| held: an Ethereum address (or of a chain that took its form)"},
	} {
		format, rows, err := read(t, "x", c.text, nil)
		if err != nil || format != c.format {
			t.Errorf("%s is read as %q: %v", name, format, err)
		}
		if got := saidOf(rows); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// TestSDNAdvanced: the id of the feature is looked up by its text, in either
// namespace; the programmes stand at the end.
func TestSDNAdvanced(t *testing.T) {
	for _, space := range []string{"ADVANCED_XML", "ENHANCED_XML"} {
		text := `<?xml version="1.0" encoding="utf-8"?>
<Sanctions xmlns="https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports/` + space + `">
<DateOfIssue CalendarTypeID="1"><Year>2024</Year><Month>9</Month><Day>27</Day></DateOfIssue>
<ReferenceValueSets><FeatureTypeValues><FeatureType ID="8" FeatureTypeGroupID="1">Birthdate</FeatureType>
<FeatureType ID="4711" FeatureTypeGroupID="1">Digital Currency Address - XBT</FeatureType></FeatureTypeValues></ReferenceValueSets>
<DistinctParties><DistinctParty FixedRef="33151"><Profile ID="33151"><Identity><Alias Primary="false"><DocumentedName><DocumentedNamePart><NamePartValue>OTHER</NamePartValue></DocumentedNamePart></DocumentedName></Alias>
<Alias Primary="true"><DocumentedName><DocumentedNamePart><NamePartValue>SUEX</NamePartValue></DocumentedNamePart><DocumentedNamePart><NamePartValue>OTC</NamePartValue></DocumentedNamePart></DocumentedName></Alias></Identity>
<Feature FeatureTypeID="8"><FeatureVersion><VersionDetail DetailTypeID="1">1 May 1970</VersionDetail></FeatureVersion></Feature>
<Feature FeatureTypeID="4711"><FeatureVersion><VersionDetail DetailTypeID="1432">` + malhama + `</VersionDetail></FeatureVersion></Feature></Profile></DistinctParty></DistinctParties>
<SanctionsEntries><SanctionsEntry ID="1" ProfileID="33151"><SanctionsMeasure SanctionsTypeID="1"><Comment>CYBER2</Comment></SanctionsMeasure><SanctionsMeasure SanctionsTypeID="1"><Comment></Comment></SanctionsMeasure></SanctionsEntry></SanctionsEntries></Sanctions>`
		format, rows, err := read(t, "sdn_advanced.xml", text, nil)
		want := "9 XBT " + malhama + "|SUEX OTC|SUEX OTC|CYBER2|Specially Designated Nationals List||2024-09-27|UID 33151|"
		if err != nil || format != "ofac-advanced" || saidOf(rows) != want {
			t.Errorf("%s: %s\n%s\nwant\n%s (%v)", space, format, saidOf(rows), want, err)
		}
		for _, bad := range []struct{ text, want string }{
			{text[:len(text)/2], "unexpected EOF"},
			{strings.Replace(text, "<Sanctions ", "<!DOCTYPE x [<!ENTITY a \"b\">]><Sanctions ", 1), "no known format"},
			{strings.Replace(text, "<DistinctParties>", "<!DOCTYPE x><DistinctParties>", 1), "line 6: a DOCTYPE"},
			{strings.Replace(text, "SUEX", "&bomb;", 1), "line 7: invalid character entity"},
		} {
			if _, _, err := read(t, "x", bad.text, nil); err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("%v, want %s", err, bad.want)
			}
		}
	}
}

func TestFaultsOfFeeds(t *testing.T) {
	const wallet = `{"type":"cryptocurrency-wallet","id":"w","value":"` + malhama + `"}`
	for name, c := range map[string]struct{ text, want string }{
		"cut":             {`{"type":"bundle","objects":[` + "\n" + wallet + ",\n" + `{"type":"cryp`, "line 3: the JSON ends amid an object"},
		"twice":           {`{"type":"bundle","objects":[` + "\n" + `{"type":"cryptocurrency-wallet","value":"a","value":"b"}]}`, `line 2: "value" stands there twice`},
		"two lists":       {`{"type":"bundle","objects":[` + wallet + `],"objects":[]}`, `"objects" stands there twice`},
		"no list":         {`{"type":"bundle","objects":[],"x":1} {}`, "something follows"},
		"another shape":   {`{"type":"bundle","objects":[{"type":["x"]}]}`, "another shape than STIX's"},
		"no object":       {`{"type":"bundle","objects":[3]}`, "something other than an object"},
		"FtM after lines": {`{"id":"a","schema":"Person","properties":{}}` + "\n\n" + `{"id":"b"`, "line 3: the JSON ends amid"},
	} {
		if _, _, err := read(t, "x", c.text, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// endless is a text that goes on, and knows how much of it was taken.
type endless struct {
	head, again, tail string
	left              int
	taken             int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.head == "" {
		switch e.left--; {
		case e.left > 0:
			e.head = e.again
		case e.left == 0:
			e.head = e.tail
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, e.head)
	e.head, e.taken = e.head[n:], e.taken+int64(n)
	return n, nil
}

// TestFormatsInBoundedMemory: many entries are read without holding them, and a
// value without end is refused before it is held whole.
func TestFormatsInBoundedMemory(t *testing.T) {
	pad := strings.Repeat("y", 1000) // so that whoever holds the entries holds 30 MB
	for name, e := range map[string]*endless{
		"stix":        {head: `{"type":"bundle","objects":[`, again: `{"type":"cryptocurrency-wallet","id":"w","value":"x","name":"` + pad + `"},` + "\n", tail: `{"type":"x"}]}`},
		"ransomwhere": {head: `{"result":[`, again: `{"address":"x","family":"` + pad + `","blockchain":"b"},` + "\n", tail: `{"address":"x"}]}`},
		"ftm":         {head: "", again: `{"id":"a","schema":"CryptoWallet","properties":{"publicKey":["x"],"notes":["` + pad + `"]}}` + "\n", tail: "\n"},
		"tagpack":     {head: "title: a\ncreator: b\ncurrency: BTC\ntags:\n", again: "- address: x\n  label: " + pad + "\n", tail: "- address: x\n"},
		"csv":         {head: "address,label\n", again: "x," + pad + "\n", tail: "x,y\n"},
		"jsonl":       {head: "", again: `{"address":"x","label":"` + pad + `"}` + "\n", tail: "\n"},
		"ofac-xml":    {head: "<sdnList>", again: "<sdnEntry><uid>1</uid><lastName>" + pad + "</lastName><idList><id><idType>Digital Currency Address - XBT</idType><idNumber>x</idNumber></id></idList></sdnEntry>\n", tail: "</sdnList>"},
	} {
		e.left = 30_000
		format, rest, err := Open(e, "")
		if err != nil || format.Name != name {
			t.Fatalf("%s is read as %s: %v", name, format.Name, err)
		}
		var before, now runtime.MemStats
		n := 0
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, err := range format.Read(Input{Text: rest}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n++
			if n%10_000 == 0 {
				runtime.GC()
				if runtime.ReadMemStats(&now); now.HeapAlloc > before.HeapAlloc+8<<20 {
					t.Errorf("%s holds %d MB after %d entries", name, (now.HeapAlloc-before.HeapAlloc)>>20, n)
				}
			}
		}
		if n < 29_990 {
			t.Errorf("%s gives %d entries", name, n)
		}
	}
	for _, head := range []string{"title: a\ncreator: b\ntags:\n- address: ", `{"type":"bundle","objects":[{"type":"`, `<sdnList><sdnEntry><uid>`, "address,label\n\"", `{"address":"x"}` + "\n" + `{"address":"`} {
		e := &endless{head: head, again: strings.Repeat("x", 1<<16), left: 1 << 14}
		format, rest, err := Open(e, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, err = range format.Read(Input{Text: rest}) {
			if err != nil {
				break
			}
		}
		if fault := new(FaultError); !errors.As(err, &fault) || !strings.Contains(fault.Reason, "larger than") && !strings.Contains(fault.Reason, "longer than") || e.taken > 2*mostElement {
			t.Errorf("%s: %v after %d bytes", format.Name, err, e.taken)
		}
	}
}
