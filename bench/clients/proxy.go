// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bufio"
	"bytes"
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

// proxy is a proxy server on the internet.
type proxy struct {
	kind string
	at   netip.AddrPort
}

// proxy4 is the address of the proxies. They belong to the swarm: only the client uses
// them.
var proxy4 = netip.MustParseAddr("198.51.100.88")

// startProxy starts a proxy. It resolves only the given names.
func startProxy(l *lab.Lab, kind string, names map[string][]netip.Addr) (proxy, error) {
	p := proxy{kind, netip.AddrPortFrom(proxy4, map[string]uint16{socks5: 1080, connect: 3128}[kind])}
	listener, err := l.Inet.ListenTCP(p.at)
	if err != nil {
		return p, err
	}
	resolve := func(to string) (at netip.AddrPort, err error) {
		host, port, err := net.SplitHostPort(to)
		if err != nil {
			return at, err
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return at, err
		}
		addr, err := netip.ParseAddr(host)
		if known := names[host]; err != nil && len(known) > 0 {
			addr, err = known[0], nil
		}
		return netip.AddrPortFrom(addr, uint16(n)), err
	}
	dial := func(ctx context.Context, _, to string) (net.Conn, error) {
		at, err := resolve(to)
		if err != nil {
			return nil, err
		}
		return l.Inet.Dial(ctx, "tcp", netip.AddrPortFrom(proxy4, 0), at)
	}
	if kind == socks5 {
		l.OnClose(func() { listener.Close() })
		bind := func() (*net.UDPConn, error) { return l.Inet.ListenUDP(netip.AddrPortFrom(proxy4, 0)) }
		go lab.Accept(listener, func(c net.Conn) { serveSOCKS5(c, dial, bind, resolve) })
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

// The commands of a SOCKS5 client.
const (
	socksConnect   = 1
	socksAssociate = 3 // UDP associate
)

// serveSOCKS5 serves one connection.
func serveSOCKS5(c net.Conn, dial dialer, bind func() (*net.UDPConn, error), resolve func(string) (netip.AddrPort, error)) {
	r := bufio.NewReader(c)
	command, to, err := socksRequest(r, c)
	answer := func(code byte) { c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0}) }
	switch {
	case err != nil:
		return
	case command == socksAssociate:
		u, err := bind()
		if err != nil {
			answer(socksRefused)
			return
		}
		at := u.LocalAddr().(*net.UDPAddr).AddrPort()
		c.Write(appendSOCKS([]byte{5, socksDone, 0}, at))
		go relayUDP(u, resolve)
		io.Copy(io.Discard, r) // until the connection ends
		u.Close()
		return
	case command != socksConnect:
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

// socksRequest reads a greeting, chooses "no password", and reads the request.
func socksRequest(r *bufio.Reader, w io.Writer) (command byte, to string, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil || head[0] != 5 {
		return 0, "", errSOCKS
	}
	if _, err := r.Discard(int(head[1])); err != nil {
		return 0, "", err
	}
	w.Write([]byte{5, 0})
	req := make([]byte, 3)
	if _, err := io.ReadFull(r, req); err != nil || req[0] != 5 {
		return 0, "", errSOCKS
	}
	to, err = socksAddress(r)
	return req[1], to, err
}

// socksAddress reads an address or a name, and a port.
func socksAddress(r interface {
	io.Reader
	io.ByteReader
},
) (to string, err error) {
	kind, err := r.ReadByte()
	if err != nil {
		return "", errSOCKS
	}
	size := 0
	switch kind {
	case 1:
		size = 4
	case 4:
		size = 16
	case 3:
		n, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		size = int(n)
	}
	b := make([]byte, size+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	host := string(b[:size])
	if kind != 3 {
		addr, ok := netip.AddrFromSlice(b[:size])
		if !ok {
			return "", errSOCKS
		}
		host = addr.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(b[size:])))), nil
}

// appendSOCKS appends an IPv4 address and port in the form of SOCKS5.
func appendSOCKS(b []byte, at netip.AddrPort) []byte {
	b = append(append(b, 1), at.Addr().Unmap().AsSlice()...)
	return binary.BigEndian.AppendUint16(b, at.Port())
}

// relayUDP forwards datagrams until u is closed. It removes the header of each client
// datagram (RFC 1928, section 7) and adds one to each datagram that comes back. The first
// sender is the client.
func relayUDP(u *net.UDPConn, resolve func(string) (netip.AddrPort, error)) {
	const head = 3 // two reserved bytes and the fragment number
	var client netip.AddrPort
	buf := make([]byte, 4096)
	for {
		n, from, err := u.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if !client.IsValid() {
			client = from
		}
		b := buf[:n]
		if from != client {
			u.WriteToUDPAddrPort(append(appendSOCKS(make([]byte, head), from), b...), client)
			continue
		}
		if n < head {
			continue
		}
		r := bytes.NewReader(b[head:])
		if to, err := socksAddress(r); err == nil {
			if at, err := resolve(to); err == nil {
				u.WriteToUDPAddrPort(b[n-r.Len():], at)
			}
		}
	}
}

// relay copies in both directions until one side ends.
func relay(near net.Conn, nearRest io.Reader, far net.Conn) {
	go func() {
		io.Copy(far, nearRest)
		far.Close()
	}()
	io.Copy(near, far)
	near.Close()
}

// httpProxy answers CONNECT. It also fetches requests with an absolute URL.
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
