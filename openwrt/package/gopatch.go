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

// goPatches are for Go on MIPS. Each explains itself. A feed applies them to its Go. This
// command leaves Go's sources unchanged and gives the build patched copies of the files.
const goPatches = "openwrt/golang-patches"

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

// patchedGo prepares a build with the patches, each if the installed Go has the lines that it
// changes. It returns the go command, arguments for go build, and variables for its
// environment. If there is nothing to change, it returns only the go command. It writes files
// into dir.
func (r *release) patchedGo(t target, dir string) (command string, args, env []string, err error) {
	if !slices.Contains(t.env, "GOARCH=mips") && !slices.Contains(t.env, "GOARCH=mipsle") {
		return "go", nil, nil, nil
	}
	patches, err := filepath.Glob(filepath.Join(r.path(goPatches), "*.patch"))
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
	replace := map[string]string{}
	for _, p := range patches {
		patch, err := readPatch(p)
		if err != nil {
			return "", nil, nil, err
		}
		name := filepath.Join(root, patch.file)
		source, err := os.ReadFile(name)
		if err != nil {
			return "", nil, nil, err
		}
		if strings.Count(string(source), patch.old) != 1 {
			continue
		}
		replace[name] = filepath.Join(dir, filepath.Base(patch.file))
		if err := os.WriteFile(replace[name], []byte(strings.Replace(string(source), patch.old, patch.new, 1)), 0o600); err != nil {
			return "", nil, nil, err
		}
	}
	if len(replace) == 0 {
		return "go", nil, nil, nil
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", nil, nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	args = []string{"-overlay", overlay}
	env = []string{"GOROOT=" + root, "GOTOOLCHAIN=local"}
	return filepath.Join(root, "bin", "go"), args, env, os.WriteFile(overlay, list, 0o600)
}
