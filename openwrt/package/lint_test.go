// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every shell script passes shellcheck. It checks for dash, because busybox's shell is close
// to that.
func TestShellcheck(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("needs shellcheck")
	}
	var scripts []string
	for _, dir := range []string{"../files", "../debian", "../test.sh", "testdata"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(name)
			if strings.HasPrefix(string(text), "#!/bin/sh") || strings.HasSuffix(name, ".sh") {
				scripts = append(scripts, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(scripts) < 10 {
		t.Fatalf("only %d scripts were found: %q", len(scripts), scripts)
	}
	out, err := exec.Command("shellcheck", append([]string{"-s", "dash"}, scripts...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestJSON(t *testing.T) {
	for _, name := range []string{"../files/etc/capabilities/p2pwall.json", "../files/usr/share/acl.d/p2pwall.json"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) {
			t.Errorf("%s is not JSON", name)
		}
	}
	var sets map[string][]string
	text, err := os.ReadFile("../files/etc/capabilities/p2pwall.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &sets); err != nil {
		t.Fatal(err)
	}
	// ujail does not restrict a capability set that the file leaves out.
	for _, name := range []string{"bounding", "effective", "ambient", "permitted", "inheritable"} {
		if got := strings.Join(sets[name], " "); got != "CAP_NET_ADMIN CAP_NET_RAW" {
			t.Errorf("the %s set is %q", name, got)
		}
	}
}

func TestManual(t *testing.T) {
	for tool, args := range map[string][]string{
		"mandoc": {"-T", "lint", "-W", "warning", "../debian/p2pwall.8"},
		"man":    {"--warnings", "-l", "../debian/p2pwall.8"},
	} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("%s is not here", tool)
			continue
		}
		cmd := exec.Command(tool, args...)
		var said strings.Builder
		cmd.Stderr = &said
		page, err := cmd.Output()
		if tool == "mandoc" {
			said.Write(page)
		}
		if err != nil || said.Len() > 0 {
			t.Errorf("%s: %v\n%s", tool, err, said.String())
		}
	}
}
