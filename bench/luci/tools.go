// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/p2pwall/p2pwall/bench/npm"
)

// Tools has the programs that a browser test runs.
type Tools struct {
	root           string
	node, chromium string
	modules        string // npm's folder
}

// ErrMissing is in the error of NewTools if the machine lacks a program.
var ErrMissing = npm.ErrMissing

// NewTools finds node and chromium. It installs the packages of bench/npm
// into the checkout's cache.
func NewTools(root string) (*Tools, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	t := &Tools{root: root}
	if err := npm.Programs(map[string]*string{"chromium": &t.chromium, "node": &t.node}); err != nil {
		return nil, err
	}
	t.modules, err = npm.Modules(root)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Run runs a script of the folder browser with a server and returns its output. env adds
// variables to its environment.
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
