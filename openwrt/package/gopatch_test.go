// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// inOrder matches a struct with 64 bits where the kernel reads 64 bits of nanoseconds. The
// emulated router shows that this helps ("sleeps").
var inOrder = regexp.MustCompile(`type timespec struct \{\n\ttv_sec +int64\n\ttv_nsec +int64\n\}`)

func TestPatchedGo(t *testing.T) {
	r := testRelease(t)
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(out))
	source, err := os.ReadFile(filepath.Join(goroot, "src/runtime/defs_linux_mipsx.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range openWrtTargets {
		command, args, env, err := r.patchedGo(target, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(target.arch, "mips") || inOrder.Match(source) {
			if command != "go" || args != nil || env != nil {
				t.Errorf("%s: %q %q %q without need", target.arch, command, args, env)
			}
			continue
		}
		if len(args) != 2 {
			t.Fatalf("%s: %q", target.arch, args)
		}
		var overlay struct{ Replace map[string]string }
		text, err := os.ReadFile(args[1])
		if err == nil {
			err = json.Unmarshal(text, &overlay)
		}
		if err != nil || len(overlay.Replace) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		for _, instead := range overlay.Replace {
			patched, err := os.ReadFile(instead)
			if err != nil {
				t.Fatal(err)
			}
			if !inOrder.Match(patched) {
				t.Errorf("not in order:\n%s", patched)
			}
		}
	}
}

// A downloaded Go is in the module cache, and Go replaces no file below that. The build must
// have the patch nevertheless. The test builds a program that needs no modules, because it
// uses another cache.
func TestPatchedGoInModuleCache(t *testing.T) {
	r := testRelease(t)
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMODCACHE", filepath.Dir(strings.TrimSpace(string(out))))
	if _, err := r.build(openWrtTargets[0], r.path("openwrt/lean"), "./testdata/torture"); err != nil {
		t.Error(err)
	}
}

func TestReadPatch(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "not a patch",
		"\n--- a/x\n+++ b/x\n":               "not a patch",
		"\n--- a/x\n@@ -1 +1 @@\n@@ -9 @@\n": "not a patch",
	} {
		name := filepath.Join(t.TempDir(), "p")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPatch(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
