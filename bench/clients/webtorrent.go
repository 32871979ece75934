// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// webtorrent is npm's WebTorrent in Node.js, with libdatachannel for WebRTC.
var webtorrent = &kind{
	name:    "webtorrent",
	program: "node",
	command: func(o *options) ([]string, error) {
		folder, err := webtorrentFolder()
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
		return []string{filepath.Join(folder, "client.mjs"), file}, os.WriteFile(file, text, 0o644)
	},
	got: (*program).account,
}

// webtorrentFolder has the script and its npm packages. It is made in the cache if it is
// missing.
var webtorrentFolder = sync.OnceValues(func() (string, error) {
	h := sha256.New()
	texts := map[string][]byte{}
	for _, name := range []string{"client.mjs", "package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("webtorrent", name))
		if err != nil {
			return "", err
		}
		h.Write(text)
		texts[name] = text
	}
	cache, unlock, err := lab.Cache("clients")
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(cache, fmt.Sprintf("webtorrent-%x", h.Sum(nil)[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	// The folder is made under another name and then renamed, so that it is always
	// complete.
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return "", err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(work, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
})
