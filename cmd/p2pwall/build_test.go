// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/golden"
)

// routers are the builds that are tested: the one for the least flash, and one with
// systemd.
var routers = []struct {
	name string
	env  []string
}{
	{"mips", []string{"GOARCH=mips", "GOMIPS=softfloat"}},
	{"amd64", []string{"GOARCH=amd64"}},
}

// goTool runs the go command on this package with a router's build settings.
func goTool(t *testing.T, env []string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the program go")
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS="), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestLinkedPackages compares the linked packages with the agreed list. A package added
// by accident costs flash on every router. Internal packages of the standard library are
// left out.
func TestLinkedPackages(t *testing.T) {
	for _, r := range routers {
		out := goTool(t, r.env, "list", "-deps", "-f", "{{if .Standard}}std {{end}}{{.ImportPath}}", ".")
		var got []string
		for line := range strings.Lines(out) {
			path, std := strings.CutPrefix(strings.TrimSpace(line), "std ")
			if !std || !strings.Contains("/"+path+"/", "/internal/") && !strings.HasPrefix(path, "vendor/") {
				got = append(got, path)
			}
		}
		slices.Sort(got)
		golden.Compare(t, filepath.Join("testdata", "packages-"+r.name+".txt"), strings.Join(got, "\n")+"\n")
	}
}
