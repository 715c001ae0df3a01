package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms lists every folder with code and what of this module it may import.
// A new folder needs its line here: that is where its place is decided.
func rooms() map[string][]string {
	facts := []string{"chain", "chain/explorer"}
	records := append([]string{"alerts", "watchlist", "watchlist/listfile"}, facts...)
	work := append([]string{"sql"}, records...)
	return map[string][]string{
		".":                        {"cli"},
		"cli":                      append([]string{"daemon"}, work...),
		"daemon":                   work,
		"sql":                      records,
		"alerts":                   {"chain", "keyfile"},
		"watchlist":                {"chain"},
		"watchlist/listfile":       {"chain", "watchlist"},
		"chain":                    {},
		"chain/explorer":           {"chain", "keyfile"},
		"keyfile":                  {},
		"chain/chaintest":          facts,
		"chain/chaintest/recorded": {},
		"chain/chaintest/demo":     append([]string{"chain/chaintest"}, facts...),
		"sql/sqltest":              work,
		"deploy":                   {},
	}
}

// TestHouse checks every Go file against the rules of docs/architecture.md.
func TestHouse(t *testing.T) {
	var house house
	walk(t, ".go", func(name, text string) {
		for _, fault := range house.check(name, text) {
			t.Errorf("%s", fault)
		}
	})
	if len(house.cron) != 1 {
		t.Errorf("cron is imported by %q; one file alone may know it", house.cron)
	}
	if house.files < 10 {
		t.Errorf("only %d files were looked at", house.files)
	}
}

// TestNoMachinePaths keeps the paths of whoever wrote a file out of it.
func TestNoMachinePaths(t *testing.T) {
	for _, ending := range []string{".go", ".md"} {
		walk(t, ending, func(name, text string) {
			if found := machinePath(text); found != "" {
				t.Errorf("%s speaks of %q, a path of one machine", name, found)
			}
		})
	}
}

// TestHouseNotices shows that each rule is one that can be broken.
func TestHouseNotices(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"sql/a.go", `package sql; import "btcwatch/daemon"`, "may not import daemon"},
		{"alerts/a.go", `package alerts; import "btcwatch/watchlist"`, "may not import watchlist"},
		{"chain/a.go", `package chain; import "btcwatch/chain/explorer"`, "may not import chain/explorer"},
		{"daemon/a.go", `package daemon; import "btcwatch/chain/chaintest"`, "may not import chain/chaintest"},
		{"attic/a.go", `package attic`, "no place in the house"},
		{"chain/a.go", `package chain; import "net/http"`, "does no I/O"},
		{"chain/a.go", `package chain; import "os"`, "does no I/O"},
		{"chain/a.go", `package chain; import "database/sql"`, "does no I/O"},
		{"chain/a.go", `package chain; import "github.com/jackc/pgx/v5"`, "does no I/O"},
		{"chain/a.go", `package chain; func f() { go f() }`, "starts a goroutine"},
		{"sql/store.go", `package sql; func f() { group.Go(f) }`, "starts a goroutine"},
		{"cli/a.go", `package cli; func init() {}`, "init"},
		{"cli/a.go", `package cli; var kinds = map[string]int{}`, "global kinds"},
		{"cli/a.go", `package cli; var kinds = []string{"a"}`, "global kinds"},
		{"cli/a.go", `package cli; var kinds = [...]any{&T{}}`, "global kinds"},
		{"cli/a.go", `package cli; var a, b int`, "global a"},
		{"cli/a.go", `package cli; import "btcwatch/sql/sqltest"`, "may not import sql/sqltest"},
		{"cli/a.go", `package cli; var version = "dev"`, "global version"},
		{"alerts/a.go", `package alerts; import "time"; func f() { time.Now() }`, "reads the clock"},
		{"cli/a.go", `package util`, "package util"},
		{"cli/a.go", `package cli; type AlertManager struct{}`, "AlertManager"},
		{"cli/a.go", `package cli; func (x y) testHelper() {}`, "testHelper"},
		{"cli/a_test.go", `package cli; func parseUtil() {}`, "parseUtil"},
		{"cli/a.go", `package cli; func {`, "expected"},
	} {
		var house house
		if faults := strings.Join(house.check(c.name, c.text), "\n"); !strings.Contains(faults, c.want) {
			t.Errorf("%s: %s\n\tshould be called out for %q, and was for %q", c.name, c.text, c.want, faults)
		}
	}
	home := "see /" + "home/alice/notes"
	if machinePath(home) == "" || machinePath("/var/lib/btcwatch and https://a.example/work/b") != "" {
		t.Error("machine paths are told apart wrongly")
	}
}

