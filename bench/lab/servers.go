// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The ports of the ordinary servers.
const (
	portSSH  = 22
	portSMTP = 25
	portDNS  = 53
	portHTTP = 80
	portTLS  = 443 // also QUIC
	portGame = 27015
)

// Server4 and Server6 are addresses of ordinary servers with the same services. All other
// addresses of 192.0.2.0/24 offer these services too.
var (
	Server4 = netip.MustParseAddr("192.0.2.10")
	Server6 = netip.MustParseAddr("2001:db8:ff::10")
)

// SetNames sets the addresses that all name servers of the internet answer for some
// names. For every other name they answer with the ordinary server.
func (in *Internet) SetNames(addrs map[string][]netip.Addr) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.names = Names{addrs, []netip.Addr{Server4, Server6}}
}

// ordinary starts the servers that the innocent host talks to.
func (in *Internet) ordinary() error {
	in.SetNames(nil)
	dns := func(_ netip.AddrPort, q []byte) []byte {
		in.mu.Lock()
		names := in.names
		in.mu.Unlock()
		return names.answer(q)
	}
	echo := func(_ netip.AddrPort, b []byte) []byte { return b }
	udp := []struct {
		port   uint16
		answer func(netip.AddrPort, []byte) []byte
	}{{portDNS, dns}, {portTLS, echo}, {portGame, echo}, {PortTorrent, echo}}
	for _, u := range udp {
		if err := in.udp(u.port, u.answer); err != nil {
			return err
		}
	}
	tcp := []struct {
		port  uint16
		serve func(net.Conn)
	}{
		{portHTTP, serveHTTP},
		{PortTorrent, func(c net.Conn) { io.Copy(c, c) }},
		{portTLS, serveTLS},
		{portSSH, func(c net.Conn) { serveBanner(c, "SSH-2.0-OpenSSH_9.2\r\n") }},
		{portSMTP, func(c net.Conn) { serveBanner(c, "220 mail.example.net ESMTP\r\n") }},
	}
	for _, t := range tcp {
		if err := in.tcp(t.port, t.serve); err != nil {
			return err
		}
	}
	return nil
}

// serveHTTP answers GET /SIZE with SIZE bytes and keeps the connection open.
func serveHTTP(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		path, err := readRequest(r)
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimPrefix(path, "/"))
		if err != nil || size < 0 {
			size = 0
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := io.CopyN(c, zeros{}, int64(size)); err != nil {
			return
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// clientHello is a TLS record with a ClientHello for a server name. Nothing in the lab
// speaks TLS. An observer only sees the first bytes.
func clientHello(server string) []byte {
	name := append([]byte{0, byte(len(server) >> 8), byte(len(server))}, server...)
	list := append([]byte{byte(len(name) >> 8), byte(len(name))}, name...)
	ext := append([]byte{0, 0, byte(len(list) >> 8), byte(len(list))}, list...)
	ext = append(ext, 0, 43, 0, 3, 2, 3, 4) // supported_versions: TLS 1.3
	body := []byte{3, 3}
	for i := range 32 {
		body = append(body, byte(i*53+11))
	}
	body = append(body, 0, 0, 2, 0x13, 0x01, 1, 0, byte(len(ext)>>8), byte(len(ext)))
	body = append(body, ext...)
	shake := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{0x16, 3, 1, byte(len(shake) >> 8), byte(len(shake))}, shake...)
}

// serveTLS answers a ClientHello with handshake records, and application data with the
// same amount of application data.
func serveTLS(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		kind, body, err := tlsRecord(r)
		if err != nil {
			return
		}
		n := len(body)
		if kind == 0x16 {
			n = 3000
		}
		rec := append([]byte{kind, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
		if _, err := c.Write(rec); err != nil {
			return
		}
	}
}

func tlsRecord(r io.Reader) (kind byte, body []byte, err error) {
	var h [5]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, int(h[3])<<8|int(h[4]))
	_, err = io.ReadFull(r, body)
	return h[0], body, err
}

// serveBanner sends first, as SSH and mail servers do, and then echoes lines.
func serveBanner(c net.Conn, banner string) {
	io.WriteString(c, banner)
	io.Copy(c, c)
}

// Accept serves a listener until it is closed. It closes each connection when serve
// returns.
func Accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// Datagrams reads a socket until it is closed. It passes each datagram to answer, and sends
// what comes back, unless it is nil.
func Datagrams(u *net.UDPConn, answer func(b []byte, from netip.AddrPort) []byte) {
	buf := make([]byte, 2048)
	for {
		n, from, err := u.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if reply := answer(buf[:n], from); reply != nil {
			u.WriteToUDPAddrPort(reply, from)
		}
	}
}

// EchoUDP sends back each datagram until the socket is closed.
func EchoUDP(u *net.UDPConn) {
	Datagrams(u, func(b []byte, _ netip.AddrPort) []byte { return b })
}
