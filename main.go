// Command btcwatch watches Bitcoin addresses that reports and sanction lists
// name, records what happens at them, and alerts the people who must know.
package main

import (
	"os"

	"btcwatch/cli"
)

// version is set by the linker: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	os.Exit(cli.Main(os.Args[1:], version, cli.System()))
}
