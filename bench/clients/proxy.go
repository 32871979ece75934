// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// The kinds of a proxy: SOCKS5 (RFC 1928) without a password, and HTTP with CONNECT.
const (
	socks5  = "SOCKS5"
	connect = "CONNECT"
)

// proxy is a server outside through which a client reaches others.
type proxy struct {
	kind string
	at   netip.AddrPort
}

// proxy4 is the address of the proxies, in the internet. They belong to the swarm:
// only the client uses them.
var proxy4 = netip.MustParseAddr("198.51.100.88")

// startProxy runs a proxy of a kind. It resolves no names but with those it is given.
func startProxy(l *lab.Lab, kind string, names map[string][]netip.Addr) (proxy, error) {
	p := proxy{kind, netip.AddrPortFrom(proxy4, map[string]uint16{socks5: 1080, connect: 3128}[kind])}
	listener, err := l.Inet.ListenTCP(p.at)
	if err != nil {
		return p, err
	}
	dial := func(ctx context.Context, _, to string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(to)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, err
		}
		addr, err := netip.ParseAddr(host)
		if known := names[host]; err != nil && len(known) > 0 {
			addr, err = known[0], nil
		}
		if err != nil {
			return nil, err
		}
		return l.Inet.Dial(ctx, "tcp", netip.AddrPortFrom(proxy4, 0), netip.AddrPortFrom(addr, uint16(n)))
	}
	if kind == socks5 {
		l.OnClose(func() { listener.Close() })
		go lab.Accept(listener, func(c net.Conn) { serveSOCKS5(c, dial) })
		return p, nil
	}
	srv := &http.Server{Handler: httpProxy(dial), ErrorLog: quiet}
	l.OnClose(func() { srv.Close() })
	go srv.Serve(listener)
	return p, nil
}

type dialer func(ctx context.Context, network, to string) (net.Conn, error)

// The answers of a SOCKS5 server.
const (
	socksDone        = 0
	socksRefused     = 5
	socksUnsupported = 7
)

// serveSOCKS5 serves one connection.
func serveSOCKS5(c net.Conn, dial dialer) {
	r := bufio.NewReader(c)
	command, to, err := socksRequest(r, c)
	answer := func(code byte) { c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0}) }
	if err != nil {
		return
	}
	if command != 1 { // CONNECT
		answer(socksUnsupported)
		return
	}
	far, err := dial(context.Background(), "tcp", to)
	if err != nil {
		answer(socksRefused)
		return
	}
	defer far.Close()
	answer(socksDone)
	relay(c, r, far)
}

var errSOCKS = errors.New("not SOCKS5")

// socksRequest reads a greeting, agrees to no password, and reads the request.
func socksRequest(r *bufio.Reader, w io.Writer) (command byte, to string, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil || head[0] != 5 {
		return 0, "", errSOCKS
	}
	if _, err := r.Discard(int(head[1])); err != nil {
		return 0, "", err
	}
	w.Write([]byte{5, 0})
	req := make([]byte, 4)
	if _, err := io.ReadFull(r, req); err != nil || req[0] != 5 {
		return 0, "", errSOCKS
	}
	size := 0
	switch req[3] {
	case 1:
		size = 4
	case 4:
		size = 16
	case 3:
		n, err := r.ReadByte()
		if err != nil {
			return 0, "", err
		}
		size = int(n)
	}
	b := make([]byte, size+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, "", err
	}
	host := string(b[:size])
	if req[3] != 3 {
		addr, ok := netip.AddrFromSlice(b[:size])
		if !ok {
			return 0, "", errSOCKS
		}
		host = addr.String()
	}
	return req[1], net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(b[size:])))), nil
}

// relay copies both ways until one side ends.
func relay(near net.Conn, nearRest io.Reader, far net.Conn) {
	go func() {
		io.Copy(far, nearRest)
		far.Close()
	}()
	io.Copy(near, far)
	near.Close()
}

// httpProxy answers CONNECT, and fetches what is asked for by its whole address.
func httpProxy(dial dialer) http.HandlerFunc {
	fetch := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			r.RequestURI = ""
			resp, err := fetch.RoundTrip(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
			w.WriteHeader(resp.StatusCode)
			io.Copy(w, resp.Body)
			return
		}
		far, err := dial(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer far.Close()
		c, rest, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		relay(c, rest, far)
	}
}
