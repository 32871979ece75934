// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// feedMake runs the feed's recipe. The files that OpenWrt includes are stubs in
// testdata/feed.
func feedMake(t *testing.T, r *release, env []string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("needs make")
	}
	feed, err := filepath.Abs("testdata/feed")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", append([]string{"--no-print-directory", "-C", r.path("openwrt"), "TOPDIR=" + feed}, args...)...)
	// A make may run this test. Its variables must not reach the recipe.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// goEnv asks the go command for one of its settings.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestRecipeBuildsThePackage runs the steps of the recipe on a copy of the sources. It
// compares every file with the package made here, the program first.
func TestRecipeBuildsThePackage(t *testing.T) {
	r := testRelease(t)
	for _, test := range []struct {
		arch string
		vars []string
	}{
		{"mips_24kc", []string{"GO_ARCH=mips", "GO_MIPS=softfloat", "GO_HOST_TARGET_DIFFERENT=1"}},
		{"x86_64", []string{"GO_ARCH=amd64"}},
	} {
		t.Run(test.arch, func(t *testing.T) {
			if goEnv(t, "GOHOSTARCH") != "amd64" {
				test.vars = append(test.vars, "GO_HOST_TARGET_DIFFERENT=1")
			}
			targets, err := choose(openWrtTargets, test.arch)
			if err != nil {
				t.Fatal(err)
			}
			source, dest := t.TempDir(), t.TempDir()
			for _, dir := range []string{"cmd", "detect", "nfq", "openwrt/files", "openwrt/lean", "openwrt", "procd", "state"} {
				if dir == "openwrt" {
					copyGo(t, r.path(dir), filepath.Join(source, dir))
				} else if err := os.CopyFS(filepath.Join(source, dir), os.DirFS(r.path(dir))); err != nil {
					t.Fatal(err)
				}
			}
			copyGo(t, r.root, source)

			// The feed's Go has the patch.
			command, args, env, err := r.patchedGo(targets[0], t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if command != "go" {
				env = append(env, "PATH="+filepath.Dir(command)+":"+os.Getenv("PATH"), "GOFLAGS="+strings.Join(args, "="))
			} else {
				env = append(env, "GOFLAGS=")
			}
			feedMake(t, r, env, append(test.vars, "install-p2pwall", "PKG_BUILD_DIR="+source, "DESTDIR="+dest,
				"PKG_VERSION="+r.version, "PKG_COMMIT="+r.commit,
				"GO_BUILD_CACHE_DIR="+goEnv(t, "GOCACHE"), "GO_MOD_CACHE_DIR="+goEnv(t, "GOMODCACHE"))...)

			exe, _, err := r.compile(targets[0])
			if err != nil {
				t.Fatal(err)
			}
			p, err := r.daemonPack(flavours[0], test.arch, exe)
			if err != nil {
				t.Fatal(err)
			}
			got, err := readTree(filepath.Join(dest, "p2pwall"))
			if err != nil {
				t.Fatal(err)
			}
			sortFiles(got)
			if len(got) != len(p.files) {
				t.Errorf("the recipe installs %d files, %d are in the package", len(got), len(p.files))
			}
			for i, f := range got {
				info, err := os.Stat(filepath.Join(dest, "p2pwall", f.path))
				if err != nil {
					t.Fatal(err)
				}
				if i >= len(p.files) {
					break
				}
				want := p.files[i]
				if f.path != want.path || info.Mode() != want.mode || !bytes.Equal(f.data, want.data) {
					t.Errorf("file %d is %s %v with %d bytes, want %s %v with %d, and the same bytes",
						i, f.path, info.Mode(), len(f.data), want.path, want.mode, len(want.data))
				}
			}
			if test.arch == "x86_64" && goEnv(t, "GOHOSTARCH") == "amd64" {
				checkFeedScripts(t, r, filepath.Join(dest, "p2pwall/usr/sbin"))
			}
		})
	}
}

// copyGo copies the files in a directory that belong to the module, without subdirectories.
func copyGo(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.IsDir() || ext != ".go" && ext != ".mod" && ext != ".sum" {
			// Skip the directories below openwrt that the program does not need.
			if !e.IsDir() || filepath.Base(from) != "openwrt" || slices.Contains([]string{"files", "lean", "package", "luci-app-p2pwall"}, e.Name()) {
				continue
			}
			if err := os.CopyFS(filepath.Join(to, e.Name()), os.DirFS(filepath.Join(from, e.Name()))); err != nil {
				t.Fatal(err)
			}
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// checkFeedScripts runs the scripts of the feed's CI.
func checkFeedScripts(t *testing.T, r *release, bin string) {
	t.Helper()
	for _, test := range []struct {
		script, version string
		ok              bool
	}{
		{"test-version.sh", r.version, true},
		{"test-version.sh", r.version + "1", false},
		{"test-version.sh", "9", false},
	} {
		cmd := exec.Command("sh", r.path("openwrt/"+test.script), "p2pwall", test.version)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); (err == nil) != test.ok {
			t.Errorf("%s %s: %v\n%s", test.script, test.version, err, out)
		}
	}
}

// TestRecipeAgrees compares the recipe's data about the packages, as make reads it, with the
// data here.
func TestRecipeAgrees(t *testing.T) {
	r := testRelease(t)
	for _, f := range flavours {
		said := feedMake(t, r, nil, "fields-"+f.name)
		for _, want := range []string{
			"PKG_RELEASE=" + packageRelease + "\n", "PKG_LICENSE=" + license + "\n", "USERID:=" + daemonUser + "\n",
			"URL:=" + homepage + "\n", "TITLE:=" + daemonTitle + "\n",
			"postrm=#!/bin/sh\n" + daemonPostrm + "=\n", "conffiles=" + configPath + "=\n",
		} {
			if !strings.Contains(strings.ReplaceAll(said, "$${", "${"), strings.Replace(want, "\n=\n", "=\n", 1)) {
				t.Errorf("%s: make does not say %q:\n%s", f.name, want, said)
			}
		}
		_, depends, _ := strings.Cut(said, "  DEPENDS:=")
		depends, _, _ = strings.Cut(depends, "\n")
		if got, want := strings.Fields(depends), "+"+strings.Join(f.depends, " +"); strings.Join(got, " ") != want {
			t.Errorf("%s depends on %q in the recipe, want %q", f.name, got, want)
		}
	}
	if text, err := os.ReadFile(r.path("openwrt/Makefile")); err != nil || strings.Contains(string(text), "PKG_HASH:=skip") {
		t.Errorf("the recipe builds from a source that nobody checked (%v)", err)
	}
}
