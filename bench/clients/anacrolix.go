// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// anacrolix is a client in Go with WebTorrent. Its program is in the folder of that name.
var anacrolix = &kind{
	name:  "anacrolix",
	built: anacrolixProgram,
	command: func(o *options) ([]string, error) {
		config := map[string]any{
			"Torrent": o.torrentFile(), "Files": o.files(), "Seed": o.seed, "RPC": o.rpc, "Port": o.port,
			"Bind": o.bind, "Upload": o.upload << 10, "NoDHT": o.noDHT, "Private": o.private, "Encrypted": o.encrypted,
			"NoTCP": o.by == onlyUTP || o.by == onlyWebRTC, "NoUTP": o.by == onlyTCP || o.by == onlyWebRTC,
			"NoWebRTC": o.by == onlyTCP || o.by == onlyUTP,
		}
		if o.node.IsValid() {
			config["Node"] = o.node.String()
		}
		text, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(o.dir, "settings.json")
		return []string{file}, os.WriteFile(file, text, 0o644)
	},
	got: (*program).account,
}

// anacrolixProgram builds the program at most once and keeps it in the cache, because its
// module has many dependencies.
var anacrolixProgram = sync.OnceValues(func() (string, error) {
	cache, unlock, err := lab.Cache("clients")
	if err != nil {
		return "", err
	}
	defer unlock()
	bin := filepath.Join(cache, "anacrolix")
	// libutp is in C. Without it the library uses its version in Go.
	cmd := exec.Command("go", "build", "-tags", "disable_libutp", "-o", bin, ".")
	cmd.Dir = "anacrolix"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the client anacrolix: %w\n%s", err, out)
	}
	return bin, nil
})
