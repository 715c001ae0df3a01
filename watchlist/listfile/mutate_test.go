package listfile

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"btcwatch/chain/chaintest/recorded"
)

// TestMutatedLists reads what is broken in one place or more: no reader panics,
// goes on for ever, or gives more entries than there are bytes.
func TestMutatedLists(t *testing.T) {
	var seeds [][]byte
	for _, file := range []string{
		"lists/watchman/sdn.csv", "lists/tagpack/demo.yaml", "lists/stix/cryptocurrency-wallet--b6ae6083-875f-5fe9-84b9-89e168f89406.json",
	} {
		seeds = append(seeds, recorded.Read(t, file))
	}
	seeds = append(seeds,
		[]byte(`{"Event":{"info":"A","Attribute":[{"type":"btc","value":"`+malhama+`"}],"Object":[{"Attribute":[{"type":"btc","value":"x"}]}]}}`),
		[]byte(`<sdnList><sdnEntry><uid>1</uid><idList><id><idType>Digital Currency Address - XBT</idType><idNumber>`+malhama+`</idNumber></id></idList></sdnEntry></sdnList>`),
		[]byte(`<Sanctions><FeatureTypeValues><FeatureType ID="1">Digital Currency Address - XBT</FeatureType></FeatureTypeValues><DistinctParty><Feature FeatureTypeID="1"><VersionDetail>x</VersionDetail></Feature></DistinctParty></Sanctions>`),
		[]byte("address;label\n"+malhama+";\"a\nb\"\n"), []byte(`{"id":"w","schema":"CryptoWallet","properties":{"publicKey":["x"]}}`+"\n"),
		[]byte("<html><head><title>x</title></head>"+katibat+"</html>"), []byte("A Title\n\nBy Jane Doe\n\nSend it to the following one: "+malhama+"\n"))
	random := rand.New(rand.NewPCG(6, 6))
	for range 1500 {
		text := bytes.Clone(seeds[random.IntN(len(seeds))])
		for range 1 + random.IntN(4) {
			at := random.IntN(len(text) + 1)
			switch random.IntN(4) {
			case 0:
				text = text[:at]
			case 1:
				text = append(text[:at:at], text[min(len(text), at+random.IntN(20)):]...)
			case 2:
				text = append(text[:at:at], append([]byte{byte(random.IntN(256))}, text[at:]...)...)
			default:
				text = append(text[:at:at], append([]byte([]string{"{", "]", `"`, "<", "&", ":", "\n", "'", "- ", "\x00", "]]>", "<!--"}[random.IntN(12)]), text[at:]...)...)
			}
		}
		for _, format := range Formats() {
			began, n := time.Now(), 0
			format.Recognises(text)
			for _, err := range format.Read(Input{Text: bytes.NewReader(text)}) {
				if n++; err != nil || n > len(text)+1 {
					break
				}
			}
			if n > len(text)+1 || time.Since(began) > 20*time.Second {
				t.Fatalf("%s gives %d entries in %v of %q", format.Name, n, time.Since(began), text)
			}
		}
	}
}
