// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// timePatch corrects Go 1.26 before 1.26.11 on big-endian MIPS, where the runtime sleeps for
// wrong times. The patch itself explains more. A feed applies the patch to its Go. This
// command leaves Go's sources unchanged and gives the build a patched copy of the one file.
const timePatch = "openwrt/golang-patches/010-runtime-give-mips-times-of-64-bits.patch"

// A goPatch is a patch of one hunk.
type goPatch struct {
	file     string // below GOROOT
	old, new string
}

func readPatch(name string) (goPatch, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return goPatch{}, err
	}
	_, diff, found := strings.Cut(string(text), "\n--- a/")
	file, hunk, ok := strings.Cut(diff, "\n@@ ")
	if !found || !ok || strings.Contains(hunk, "\n@@ ") {
		return goPatch{}, fmt.Errorf("%s is not a patch of one hunk", name)
	}
	file, _, _ = strings.Cut(file, "\n")
	p := goPatch{file: filepath.FromSlash(file)}
	_, hunk, _ = strings.Cut(hunk, "\n")
	for line := range strings.Lines(hunk) {
		switch line[0] {
		case ' ':
			p.old += line[1:]
			p.new += line[1:]
		case '-':
			p.old += line[1:]
		case '+':
			p.new += line[1:]
		}
	}
	return p, nil
}

// patchedGo prepares a build with the patch, if the installed Go needs it. It returns the go
// command, arguments for go build, and variables for its environment. If no patch is needed,
// it returns only the go command. It writes files into dir.
func (r *release) patchedGo(t target, dir string) (command string, args, env []string, err error) {
	if !slices.Contains(t.env, "GOARCH=mips") && !slices.Contains(t.env, "GOARCH=mipsle") {
		return "go", nil, nil, nil
	}
	patch, err := readPatch(r.path(timePatch))
	if err != nil {
		return "", nil, nil, err
	}
	where := exec.Command("go", "env", "GOROOT")
	where.Dir = r.root // go.mod may select another Go
	out, err := where.Output()
	if err != nil {
		return "", nil, nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	// Go refuses to replace a file below its module cache, and a downloaded Go is there. Go
	// looks only at the file's name, so a link outside the cache works.
	root := filepath.Join(dir, "go")
	if err := os.Symlink(strings.TrimSpace(string(out)), root); err != nil {
		return "", nil, nil, err
	}
	name := filepath.Join(root, patch.file)
	source, err := os.ReadFile(name)
	if err != nil {
		return "", nil, nil, err
	}
	if strings.Count(string(source), patch.old) != 1 {
		return "go", nil, nil, nil
	}
	instead := filepath.Join(dir, "instead.go")
	if err := os.WriteFile(instead, []byte(strings.Replace(string(source), patch.old, patch.new, 1)), 0o600); err != nil {
		return "", nil, nil, err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {name: instead}})
	if err != nil {
		return "", nil, nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	args = []string{"-overlay", overlay}
	env = []string{"GOROOT=" + root, "GOTOOLCHAIN=local"}
	return filepath.Join(root, "bin", "go"), args, env, os.WriteFile(overlay, list, 0o600)
}
