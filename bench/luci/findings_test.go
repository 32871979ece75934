// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// inFindings matches an entry of the table in findings.js.
var inFindings = regexp.MustCompile(`(?m)^\t'([\w-]+)': _\('((?:[^'\\]|\\.)*)'\),?$`)

// TestFindingsAreTranslated compares the texts of the daemon's check with those that the
// page has for the same codes.
func TestFindingsAreTranslated(t *testing.T) {
	said := map[string]string{}
	for _, r := range firewall.Remedies {
		said[r.Code] = r.Text
	}
	for _, name := range []string{"findings.go", "marked.go", "policies.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "openwrt/check", name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		sayings(t, file, said)
	}
	if len(said) < 45 {
		t.Fatalf("only %d texts were found", len(said))
	}
	script, err := os.ReadFile(filepath.Join(root, appDir, "htdocs/luci-static/resources/p2pwall/findings.js"))
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]string{}
	for _, m := range inFindings.FindAllStringSubmatch(string(script), -1) {
		has[m[1]] = strings.ReplaceAll(m[2], `\'`, "'")
	}
	if d := cmp.Diff(said, has); d != "" {
		t.Errorf("-what the check says +findings.js:\n%s", d)
	}
}

// sayings collects the codes and texts of all calls of say. It checks that each call has
// as many arguments as its text has placeholders.
func sayings(t *testing.T, file *ast.File, out map[string]string) {
	var text func(e ast.Expr) (string, bool)
	text = func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		case *ast.BinaryExpr:
			a, aok := text(e.X)
			b, bok := text(e.Y)
			return a + b, aok && bok
		}
		return "", false
	}
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if f, ok := c.Fun.(*ast.Ident); !ok || f.Name != "say" {
			return true
		}
		code, cok := text(c.Args[0])
		words, wok := text(c.Args[1])
		if !cok || !wok {
			return true // one of firewall.Remedies
		}
		if old, there := out[code]; there && old != words {
			t.Errorf("the code %q has two texts: %q and %q", code, old, words)
		}
		if n := strings.Count(words, "%s"); n != len(c.Args)-2 || strings.Count(words, "%") != n {
			t.Errorf("%q has %d places and %d arguments", words, n, len(c.Args)-2)
		}
		out[code] = words
		return true
	})
}
