// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tools is what a browser test runs with.
type Tools struct {
	root           string
	node, chromium string
	modules        string // npm's folder
}

// ErrMissing is in the errors of NewTools for what the machine does not have.
var ErrMissing = errors.New("not on this machine")

// NewTools finds node and chromium, and has npm install what package-lock.json
// says into the checkout's cache, once for each state of the lock file.
func NewTools(root string) (*Tools, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	t := &Tools{root: root}
	for _, x := range []struct {
		program string
		to      *string
	}{{"chromium", &t.chromium}, {"node", &t.node}, {"npm", new(string)}} {
		if *x.to, err = exec.LookPath(x.program); err != nil {
			return nil, fmt.Errorf("needs the program %s: %w", x.program, ErrMissing)
		}
	}
	here := filepath.Join(root, "bench/luci")
	lock, err := os.ReadFile(filepath.Join(here, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, ".cache", fmt.Sprintf("luci-npm-%x", sha256.Sum256(lock))[:24])
	t.modules = filepath.Join(dir, "node_modules")
	if _, err := os.Stat(t.modules); err == nil {
		return t, nil
	}
	// Installed beside it and renamed, so that what is there is whole.
	work := fmt.Sprintf("%s.%d", dir, os.Getpid())
	defer os.RemoveAll(work)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	for _, f := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(here, f))
		if err == nil {
			err = os.WriteFile(filepath.Join(work, f), text, 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(work, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return t, nil
}

// Run runs a script of the folder browser against a server and returns what it
// printed; env are more variables for it.
func (t *Tools) Run(script string, s *Server, env ...string) (string, error) {
	dir := filepath.Join(t.root, "bench/luci/browser")
	cmd := exec.Command(t.node, filepath.Join(dir, "harness.cjs"), filepath.Join(dir, script), s.URL)
	cmd.Env = append(os.Environ(), "NODE_PATH="+t.modules, "CHROMIUM="+t.chromium, "P2PWALL_LUCI="+s.cfg.LuCI)
	cmd.Env = append(cmd.Env, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w", script, err)
	}
	return out.String(), nil
}
