// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Go 1.26 gives the kernel times of 64 bits on 32-bit processors, and on big-endian
// ones the nanoseconds in the wrong half of their field (golang/go#77934): a sleep
// of less than a second is none, and the runtime's monitor, which sleeps so, takes
// a third of a slow processor. The order of the two fields is put right for such a
// build. A Go that has them in order is left alone.
var (
	timeSource = filepath.Join("src", "runtime", "defs_linux_mipsx.go")
	timeFields = regexp.MustCompile(`(tv_sec +int64\n)(\ttv_nsec +int32\n)(\t_ +\[4\]byte[^\n]*\n)`)
)

// overlay writes what go build -overlay reads into dir, and returns its name, "" when
// a target needs none.
func (t target) overlay(dir string) (string, error) {
	if !slices.Contains(t.env, "GOARCH=mips") {
		return "", nil
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	name := filepath.Join(strings.TrimSpace(string(root)), timeSource)
	source, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	ordered := timeFields.ReplaceAll(source, []byte("$1$3$2"))
	if string(ordered) == string(source) {
		return "", nil
	}
	instead := filepath.Join(dir, "time.go")
	if err := os.WriteFile(instead, ordered, 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {name: instead}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, list, 0o600)
}
