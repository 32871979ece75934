// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"
)

// proxies are programs that carry connections for others. A proxy whose connections look
// random from the first byte may lose one connection.
var proxies = []pastime{
	{name: "microsocks, SOCKS5", begin: func(p *programs) (func() error, error) {
		err := p.serveAt(1080, "microsocks", "-i", server, "-p", "1080")
		return p.through("--socks5 " + server + ":1080"), err
	}},
	{name: "tinyproxy, CONNECT", begin: func(p *programs) (func() error, error) {
		conf := p.write("tinyproxy.conf", fmt.Sprintf("Port 8888\nListen %s\nTimeout 60\n", server))
		err := p.serveAt(8888, "tinyproxy", "-d", "-c", conf)
		return p.through("-p -x http://" + server + ":8888"), err
	}},
	{name: "Shadowsocks, ChaCha20", loses: 1, begin: shadowsocks("chacha20-ietf-poly1305", 8388, 1081)},
	{name: "Shadowsocks, AES", loses: 1, begin: shadowsocks("aes-256-gcm", 10443, 1082)},
	{name: "obfs4", loses: 1, begin: obfs4},
}

// through downloads a file through a proxy.
func (p *programs) through(proxy string) func() error {
	return func() error { return p.fetches(fmt.Sprint(server, ":", portWeb), middle, proxy) }
}

func shadowsocks(method string, port, local uint16) func(p *programs) (func() error, error) {
	return func(p *programs) (func() error, error) {
		args := []string{"-s", server, "-p", fmt.Sprint(port), "-k", "secret", "-m", method}
		if err := p.serveAt(port, "ss-server", args...); err != nil {
			return nil, err
		}
		r, err := p.run(p.host.Namespace, nil, "ss-local", append(args, "-l", fmt.Sprint(local))...)
		if err != nil {
			return nil, err
		}
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), local)
		return p.through("--socks5 " + at.String()), p.listens(p.host.Namespace, at, r)
	}
}

// obfs4 is Tor's obfuscated transport. The web server takes the place of Tor. obfs4proxy
// takes its settings from environment variables, as from Tor.
func obfs4(p *programs) (func() error, error) {
	env := func(dir string, more ...string) []string {
		return append(more, "TOR_PT_MANAGED_TRANSPORT_VER=1", "TOR_PT_STATE_LOCATION="+p.file(dir))
	}
	at := server + ":9001"
	r, err := p.run(p.lab.Inet.Namespace, env("obfs4s", "TOR_PT_SERVER_TRANSPORTS=obfs4", "TOR_PT_SERVER_BINDADDR=obfs4-"+at,
		fmt.Sprint("TOR_PT_ORPORT=127.0.0.1:", portWeb)), "obfs4proxy")
	if err == nil {
		err = says(r, "SMETHODS DONE", patience)
	}
	if err != nil {
		return nil, err
	}
	_, cert, _ := strings.Cut(r.Log.String(), "ARGS:")
	cert, _, _ = strings.Cut(cert, ",")
	r, err = p.run(p.host.Namespace, env("obfs4c", "TOR_PT_CLIENT_TRANSPORTS=obfs4"), "obfs4proxy")
	if err == nil {
		err = says(r, "CMETHODS DONE", patience)
	}
	if err != nil {
		return nil, err
	}
	_, local, _ := strings.Cut(r.Log.String(), "CMETHOD obfs4 socks5 ")
	local, _, _ = strings.Cut(local, "\n")
	// The bridge's certificate is passed in the proxy's user and password fields.
	return func() error {
		return p.fetches(at, middle, "--socks5", local, "--proxy-user", "'"+cert+";:iat-mode=0'")
	}, nil
}
