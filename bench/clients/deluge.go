// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
)

//go:embed deluge_client.py
var delugeScript []byte

// deluge is Deluge's daemon, as it runs on a server or behind the graphical program.
// Deluge has no setting for uTP. A plugin changes libtorrent's setting, as a popular one
// does.
var deluge = &kind{
	name:    "deluge",
	program: "/usr/bin/python3",
	needs:   "deluged",
	command: func(o *options) ([]string, error) {
		core := map[string]any{
			"listen_ports": []uint16{o.port, o.port}, "random_port": false, "daemon_port": o.rpc + 1,
			"download_location": o.files(), "dht": !o.noDHT,
		}
		if o.private {
			core["utpex"], core["lsd"], core["upnp"], core["natpmp"] = false, false, false, false
		}
		if o.encrypted {
			const forced, rc4 = 0, 1
			core["enc_in_policy"], core["enc_out_policy"], core["enc_level"] = forced, forced, rc4
		}
		if o.proxy.at.IsValid() {
			core["proxy"] = map[string]any{
				"type": map[string]int{socks5: 2, connect: 4}[o.proxy.kind], "hostname": o.proxy.at.Addr().String(), "port": o.proxy.at.Port(),
				"proxy_hostnames": true, "proxy_peer_connections": true, "proxy_tracker_connections": true,
			}
		}
		config := map[string]any{
			"dir": filepath.Join(o.dir, "deluge"), "torrent": o.torrentFile(), "files": o.files(), "rpc": o.rpc,
			"session": map[string]any{"enable_outgoing_utp": o.by != onlyTCP, "enable_incoming_utp": o.by != onlyTCP},
		}
		if err := os.MkdirAll(filepath.Join(o.dir, "deluge"), 0o755); err != nil {
			return nil, err
		}
		text, err := json.Marshal(core)
		if err != nil {
			return nil, err
		}
		// The daemon's file has two JSON documents, one after the other.
		text = append([]byte(`{"file": 1, "format": 1}`), text...)
		if err := os.WriteFile(filepath.Join(o.dir, "deluge", "core.conf"), text, 0o644); err != nil {
			return nil, err
		}
		if text, err = json.Marshal(config); err != nil {
			return nil, err
		}
		script, file := filepath.Join(o.dir, "client.py"), filepath.Join(o.dir, "settings.json")
		if err := os.WriteFile(script, delugeScript, 0o644); err != nil {
			return nil, err
		}
		return []string{script, file}, os.WriteFile(file, text, 0o644)
	},
	got: (*program).account,
}
