package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"btcwatch/sql"
)

type versionCommand struct {
	JSON bool `name:"json" help:"One JSON object."`
}

type versionRow struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
	Schema  int64  `json:"schema"` // of the tables that this program makes
}

// Run prints the version.
func (c *versionCommand) Run(s *session) error {
	schema, err := sql.SchemaVersion()
	if err != nil {
		return err
	}
	row := versionRow{s.version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, schema}
	if c.JSON {
		return printJSON(s.Out, row)
	}
	_, err = fmt.Fprintf(s.Out, "btcwatch %s (%s, %s, tables of version %d)\n", row.Version, row.Go, row.System, row.Schema)
	return err
}

// released is the version that the linker was given, or else the one that go
// install knows.
func released(version string) string {
	if version != "dev" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
