// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// qbittorrent enters the DHT through the names of public nodes. The lab's DNS server
// resolves them to the lab's nodes.
var qbittorrent = &kind{
	name:    "qbittorrent",
	program: "qbittorrent-nox",
	command: func(o *options) ([]string, error) {
		var b strings.Builder
		b.WriteString("[LegalNotice]\nAccepted=true\n\n[BitTorrent]\n")
		session := func(key string, v any) { fmt.Fprintf(&b, "Session\\%s=%v\n", key, v) }
		session("Port", o.port)
		session("DefaultSavePath", o.files())
		if len(o.bind) == 1 {
			session("InterfaceAddress", o.bind[0])
		}
		if o.upload > 0 {
			session("GlobalUPSpeedLimit", o.upload)
		}
		if o.encrypted {
			session("Encryption", 1)
		}
		if o.noDHT {
			session("DHTEnabled", false)
		}
		if o.private {
			session("PeXEnabled", false)
			session("LSDEnabled", false)
		}
		switch o.by {
		case onlyTCP:
			session("BTProtocol", "TCP")
		case onlyUTP:
			session("BTProtocol", "UTP")
		}
		if o.proxy.at.IsValid() {
			session("ProxyPeerConnections", true)
		}
		b.WriteString("\n[Network]\n")
		if o.private {
			b.WriteString("PortForwardingEnabled=false\n")
		}
		if o.proxy.at.IsValid() {
			kind := map[string]string{socks5: "SOCKS5", connect: "HTTP"}[o.proxy.kind]
			fmt.Fprintf(&b, "Proxy\\Type=%s\nProxy\\IP=%s\nProxy\\Port=%d\nProxy\\Profiles\\BitTorrent=true\n", kind, o.proxy.at.Addr(), o.proxy.at.Port())
		}
		fmt.Fprintf(&b, "\n[Preferences]\nWebUI\\Address=127.0.0.1\nWebUI\\Port=%d\nWebUI\\LocalHostAuth=false\n"+
			"WebUI\\CSRFProtection=false\nWebUI\\HostHeaderValidation=false\n", o.rpc)
		dir := filepath.Join(o.dir, "qBittorrent", "config")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		return []string{"--profile=" + o.dir}, os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(b.String()), 0o600)
	},
	add: func(p *program) error {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		w.WriteField("savepath", p.opt.files())
		if p.opt.seed {
			w.WriteField("skip_checking", "true")
		}
		if p.opt.magnet {
			p.awaitNodes()
			w.WriteField("urls", p.opt.torrent.magnet())
		} else {
			f, err := w.CreateFormFile("torrents", "film.torrent")
			if err != nil {
				return err
			}
			f.Write(p.opt.torrent.file())
		}
		if err := w.Close(); err != nil {
			return err
		}
		resp, err := p.http.Post("http://localhost/api/v2/torrents/add", w.FormDataContentType(), &b)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		// Version 4 answers with one word, 5.3 with a count.
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || string(text) != "Ok." && !bytes.Contains(text, []byte(`"success_count":1`)) {
			return fmt.Errorf("%s: %s", resp.Status, text)
		}
		return nil
	},
	got: func(p *program) (int, error) {
		var r []struct{ Downloaded int }
		if err := p.qbittorrent("torrents/info", &r); err != nil {
			return 0, err
		}
		if len(r) == 0 {
			return 0, errNoTorrent
		}
		return r[0].Downloaded, nil
	},
}

// awaitNodes waits until qBittorrent knows nodes of the DHT, but not long: behind the wall it
// gets none. libtorrent looks for a torrent's peers once, when it gets the torrent, and then
// after a quarter of an hour. A magnet link that comes before the first node is in vain.
func (p *program) awaitNodes() {
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var r struct {
			Nodes int `json:"dht_nodes"`
		}
		if err := p.qbittorrent("transfer/info", &r); err == nil && r.Nodes > 0 {
			return
		}
	}
}

// qbittorrent reads an answer of qBittorrent's control interface into r.
func (p *program) qbittorrent(path string, r any) error {
	resp, err := p.http.Get("http://localhost/api/v2/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(r)
}