// TestHouseAllows shows that the rules leave room for what is meant to be.
func TestHouseAllows(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"main.go", `package main; import "btcwatch/cli"; var version = "dev"`},
		{"daemon/a.go", `package daemon; import "btcwatch/sql"; func f() { go f() }`},
		{"sql/private.go", `package sql; func f() { go f() }`},
		{"sql/a_test.go", `package sql_test; import "btcwatch/chain/chaintest"; var update = true; func f() { go f() }`},
		{"chain/a.go", `package chain; import "errors"; var ErrForged = errors.New("forged")`},
		{"chain/a.go", `package chain; import "regexp"; var ( _ I = T{}; word = regexp.MustCompile("x") )`},
		{"chain/a.go", `package chain; import "time"; var pauses = [...]time.Duration{5 * time.Second, 1 * time.Minute}`},
		{"sql/a.go", `package sql; import "embed"; var files embed.FS`},
		{"alerts/a.go", `package alerts; import "time"; func f() any { return T{now: time.Now} }`},
	} {
		var house house
		if faults := house.check(c.name, c.text); len(faults) > 0 {
			t.Errorf("%s: %s\n\tis fine, but: %q", c.name, c.text, faults)
		}
	}
}

// house is the state of one walk through the files.
type house struct {
	files int
	cron  []string // files that import it
}

// check gives what is wrong with one file.
func (h *house) check(name, text string) (faults []string) {
	h.files++
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	place := placeOf(name)
	say := func(pos token.Pos, fault string) {
		faults = append(faults, files.Position(pos).String()+": "+fault)
	}
	if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "types"}, file.Name.Name) {
		say(file.Name.Pos(), "package "+file.Name.Name+" says nothing about what is in it")
	}
	if _, ok := rooms()[place.folder]; !ok {
		say(file.Name.Pos(), place.folder+" has no place in the house: give it its line in rooms")
	}
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if imported == "github.com/robfig/cron/v3" && !place.test {
			h.cron = append(h.cron, name)
		}
		if fault := place.imports(imported); fault != "" {
			say(spec.Pos(), fault)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			return false
		}
		if fault := place.speaks(n); fault != "" {
			say(n.Pos(), fault)
		}
		return true
	})
	for _, decl := range file.Decls {
		if fault := place.declares(decl); fault != "" {
			say(decl.Pos(), fault)
		}
	}
	return faults
}

// place is where a file is.
type place struct {
	file, folder string
	test         bool // a test
	props        bool // or what only tests stand on
}

func placeOf(name string) place {
	p := place{file: name, folder: path.Dir(name), test: strings.HasSuffix(name, "_test.go")}
	p.props = p.test || p.folder == "sql/sqltest" || strings.HasPrefix(p.folder, "chain/chaintest")
	return p
}

// imports judges an import. Tests may import what they like: Go itself forbids
// circles.
func (p place) imports(imported string) string {
	if p.test {
		return ""
	}
	room, ours := strings.CutPrefix(imported, "btcwatch/")
	switch {
	case ours && !slices.Contains(rooms()[p.folder], room):
		return p.folder + " may not import " + room
	case p.folder == "chain" && doesIO(imported):
		return "chain does no I/O, and " + imported + " does"
	}
	return ""
}

func doesIO(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return slices.Contains([]string{"net", "os", "database", "syscall"}, first) ||
		strings.HasPrefix(imported, "github.com/jackc/")
}

