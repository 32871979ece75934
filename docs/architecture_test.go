// SPDX-License-Identifier: GPL-2.0-or-later

// Package docs compares the documents with the code.
package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = "architecture.md"

const module = "github.com/p2pwall/p2pwall/"

// room is a package, as the page or the code has it.
type room struct {
	imports, tests []string // of this module
}

var words = regexp.MustCompile("`([^`]+)`")

// names are the packages that a cell of the table names.
func names(cell string) (out []string) {
	for _, m := range words.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

// readPage returns the rooms of a page, and their order.
func readPage(text string) (rooms map[string]room, order []string) {
	rooms = map[string]room{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		name := names(cells[1])[0]
		rooms[name] = room{names(cells[3]), names(cells[4])}
		order = append(order, name)
	}
	return rooms, order
}

// readCode returns the rooms as they are, for all processors together: what is built
// for one of them only counts as well.
func readCode(t *testing.T) map[string]room {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the program go")
	}
	rooms := map[string]room{}
	for _, arch := range []string{"amd64", "mips"} {
		cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
		cmd.Dir, cmd.Stderr = "..", os.Stderr
		cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0", "GOARCH="+arch)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for d := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p struct {
				ImportPath                         string
				Imports, TestImports, XTestImports []string
			}
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimPrefix(p.ImportPath, module)
			if name == "docs" {
				continue
			}
			r := rooms[name]
			r.imports = ours(r.imports, p.Imports)
			r.tests = ours(r.tests, append(p.TestImports, p.XTestImports...))
			rooms[name] = r
		}
	}
	return rooms
}

// ours adds to a list the packages of this module that are not in it.
func ours(list, paths []string) []string {
	for _, p := range paths {
		if name, ok := strings.CutPrefix(p, module); ok && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// compare says where the code and the page are not of one mind.
func compare(code, page map[string]room, order []string) (wrong []string) {
	for name, is := range code {
		may, there := page[name]
		if !there {
			wrong = append(wrong, fmt.Sprintf("%s is not on the page", name))
			continue
		}
		for _, x := range is.imports {
			if !slices.Contains(may.imports, x) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which the page does not have", name, x))
			}
		}
		for _, x := range is.tests {
			if x != name && !slices.Contains(may.imports, x) && !slices.Contains(may.tests, x) {
				wrong = append(wrong, fmt.Sprintf("the tests of %s import %s, which the page does not have", name, x))
			}
		}
		for _, x := range may.imports {
			if !slices.Contains(is.imports, x) {
				wrong = append(wrong, fmt.Sprintf("the page has %s -> %s, and the code does not", name, x))
			}
		}
		for _, x := range may.tests {
			if !slices.Contains(is.tests, x) {
				wrong = append(wrong, fmt.Sprintf("the page has %s -> %s for tests, and the code does not", name, x))
			}
		}
	}
	for i, name := range order {
		if _, there := code[name]; !there {
			wrong = append(wrong, fmt.Sprintf("the page has %s, and the code does not", name))
		}
		for _, x := range page[name].imports {
			// The product's table comes first, and bench imports from it.
			if at := slices.Index(order, x); at <= i && strings.HasPrefix(x, "bench/") == strings.HasPrefix(name, "bench/") {
				wrong = append(wrong, fmt.Sprintf("%s -> %s goes up, or round", name, x))
			} else if strings.HasPrefix(x, "bench/") && !strings.HasPrefix(name, "bench/") {
				wrong = append(wrong, fmt.Sprintf("%s is of the product and imports %s", name, x))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// TestArchitecture: the packages import what the page says, and nothing else.
func TestArchitecture(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rooms, order := readPage(string(text))
	for _, line := range compare(readCode(t), rooms, order) {
		t.Errorf("%s: %s", page, line)
	}
}

// TestCompare has the comparison find each kind of fault.
func TestCompare(t *testing.T) {
	const text = "| package | what | imports | tests |\n|---|---|---|---|\n" +
		"| `top` | it is so | `low` | `bench/tool` |\n| `low` | | | |\n| `bench/tool` | | | |\n"
	good := func() map[string]room {
		return map[string]room{"top": {[]string{"low"}, []string{"bench/tool"}}, "low": {}, "bench/tool": {}}
	}
	for _, x := range []struct {
		name, text string
		change     func(code map[string]room)
		want       string
	}{
		{"nothing", text, func(map[string]room) {}, ""},
		{"an import that the page does not have", text, func(c map[string]room) { c["low"] = room{[]string{"top"}, nil} }, "low imports top, which the page does not have"},
		{"an import of a test", text, func(c map[string]room) { c["low"] = room{nil, []string{"bench/tool"}} }, "the tests of low import bench/tool, which the page does not have"},
		{"a package that the page does not have", text, func(c map[string]room) { c["new"] = room{} }, "new is not on the page"},
		{"a package that is gone", text, func(c map[string]room) { delete(c, "bench/tool") }, "the page has bench/tool, and the code does not"},
		{"an arrow that is gone", text, func(c map[string]room) { c["top"] = room{nil, []string{"bench/tool"}} }, "the page has top -> low, and the code does not"},
		{
			"an arrow up", strings.Replace(text, "| `low` | | | |", "| `low` | | `top` | |", 1),
			func(c map[string]room) { c["low"] = room{[]string{"top"}, nil} }, "low -> top goes up, or round",
		},
		{
			"bench in the product", strings.Replace(text, "| `low` | | | |", "| `low` | | `bench/tool` | |", 1),
			func(c map[string]room) { c["low"] = room{[]string{"bench/tool"}, nil} }, "low is of the product and imports bench/tool",
		},
	} {
		code := good()
		x.change(code)
		rooms, order := readPage(x.text)
		if got := strings.Join(compare(code, rooms, order), "; "); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}
