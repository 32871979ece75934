// SPDX-License-Identifier: GPL-2.0-or-later

package webrtc

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/p2pwall/p2pwall/bench/npm"
)

// Node returns the command for one side of a session with libdatachannel, and a variable
// for its environment. root is the checkout. The caller appends the server's address and
// the side's name.
func Node(root string) (command []string, env string, err error) {
	var node string
	if err := npm.Programs(map[string]*string{"node": &node}); err != nil {
		return nil, "", err
	}
	modules, err := npm.Modules(root)
	if err != nil {
		return nil, "", err
	}
	return []string{node, filepath.Join(root, "bench/webrtc/peer.cjs")}, "NODE_PATH=" + modules, nil
}

// Pion builds the program that uses pion into a folder, and returns the same as Node.
func Pion(root, dir string) (command []string, env string, err error) {
	bin := filepath.Join(dir, "pion")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = filepath.Join(root, "bench/webrtc/pion")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("pion: %w\n%s", err, out)
	}
	return []string{bin}, "P2PWALL=", nil
}
