// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/net/websocket"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// announceInterval is the tracker's announce interval in seconds, a common value.
const announceInterval = 1800

// tracker is a small BitTorrent tracker, HTTP and UDP on one port. It knows one torrent
// and answers every request with that torrent's peers: the given seeds and all clients
// that announced themselves.
type tracker struct {
	// silent makes it ignore all requests.
	silent atomic.Bool

	web rendezvous

	mu    sync.Mutex
	peers []netip.AddrPort
}

// startTracker listens on an internet address, with TLS if there is a certificate.
func startTracker(l *lab.Lab, at netip.AddrPort, seeds []netip.AddrPort, cert *lab.Certificate) (*tracker, error) {
	t := &tracker{peers: slices.Clone(seeds)}
	tcp, err := l.Inet.ListenTCP(at)
	if err != nil {
		return nil, err
	}
	udp, err := l.Inet.ListenUDP(at)
	if err != nil {
		tcp.Close()
		return nil, err
	}
	srv := &http.Server{Handler: http.HandlerFunc(t.http), ErrorLog: quiet}
	if cert != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert.TLS}}
		go srv.ServeTLS(tcp, "", "")
	} else {
		go srv.Serve(tcp)
	}
	go t.serveUDP(udp)
	l.OnClose(func() { srv.Close(); udp.Close() })
	return t, nil
}

// announce adds a peer and returns the other peers of its address family.
func (t *tracker) announce(from netip.Addr, port uint16, stopped bool) (peers []byte, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	self := netip.AddrPortFrom(from, port)
	t.peers = slices.DeleteFunc(t.peers, func(p netip.AddrPort) bool { return p == self })
	for _, p := range t.peers {
		if p.Addr().Is4() == from.Is4() {
			peers = appendPeer(peers, p)
			n++
		}
	}
	if !stopped {
		t.peers = append(t.peers, self)
	}
	return peers, n
}

// appendPeer appends an address in the compact form: 6 or 18 octets.
func appendPeer(b []byte, p netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(append(b, p.Addr().AsSlice()...), p.Port())
}

func (t *tracker) http(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" && !t.silent.Load() {
		websocket.Server{Handler: t.web.serve}.ServeHTTP(w, r)
		return
	}
	q := r.URL.Query()
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	port, err2 := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil || err2 != nil || len(q.Get("info_hash")) != 20 {
		http.Error(w, "not an announce", http.StatusBadRequest)
		return
	}
	if t.silent.Load() {
		panic(http.ErrAbortHandler)
	}
	peers, n := t.announce(from.Addr().Unmap(), uint16(port), q.Get("event") == "stopped")
	reply := map[string]any{"interval": announceInterval, "complete": n, "incomplete": 1, "peers": ""}
	if from.Addr().Unmap().Is4() {
		reply["peers"] = peers
	} else {
		reply["peers6"] = peers
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Write(bencode(nil, reply))
}

// The actions of the UDP protocol (BEP 15).
const (
	actionConnect  = 0
	actionAnnounce = 1
	actionError    = 3
	eventStopped   = 3
)

const protocolID = 0x41727101980

func (t *tracker) serveUDP(c *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if reply := t.udp(from.Addr().Unmap(), buf[:n]); reply != nil && !t.silent.Load() {
			c.WriteToUDPAddrPort(reply, from)
		}
	}
}

func (t *tracker) udp(from netip.Addr, b []byte) []byte {
	be := binary.BigEndian
	if len(b) < 16 {
		return nil
	}
	reply := make([]byte, 4, 256)
	copy(reply, b[8:12])
	reply = append(reply, b[12:16]...)
	switch action := be.Uint32(b[8:]); {
	case action == actionConnect && be.Uint64(b) == protocolID:
		return be.AppendUint64(reply, 0x1122334455667788)
	case action == actionAnnounce && len(b) >= 98:
		peers, n := t.announce(from, be.Uint16(b[96:]), be.Uint32(b[80:]) == eventStopped)
		for _, v := range []uint32{announceInterval, 1, uint32(n)} {
			reply = be.AppendUint32(reply, v)
		}
		return append(reply, peers...)
	}
	be.PutUint32(reply, actionError)
	return append(reply, "not supported"...)
}
