package cli_test

import "net/http"

// silent answers nothing as long as the asker waits.
type silent struct{}

func (silent) ServeHTTP(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
