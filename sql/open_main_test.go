package sql_test

import (
	"fmt"
	"os"
	"testing"

	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

func TestMain(m *testing.M) {
	code := sqltest.Stopping(m).Run()
	if err := sql.RemoveMade(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
