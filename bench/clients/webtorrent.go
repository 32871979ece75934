// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"github.com/p2pwall/p2pwall/bench/npm"
)

// webtorrent is npm's WebTorrent in Node.js, with libdatachannel for WebRTC.
var webtorrent = &kind{
	name:    "webtorrent",
	program: "node",
	command: func(o *options) ([]string, error) {
		script, err := webtorrentScript()
		if err != nil {
			return nil, err
		}
		s := map[string]any{
			"torrentPort": o.port, "utp": o.by != onlyTCP, "utPex": !o.private, "lsd": !o.private,
			"natUpnp": !o.private, "natPmp": !o.private, "secure": o.encrypted, "dht": !o.noDHT,
		}
		if !o.noDHT && o.node.IsValid() {
			s["dht"] = map[string]any{"bootstrap": []string{o.node.String()}}
		}
		text, err := json.Marshal(map[string]any{"settings": s, "torrent": o.torrentFile(), "files": o.files(), "rpc": o.rpc})
		if err != nil {
			return nil, err
		}
		file := filepath.Join(o.dir, "settings.json")
		return []string{script, file}, os.WriteFile(file, text, 0o644)
	},
	got: (*program).account,
}

// webtorrentScript returns the path of the script. It is beside the npm packages: a module
// of Node.js finds packages only so.
var webtorrentScript = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..") // the client runs in another folder
	if err != nil {
		return "", err
	}
	modules, err := npm.Modules(root)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile("webtorrent_client.mjs")
	if err != nil {
		return "", err
	}
	script := filepath.Join(filepath.Dir(modules), "webtorrent_client.mjs")
	return script, os.WriteFile(script, text, 0o644)
})
