package main

import (
	"fmt"
	"os"
	"path/filepath"

	"btcwatch/chain/chaintest"
)

// serveExplorers makes a server of each kind over the node, but for the node,
// which is asked itself.
func (w *world) serveExplorers() error {
	for _, e := range explorers {
		switch e.kind {
		case "esplora":
			server := chaintest.NewEsplora(w.node, w.node.Params())
			w.servers = append(w.servers, server)
			url, stop := server.Serve()
			w.later(stop)
			w.explorer = append(w.explorer, fmt.Sprintf("%q", url))
		case "blockbook":
			url, stop := chaintest.NewBlockbook(w.node, w.node.Params()).Serve()
			w.later(stop)
			w.explorer = append(w.explorer, fmt.Sprintf("%q", url))
		case "node":
			url, user, password := w.node.RPC()
			file := filepath.Join(w.dir, "node.password")
			if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
				return err
			}
			w.explorer = append(w.explorer, fmt.Sprintf("%q\nuser = %q\npassword_file = %q", url, user, file))
		}
	}
	return nil
}
