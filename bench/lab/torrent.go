// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// PortTorrent is the port of BitTorrent peers. They send back whatever they receive.
const PortTorrent = 6881

// TorrentConfig describes a simulated BitTorrent client. It does only what matters to a
// wall; bench/clients has real clients.
type TorrentConfig struct {
	Peers  []netip.Addr // if empty, the client contacts nobody
	Listen netip.Addr   // its own address; the default is the host's IPv4 address
	Quiet  bool         // it sends no DHT queries and only answers them
}

// TorrentSeen counts what the client sent and received.
type TorrentSeen struct {
	Queries, Answered int // DHT queries sent, and answers to them
	Probes            int // queries from others that it answered
	UDPIn, TCPIn      int // bytes from peers: uTP, and encrypted sessions
	Resets            int // sessions that ended with a reset
}

// Torrent is a simulated BitTorrent client. It sends DHT queries, keeps opening uTP and
// encrypted sessions with peers, and answers queries.
type Torrent struct {
	host *Host
	cfg  TorrentConfig
	mu   sync.Mutex
	seen TorrentSeen
}

// NewTorrent makes the client.
func NewTorrent(h *Host, cfg TorrentConfig) *Torrent { return &Torrent{host: h, cfg: cfg} }

// Seen returns the counts so far.
func (c *Torrent) Seen() TorrentSeen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

func (c *Torrent) note(f func(*TorrentSeen)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.seen)
}

const torrentPort = 51413

// Run runs the client until ctx ends.
func (c *Torrent) Run(ctx context.Context) error {
	if !c.cfg.Listen.IsValid() {
		c.cfg.Listen = c.host.Addr4
	}
	udp, err := c.host.ListenUDP(netip.AddrPortFrom(c.cfg.Listen, torrentPort))
	if err != nil {
		return err
	}
	defer udp.Close()
	context.AfterFunc(ctx, func() { udp.Close() })
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { Datagrams(udp, c.read) })
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if len(c.cfg.Peers) == 0 {
			continue
		}
		peer := c.cfg.Peers[i%len(c.cfg.Peers)]
		to := netip.AddrPortFrom(peer, PortTorrent)
		if !c.cfg.Quiet {
			udp.WriteToUDPAddrPort(fmt.Appendf(nil, "d1:ad2:id20:%s6:target20:%se1:q9:find_node1:t2:%c%c1:v4:LT\x02\x081:y1:qe",
				torrentID, torrentID, 'a'+i%26, 'a'+i/26%26), to)
			c.note(func(s *TorrentSeen) { s.Queries++ })
		}
		// Data in the middle of a uTP connection.
		utp := random(1000)
		copy(utp, "\x01\x00\x12\x34")
		udp.WriteToUDPAddrPort(utp, to)
		if i%5 == 0 {
			all.Go(func() { c.session(ctx, to) })
		}
	}
}

const torrentID = "-LT2080-abcdefghijkl"

// read handles a datagram that comes to the client's port, and returns the reply.
func (c *Torrent) read(datagram []byte, from netip.AddrPort) []byte {
	b := string(datagram)
	switch query, at := strings.Contains(b, "1:y1:q"), strings.Index(b, "1:t"); {
	case query && at >= 0 && !strings.Contains(b, torrentID): // not its own, sent back by a peer
		tid, _, _ := strings.Cut(b[at+3:], "1:y")
		tid, _, _ = strings.Cut(tid, "1:v")
		c.note(func(s *TorrentSeen) { s.Probes++ })
		return fmt.Appendf(nil, "d1:rd2:id20:%se1:t%s1:v4:LT\x02\x081:y1:re", torrentID, tid)
	case !query && strings.Contains(b, "1:y1:r"):
		c.note(func(s *TorrentSeen) { s.Answered++ })
	case !query && (from.Addr() == Router4 || from.Addr() == Router6): // a probe for another network
	default:
		c.note(func(s *TorrentSeen) { s.UDPIn += len(b) })
	}
	return nil
}

// session is an encrypted session with a peer.
func (c *Torrent) session(ctx context.Context, to netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := c.host.Dial(ctx, "tcp", netip.AddrPort{}, to)
	if err != nil {
		return
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	// Like any client, it continues when it gets a key: the other side is not
	// authenticated.
	key, secret := mseKey()
	conn.Write(append(key, random(104)...))
	buf := make([]byte, 2048)
	n, err := io.ReadAtLeast(conn, buf, len(key))
	if bytes.HasPrefix(buf[:n], key) { // it is a peer's, which sends back what it gets
		c.note(func(s *TorrentSeen) { s.TCPIn += n }) // at once: its end may take seconds
	}
	if err == nil {
		conn.Write(append(mseProof(buf[:len(key)], secret), random(60)...))
		conn.Read(make([]byte, 1)) // until the other side ends it
	}
	c.note(func(s *TorrentSeen) {
		if err != nil && strings.Contains(err.Error(), "reset") {
			s.Resets++
		}
	})
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}
