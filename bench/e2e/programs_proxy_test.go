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
	{name: "Shadowsocks, ChaCha20", loses: 1, begin: downloads(shadowsocks("chacha20-ietf-poly1305", besideAddrs[0], 8388, 1081))},
	{name: "Shadowsocks, AES", loses: 1, begin: downloads(shadowsocks("aes-256-gcm", besideAddrs[0], 10443, 1082))},
	{name: "obfs4", loses: 1, begin: downloads(obfs4(besideAddrs[0]))},
}

// through downloads a file through a proxy.
func (p *programs) through(proxy string) func() error {
	return func() error { return p.fetches(fmt.Sprint(server, ":", portWeb), middle, proxy) }
}

// route is a way to the web server through another program: the address that curl is given,
// and its arguments.
type route struct{ at, with string }

// downloads is a use that downloads a file by a route.
func downloads(by func(*programs) (route, error)) func(*programs) (func() error, error) {
	return func(p *programs) (func() error, error) {
		r, err := by(p)
		return func() error { return p.fetches(r.at, middle, r.with) }, err
	}
}

// loopback is a port of the host's own.
func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// shadowsocks is a server at an address and port, and the client's local port.
func shadowsocks(method string, on netip.Addr, port, local uint16) func(p *programs) (route, error) {
	return func(p *programs) (route, error) {
		args := []string{"-s", on.String(), "-p", fmt.Sprint(port), "-k", "secret", "-m", method}
		r, err := p.serve("ss-server", args...)
		if err == nil {
			err = p.listens(p.lab.Inet.Namespace, netip.AddrPortFrom(on, port), r)
		}
		if err != nil {
			return route{}, err
		}
		r, err = p.run(p.host.Namespace, nil, "ss-local", append(args, "-l", fmt.Sprint(local))...)
		if err != nil {
			return route{}, err
		}
		at := loopback(local)
		return route{fmt.Sprint(on, ":", portWeb), "--socks5 " + at.String()}, p.listens(p.host.Namespace, at, r)
	}
}

// obfs4 is Tor's obfuscated transport, with a bridge at an address. The web server takes the
// place of Tor. obfs4proxy takes its settings from environment variables, as from Tor.
func obfs4(on netip.Addr) func(p *programs) (route, error) {
	return func(p *programs) (route, error) {
		env := func(dir string, more ...string) []string {
			return append(more, "TOR_PT_MANAGED_TRANSPORT_VER=1", "TOR_PT_STATE_LOCATION="+p.file(fmt.Sprint(dir, on)))
		}
		at := fmt.Sprint(on, ":9001")
		r, err := p.run(p.lab.Inet.Namespace, env("obfs4s", "TOR_PT_SERVER_TRANSPORTS=obfs4", "TOR_PT_SERVER_BINDADDR=obfs4-"+at,
			fmt.Sprint("TOR_PT_ORPORT=127.0.0.1:", portWeb)), "obfs4proxy")
		if err == nil {
			err = says(r, "SMETHODS DONE")
		}
		if err != nil {
			return route{}, err
		}
		_, cert, _ := strings.Cut(r.Log.String(), "ARGS:")
		cert, _, _ = strings.Cut(cert, ",")
		r, err = p.run(p.host.Namespace, env("obfs4c", "TOR_PT_CLIENT_TRANSPORTS=obfs4"), "obfs4proxy")
		if err == nil {
			err = says(r, "CMETHODS DONE")
		}
		if err != nil {
			return route{}, err
		}
		_, local, _ := strings.Cut(r.Log.String(), "CMETHOD obfs4 socks5 ")
		local, _, _ = strings.Cut(local, "\n")
		// The bridge's certificate is passed in the proxy's user and password fields.
		return route{at, "--socks5 " + local + " --proxy-user '" + cert + ";:iat-mode=0'"}, nil
	}
}
