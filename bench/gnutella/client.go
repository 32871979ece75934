// SPDX-License-Identifier: GPL-2.0-or-later

package gnutella

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

const (
	port     = 6346
	head     = 23 // bytes of a message header
	ping     = 0
	pong     = 1
	fileSize = 16 << 20
	// Programs request parts of partSize bytes. The peer takes partTime for each.
	partSize = 512 << 10
	partTime = time.Second
	path     = "/uri-res/N2R?urn:sha1:LXIP2A72T5H3BU3GRUMZFYNU3OYDK6FI"
)

// client is a simulated client.
type client struct {
	host  *lab.Host
	peers []netip.AddrPort
	// g2: the client uses G2 and no other messages over UDP.
	g2 bool
	// seed: the client has the file, and asks for none.
	seed bool
	// quiet: the client opens no more connections and only answers.
	quiet atomic.Bool

	got      atomic.Int64 // bytes of the file
	sessions atomic.Int64 // handshakes that a peer accepted
	asked    atomic.Int64 // probes and requests that it answered
}

// message is a Gnutella message over UDP with the given ID.
func message(guid []byte, kind byte, body []byte) []byte {
	b := append(append([]byte(nil), guid...), kind, 1, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// run runs the client until ctx ends.
func (c *client) run(ctx context.Context) error {
	u, err := c.host.ListenUDP(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		return err
	}
	l, err := c.host.ListenTCP(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		u.Close()
		return err
	}
	var all sync.WaitGroup
	all.Go(func() { lab.Datagrams(u, c.answerUDP) })
	all.Go(func() { lab.Accept(l, c.answerTCP) })
	for _, p := range c.peers {
		if !c.seed {
			all.Go(func() { c.download(ctx, p) })
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := uint16(1); ; i++ {
		if !c.quiet.Load() {
			for _, p := range c.peers {
				u.WriteToUDPAddrPort(c.search(i), p)
				all.Go(func() { c.session(ctx, p) })
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			u.Close()
			l.Close()
			all.Wait()
			return nil
		}
	}
}

// search returns a ping of Gnutella or G2.
func (c *client) search(i uint16) []byte {
	if c.g2 {
		return append(binary.BigEndian.AppendUint16([]byte("GND\x02"), i), 1, 1, 8, 'P', 'I')
	}
	guid := make([]byte, 16)
	rand.Read(guid)
	return message(guid, ping, nil)
}

func (c *client) answerUDP(m []byte, _ netip.AddrPort) []byte {
	switch {
	case len(m) >= head && !c.g2 && m[16] == ping:
		c.asked.Add(1)
		return message(m[:16], pong, make([]byte, 14))
	case len(m) > 8 && c.g2 && string(m[:3]) == "GND" && m[3]&2 != 0:
		c.asked.Add(1)
		return []byte{'G', 'N', 'D', 0, m[4], m[5], m[6], 0}
	}
	return nil
}

func (c *client) answerTCP(conn net.Conn) {
	r := bufio.NewReader(conn)
	if connects(r) {
		fmt.Fprint(conn, "GNUTELLA/0.6 503 Full\r\n\r\n")
		c.asked.Add(1)
		return
	}
	upload(conn, r)
}

// connects reports whether what comes asks for a session.
func connects(r *bufio.Reader) bool {
	b, err := r.Peek(16)
	return err == nil && string(b) == "GNUTELLA CONNECT"
}

// session opens a session and closes it after the peer's answer.
func (c *client) session(ctx context.Context, to netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := c.host.Dial(ctx, "tcp", netip.AddrPort{}, to)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	accept := ""
	if c.g2 {
		accept = "Accept: application/x-gnutella2\r\n"
	}
	fmt.Fprintf(conn, "GNUTELLA CONNECT/0.6\r\n%sUser-Agent: Simulated 1.0\r\nX-Ultrapeer: False\r\nListen-IP: %s:%d\r\n\r\n", accept, c.host.Addr4, port)
	if line, _ := bufio.NewReader(conn).ReadString('\n'); strings.HasPrefix(line, "GNUTELLA/0.6 200") {
		c.sessions.Add(1)
	}
}

// download requests parts of the file from a peer, one after the other on one connection,
// as real programs do.
func (c *client) download(ctx context.Context, from netip.AddrPort) {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return c.host.Dial(ctx, "tcp", netip.AddrPort{}, from)
	}}
	for at := 0; ctx.Err() == nil; {
		if !c.quiet.Load() && c.part(ctx, t, from, at) == nil {
			at = (at + partSize) % fileSize
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (c *client) part(ctx context.Context, t http.RoundTripper, from netip.AddrPort, at int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+from.String()+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "Simulated 1.0")
	r.Header.Set("X-Features", "queue/1.1")
	r.Header.Set("X-Queue", "1.1")
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+partSize-1))
	resp, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(counted{&c.got}, resp.Body)
	return err
}

type counted struct{ n *atomic.Int64 }

func (c counted) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// peer is a server at an internet address. It answers pings, accepts sessions and has the
// file.
func peer(h *lab.Host, at netip.AddrPort) (stop func(), err error) {
	u, err := h.ListenUDP(at)
	if err != nil {
		return nil, err
	}
	l, err := h.ListenTCP(at)
	if err != nil {
		u.Close()
		return nil, err
	}
	other := &client{host: h}
	go lab.Datagrams(u, other.answerUDP)
	go lab.Accept(l, serve)
	return func() {
		u.Close()
		l.Close()
	}, nil
}

func serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	if connects(r) {
		fmt.Fprint(conn, "GNUTELLA/0.6 200 OK\r\nX-Ultrapeer: True\r\n\r\n")
		io.Copy(io.Discard, r)
		return
	}
	upload(conn, r)
}

// upload sends the parts of the file for which requests come.
func upload(conn net.Conn, r *bufio.Reader) {
	for {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 206 OK\r\nServer: Simulated 1.0\r\nContent-Length: %d\r\n\r\n", partSize)
		piece := make([]byte, partSize/10)
		for left := partSize; left > 0; left -= len(piece) {
			if _, err := conn.Write(piece[:min(left, len(piece))]); err != nil {
				return
			}
			time.Sleep(partTime / 10)
		}
	}
}
