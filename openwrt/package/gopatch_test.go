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

// inOrder matches, for each patched file, what is to be in it. For times it is 64 bits where
// the kernel reads 64 bits of nanoseconds. The emulated router shows that this helps
// ("sleeps").
var inOrder = map[string]*regexp.Regexp{
	"defs_linux_mipsx.go": regexp.MustCompile(`type timespec struct \{\n\ttv_sec +int64\n\ttv_nsec +int64\n\}`),
	"netpoll_epoll.go":    regexp.MustCompile(`var events \[8\]linux\.EpollEvent`),
	"mspanset.go":         regexp.MustCompile(`spanSetBlockEntries = 64 .*\n\tspanSetInitSpineCap = 16 `),
}

func TestPatchedGo(t *testing.T) {
	r := testRelease(t)
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	runtime := filepath.Join(strings.TrimSpace(string(out)), "src/runtime")
	for _, target := range openWrtTargets {
		command, args, env, err := r.patchedGo(target, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var overlay struct{ Replace map[string]string }
		if strings.HasPrefix(target.arch, "mips") && len(args) == 2 {
			text, err := os.ReadFile(args[1])
			if err == nil {
				err = json.Unmarshal(text, &overlay)
			}
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
		} else if command != "go" || args != nil || env != nil {
			t.Errorf("%s: %q %q %q without need", target.arch, command, args, env)
		}
		if !strings.HasPrefix(target.arch, "mips") {
			continue
		}
		instead := map[string]string{}
		for name, file := range overlay.Replace {
			instead[filepath.Base(name)] = file
		}
		for name, want := range inOrder {
			file, ok := instead[name]
			if !ok {
				file = filepath.Join(runtime, name)
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !want.Match(source) {
				t.Errorf("%s: not in order:\n%s", target.arch, source)
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
