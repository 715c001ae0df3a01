package daemon

import (
	"cmp"

	"btcwatch/chain/explorer"
)

// Corroborable says which two of the configured explorers are independent
// witnesses, by operator and software, so that what both say is corroborated;
// none where no two are. software is what is known of each beside the
// configuration, by name, as sql.Store.Software gives it; it may be nil.
func Corroborable(config *Config, software map[string]string) [][2]string {
	var pairs [][2]string
	for i, a := range config.Explorers {
		for _, b := range config.Explorers[i+1:] {
			if explorer.Independent(witnessOf(a, software), witnessOf(b, software)) {
				pairs = append(pairs, [2]string{a.Name, b.Name})
			}
		}
	}
	return pairs
}

func witnessOf(s explorer.Settings, software map[string]string) explorer.Witness {
	return explorer.Witness{Operator: cmp.Or(s.Operator, s.URL), Software: cmp.Or(s.Software, explorer.FamilyOf(s.Kind), software[s.Name])}
}
