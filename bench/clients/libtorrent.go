// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed libtorrent_client.py
var libtorrentScript []byte

// libtorrent is the library of qBittorrent and Deluge, used directly. In Debian 12 only
// the library itself supports SSL torrents.
var libtorrent = &kind{
	name:    "libtorrent",
	program: "/usr/bin/python3",
	command: func(o *options) ([]string, error) {
		ssl := ""
		if o.ssl != nil {
			ssl = "s"
		}
		var listen []string
		for _, a := range o.bind {
			listen = append(listen, fmt.Sprintf("%s:%d%s", a, o.port, ssl))
		}
		if listen == nil {
			listen = []string{fmt.Sprintf("0.0.0.0:%d%s", o.port, ssl), fmt.Sprintf("[::]:%d%s", o.port, ssl)}
		}
		tcp, utp := o.by == anyTransport || o.by == onlyTCP, o.by == anyTransport || o.by == onlyUTP
		s := map[string]any{
			"listen_interfaces": strings.Join(listen, ","), "enable_dht": !o.noDHT,
			"dht_bootstrap_nodes": o.node.String(), "upload_rate_limit": o.upload << 10,
			"enable_outgoing_utp": utp, "enable_incoming_utp": utp,
			"enable_outgoing_tcp": tcp, "enable_incoming_tcp": tcp,
			"enable_lsd": !o.private, "enable_upnp": !o.private, "enable_natpmp": !o.private,
		}
		if o.encrypted {
			const forced, rc4 = 0, 2
			s["out_enc_policy"], s["in_enc_policy"], s["allowed_enc_level"] = forced, forced, rc4
		}
		if o.proxy.at.IsValid() {
			s["proxy_type"] = map[string]int{socks5: 2, connect: 4}[o.proxy.kind]
			s["proxy_hostname"], s["proxy_port"] = o.proxy.at.Addr().String(), o.proxy.at.Port()
		}
		config := map[string]any{
			"settings": s, "torrent": o.torrentFile(), "files": o.files(), "seed": o.seed, "rpc": o.rpc, "cert": "", "peer": nil,
		}
		if o.peer.IsValid() {
			s["min_reconnect_time"], s["max_failcount"] = 2, 1000
			config["peer"] = []any{o.peer.Addr().String(), o.peer.Port()}
		}
		if o.ssl != nil {
			config["cert"], config["key"], config["dh"] = o.ssl.cert, o.ssl.key, o.ssl.dh
		}
		text, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		script, file := filepath.Join(o.dir, "client.py"), filepath.Join(o.dir, "settings.json")
		if err := os.WriteFile(script, libtorrentScript, 0o644); err != nil {
			return nil, err
		}
		return []string{script, file}, os.WriteFile(file, text, 0o644)
	},
	got: (*program).account,
}
