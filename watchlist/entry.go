package watchlist

// Entry is what a list says about one address, before it is known whether it is
// one: the text stands as it does in the list.
type Entry struct {
	Line    int     // where it stands, from 1; 0 where the format has no lines
	Text    string  // the address, as it is spelled there
	Symbol  string  // the coin under which the list has it, as it is spelled there: "XBT", "USDT"; empty where it names none
	Fault   string  // why the entry cannot be read, in words; empty where it can
	Listing Listing // all that the list says of it, without Address and List

	Confidential *bool // whether explorers may be asked about it, where the list says so; nil: it does not
}
