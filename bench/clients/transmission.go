// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

var transmission = &kind{
	name:    "transmission",
	program: "transmission-daemon",
	command: func(o *options) ([]string, error) {
		s := map[string]any{
			"rpc-port": o.rpc, "rpc-bind-address": "127.0.0.1", "rpc-whitelist-enabled": false,
			"peer-port": o.port, "download-dir": o.files(),
			"cache-size-mb": 0, // received data is on disk at once
			"lpd-enabled":   o.lsd,
		}
		if len(o.bind) > 0 {
			// Without a value Transmission would take the port on all addresses.
			s["bind-address-ipv4"], s["bind-address-ipv6"] = "127.0.0.1", "::1"
		}
		for _, a := range o.bind {
			if a.Is4() {
				s["bind-address-ipv4"] = a.String()
			} else {
				s["bind-address-ipv6"] = a.String()
			}
		}
		if o.upload > 0 {
			s["speed-limit-up-enabled"], s["speed-limit-up"] = true, o.upload
		}
		if o.encrypted {
			s["encryption"] = 2
		}
		if o.noDHT {
			s["dht-enabled"] = false
		}
		if o.private {
			s["pex-enabled"], s["port-forwarding-enabled"] = false, false
		}
		if o.by == onlyTCP {
			s["utp-enabled"] = false
		}
		text, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(o.dir, "settings.json"), text, 0o600); err != nil {
			return nil, err
		}
		if o.node.IsValid() {
			boot := fmt.Sprintf("%s %d\n", o.node.Addr(), o.node.Port())
			if err := os.WriteFile(filepath.Join(o.dir, "dht.bootstrap"), []byte(boot), 0o644); err != nil {
				return nil, err
			}
		}
		return []string{"-f", "-g", o.dir}, nil
	},
	add: func(p *program) error {
		arg := map[string]any{"download-dir": p.opt.files()}
		if p.opt.magnet {
			arg["filename"] = p.opt.torrent.magnet()
		} else {
			arg["metainfo"] = base64.StdEncoding.EncodeToString(p.opt.torrent.file())
		}
		return p.transmission("torrent-add", arg, nil)
	},
	got: func(p *program) (int, error) {
		var r struct {
			Torrents []struct{ DownloadedEver int }
		}
		if err := p.transmission("torrent-get", map[string]any{"fields": []string{"downloadedEver"}}, &r); err != nil {
			return 0, err
		}
		if len(r.Torrents) == 0 {
			return 0, errNoTorrent
		}
		return r.Torrents[0].DownloadedEver, nil
	},
}

// transmission calls Transmission's RPC. The first attempt returns the session ID.
func (p *program) transmission(method string, arg, reply any) error {
	body, err := json.Marshal(map[string]any{"method": method, "arguments": arg})
	if err != nil {
		return err
	}
	session := ""
	for range 2 {
		req, err := http.NewRequest("POST", "http://localhost/transmission/rpc", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("X-Transmission-Session-Id", session)
		resp, err := p.http.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusConflict {
			session = resp.Header.Get("X-Transmission-Session-Id")
			continue
		}
		var r struct {
			Result    string
			Arguments json.RawMessage
		}
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
			return err
		}
		if r.Result != "success" {
			return fmt.Errorf("%s: %s", method, r.Result)
		}
		if reply == nil {
			return nil
		}
		return json.Unmarshal(r.Arguments, reply)
	}
	return fmt.Errorf("%s: no session", method)
}
