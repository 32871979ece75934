// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var rtorrent = &kind{
	name:    "rtorrent",
	program: "rtorrent",
	command: func(o *options) ([]string, error) {
		var b strings.Builder
		line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
		line("system.daemon.set = true")
		line("network.scgi.open_port = 127.0.0.1:%d", o.rpc)
		line("directory.default.set = %s", o.files())
		line("session.path.set = %s", o.dir+"/session")
		line("network.port_range.set = %d-%d", o.port, o.port)
		line("network.port_random.set = no")
		if len(o.bind) > 0 {
			line("network.bind_address.set = %s", o.bind[0])
		}
		if o.upload > 0 {
			line("throttle.global_up.max_rate.set_kb = %d", o.upload)
		}
		if o.encrypted {
			line("protocol.encryption.set = allow_incoming,try_outgoing,require,require_RC4")
		}
		if o.private {
			line("protocol.pex.set = no")
		}
		if o.ca != "" {
			line("network.http.cacert.set = %s", o.ca)
		}
		if o.proxy.at.IsValid() {
			line("network.proxy_address.set = %s", o.proxy.at)
			line("network.http.proxy_address.set = http://%s", o.proxy.at)
		}
		if o.node.IsValid() && !o.noDHT {
			line("dht.mode.set = on")
			line("dht.port.set = %d", o.port)
			line("schedule2 = node, 1, 0, \"dht.add_node=%s\"", o.node)
		}
		switch {
		case o.resume:
		case o.magnet:
			line("load.start = \"%s\"", o.torrent.magnet())
		default:
			line("load.start = %s", o.torrentFile())
		}
		if err := os.MkdirAll(o.dir+"/session", 0o755); err != nil {
			return nil, err
		}
		rc := filepath.Join(o.dir, "rtorrent.rc")
		return []string{"-n", "-o", "import=" + rc}, os.WriteFile(rc, []byte(b.String()), 0o644)
	},
	got: func(p *program) (int, error) {
		reply, err := p.scgi(`<methodCall><methodName>d.multicall2</methodName><params>` +
			`<param><value><string></string></value></param><param><value><string>main</string></value></param>` +
			`<param><value><string>d.bytes_done=</string></value></param></params></methodCall>`)
		if err != nil {
			return 0, err
		}
		m := integer.FindStringSubmatch(reply)
		if m == nil {
			return 0, errNoTorrent
		}
		return strconv.Atoi(m[1])
	},
}

var integer = regexp.MustCompile(`<i[48]>(\d+)</i[48]>`)

// scgi calls rTorrent's XML-RPC interface.
func (p *program) scgi(body string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := p.opt.ns.Dial(ctx, "tcp", netip.AddrPort{}, p.control())
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	head := fmt.Sprintf("CONTENT_LENGTH\x00%d\x00SCGI\x001\x00", len(body))
	fmt.Fprintf(c, "%d:%s,%s", len(head), head, body)
	reply, err := io.ReadAll(c)
	return string(reply), err
}