// speaks judges a statement or an expression.
func (p place) speaks(n ast.Node) string {
	if p.props {
		return ""
	}
	if _, ok := n.(*ast.GoStmt); ok && !p.mayStartGoroutines() {
		return "starts a goroutine; that is daemon's part"
	}
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return ""
	}
	called, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if slices.Contains([]string{"Go", "TryGo"}, called.Sel.Name) && !p.mayStartGoroutines() {
		return "starts a goroutine by " + called.Sel.Name + "; that is daemon's part"
	}
	if selects(called, "time", "Now") && slices.Contains([]string{"chain", "alerts", "watchlist"}, p.folder) {
		return "reads the clock; the time is a field or an argument here"
	}
	return ""
}

func (p place) mayStartGoroutines() bool {
	return p.folder == "daemon" || strings.HasPrefix(p.file, "sql/private") // watches over the Postgres process
}

// declares judges a declaration at the top of a file.
func (p place) declares(decl ast.Decl) string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.Name == "init" && d.Recv == nil {
			return "init runs unasked: do it where it is needed"
		}
		return emptyWord(d.Name.Name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if named, ok := spec.(*ast.TypeSpec); ok && emptyWord(named.Name.Name) != "" {
				return emptyWord(named.Name.Name)
			}
			if values, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR && !p.mayBeGlobal(values) {
				return "global " + values.Names[0].Name + ": pass it as a value, or make it a func"
			}
		}
	}
	return ""
}

// mayBeGlobal allows what never changes: sentinel errors, compiled patterns,
// arrays of constants, embedded files, assertions about types, and the version
// that the linker sets.
func (p place) mayBeGlobal(values *ast.ValueSpec) bool {
	name := values.Names[0].Name
	if p.props || name == "_" || p.file == "main.go" && name == "version" || selects(values.Type, "embed", "FS") {
		return true
	}
	for _, value := range values.Values {
		if !compiled(value) && !constants(value) {
			return false
		}
	}
	return len(values.Values) > 0
}

func compiled(value ast.Expr) bool {
	call, ok := value.(*ast.CallExpr)
	return ok && (selects(call.Fun, "errors", "New") || selects(call.Fun, "fmt", "Errorf") ||
		selects(call.Fun, "regexp", "MustCompile") || selects(call.Fun, "strings", "NewReplacer"))
}

// constants tells an array whose elements are worked out by the compiler: Go
// has no constant arrays. Slices and maps can grow behind one's back.
func constants(value ast.Expr) bool {
	list, ok := value.(*ast.CompositeLit)
	if !ok {
		return false
	}
	array, ok := list.Type.(*ast.ArrayType)
	if !ok || array.Len == nil {
		return false
	}
	simple := true
	for _, element := range list.Elts {
		ast.Inspect(element, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.CallExpr, *ast.FuncLit, *ast.CompositeLit, *ast.UnaryExpr:
				simple = false
			}
			return simple
		})
	}
	return simple
}

// emptyWord calls out names that say what a thing is like, not what it does.
func emptyWord(name string) string {
	for _, word := range []string{"Manager", "Helper", "Service", "Util"} {
		if strings.Contains(name, word) || strings.HasPrefix(name, strings.ToLower(word)) {
			return name + ": " + word + " says nothing; name what it does"
		}
	}
	return ""
}

func selects(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func machinePath(text string) string {
	return regexp.MustCompile(`(?m)(?:^|[^\w./-])(/(?:root|work|home/\w+|Users/\w+)/\w+)`).FindString(text)
}

// walk gives every file of the project with that ending.
func walk(t *testing.T, ending string, each func(name, text string)) {
	t.Helper()
	here := os.DirFS(".")
	err := fs.WalkDir(here, ".", func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"bin", "data", "testdata"}, entry.Name())) {
			return fs.SkipDir
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ending) {
			return err
		}
		text, err := fs.ReadFile(here, name)
		if err == nil {
			each(name, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
