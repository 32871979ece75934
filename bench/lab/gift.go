// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// OpenConfig describes a free client, giFT or MLDonkey.
type OpenConfig struct {
	Peers []netip.AddrPort
	Port  uint16  // its own port, UDP and TCP; 1214
	Speed float64 // 1
	// Quiet leaves out the messages that only keep a session alive. The client then sends
	// nothing in it but a search every 25 s, as real clients do.
	Quiet bool
	// Silent leaves out the searches as well.
	Silent bool
	// Shut closes MLDonkey's user interface to other hosts.
	Shut bool
}

// GiFT is a simulated giFT with giFT-FastTrack. It begins with five SYNs, and within the
// same millisecond ten pings to other addresses. Every 30 s it sends ten more pings
// (every 15 s once one was answered), and every 15 s it opens five connections. It never
// answers UDP. Its TCP port answers GET with a 404 that names giFT. Once it has a session
// it stops sending these.
type GiFT struct {
	*client
	cfg OpenConfig
}

// Times of giFT before scaling; the patience is not scaled.
const (
	giftConns    = 5
	giftPings    = 10
	giftEvery    = 15 * time.Second
	giftPatience = 15 * time.Second // eight SYNs
	// stormEvery limits the rate of new connections after a refused one. The real giFT
	// makes thousands a second.
	stormEvery = time.Millisecond
)

// NewGiFT makes a client on a host.
func NewGiFT(h *Host, cfg OpenConfig) *GiFT {
	if cfg.Port == 0 {
		cfg.Port = 1214
	}
	g := &GiFT{client: newClient(h, cfg.Speed), cfg: cfg}
	g.quiet, g.silent = cfg.Quiet || cfg.Silent, cfg.Silent
	return g
}

// Run runs the client until ctx ends or Close is called.
func (g *GiFT) Run(ctx context.Context) error {
	ctx = g.begin(ctx)
	defer g.end()
	udp, tcp, err := g.listen(g.cfg.Port)
	if err != nil {
		return err
	}
	defer udp.Close()
	defer tcp.Close()
	g.spawn(func() { g.readPongs(udp) })
	g.spawn(func() { g.serve(ctx, tcp) })

	ping := PingBytes(EncGiFT, "KaZaA")
	order := rand.Perm(len(g.cfg.Peers))
	next := 0
	peer := func() netip.AddrPort {
		p := g.cfg.Peers[order[next%len(order)]]
		next++
		return p
	}
	for round := 0; ; round++ {
		if !g.settled() {
			for range giftConns {
				p, err := g.start(peer())
				g.spawn(func() { g.attempt(ctx, p, err) })
			}
			if round%2 == 0 || len(g.Seen().PongsFrom) > 0 {
				for range giftPings {
					g.acted(func(o *Observations) { o.Pings++ })
					udp.WriteToUDPAddrPort(ping, peer())
				}
			}
		}
		if !g.sleep(ctx, giftEvery) {
			return nil
		}
	}
}

// attempt continues with a connection that was started. If the connection is refused,
// attempt starts the next one at once. This storm is the reason why resets are the wrong
// answer to giFT.
func (g *GiFT) attempt(ctx context.Context, p *netns.Pending, err error) {
	for {
		var conn net.Conn
		if err == nil {
			conn, err = g.wait(ctx, p, giftPatience)
		}
		if err == nil {
			g.session(ctx, conn, Hello)
			return
		}
		if !refused(err) || ctx.Err() != nil {
			return
		}
		time.Sleep(stormEvery)
		p, err = g.start(g.cfg.Peers[rand.IntN(len(g.cfg.Peers))])
	}
}

// readPongs counts answers and does not reply.
func (c *client) readPongs(udp *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		c.note(func(o *Observations) {
			switch {
			case isPing(buf[:n]):
				o.Probes++
			case isPong(buf[:n]):
				o.PongsFrom[from]++
			case n >= 13 && buf[0] == typeBusy:
				o.BusyFrom[from]++
			}
		})
	}
}

// serve answers GET as giFT does.
func (g *GiFT) serve(ctx context.Context, l *net.TCPListener) {
	super := g.cfg.Peers[0]
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		g.spawn(func() {
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			c.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := readRequest(bufio.NewReader(c)); err != nil {
				return
			}
			g.acted(func(o *Observations) { o.Answers++ })
			fmt.Fprintf(c, "HTTP/1.1 404 Not Found\r\nServer: giFT-FastTrack 0.8.9\r\nX-Kazaa-Username: giFTed\r\nX-Kazaa-Network: KaZaA\r\nX-Kazaa-IP: %s:%d\r\nX-Kazaa-SupernodeIP: %s\r\n\r\n",
				g.host.Addr4, g.cfg.Port, super)
		})
	}
}
