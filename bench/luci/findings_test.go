// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFindingsAreTranslated compares what the daemon's check can say with what the
// status page translates: a text that one of them has and the other has not is a
// text that has changed.
func TestFindingsAreTranslated(t *testing.T) {
	said := map[string]bool{"P2Pwall is not running, start it with: service p2pwall start": true}
	for _, name := range []string{"findings.go", "detect.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "openwrt", name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		findingTexts(file, said)
	}
	if len(said) < 45 {
		t.Fatalf("only %d texts were found", len(said))
	}
	messages, err := Messages(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		for _, f := range m.Files {
			if filepath.Base(f) != "findings.js" {
				continue
			}
			if !said[m.Text] {
				t.Errorf("the page translates %q, which the daemon does not say", m.Text)
			}
			delete(said, m.Text)
		}
	}
	for s := range said {
		t.Errorf("the page does not translate %q: add it to findings.js", s)
	}
}

// commands are what no language changes.
var commands = regexp.MustCompile(`^(uci|sysctl) `)

// findingTexts collects the formats that the methods ok, warn and fail are called
// with, and the remedies.
func findingTexts(file *ast.File, out map[string]bool) {
	consts := map[string]ast.Expr{}
	var remedies []ast.Expr // of which several have one name
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
			for i, name := range v.Names {
				consts[name.Name] = v.Values[i]
				if strings.HasPrefix(name.Name, "remedy") {
					remedies = append(remedies, v.Values[i])
				}
			}
		}
		return true
	})
	var text func(e ast.Expr) string
	text = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, _ := strconv.Unquote(e.Value)
			return s
		case *ast.BinaryExpr:
			return text(e.X) + text(e.Y)
		case *ast.Ident:
			// What is a command by itself stays out of the sentence it ends.
			if v := consts[e.Name]; v != nil && !commands.MatchString(text(v)) {
				return text(v)
			}
		}
		return "%s"
	}
	add := func(e ast.Expr) {
		s := strings.ReplaceAll(text(e), "%v", "%s")
		if i := strings.Index(s, ": uci "); i > 0 {
			s = s[:i] + ": %s"
		}
		if s != "%s" && s != "" && !commands.MatchString(s) {
			out[s] = true
		}
	}
	for _, v := range remedies {
		add(v)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				break
			}
			if x, ok := f.X.(*ast.Ident); !ok || x.Name != "m" {
				break
			}
			switch f.Sel.Name {
			case "ok":
				add(n.Args[0])
			case "warn", "fail":
				add(n.Args[0])
				add(n.Args[1])
			}
		case *ast.FuncDecl:
			if n.Name.Name == "splitRemedy" {
				last := n.Body.List[len(n.Body.List)-1].(*ast.ReturnStmt)
				add(last.Results[1])
			}
		}
		return true
	})
}
