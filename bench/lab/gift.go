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

// open is what the free clients share. order is the order in which it takes its peers, next
// the place there.
type open struct {
	*client
	cfg   OpenConfig
	order []int
	next  int
}

func newOpen(h *Host, cfg OpenConfig) open {
	if cfg.Port == 0 {
		cfg.Port = 1214
	}
	o := open{client: newClient(h, cfg.Speed), cfg: cfg, order: rand.Perm(len(cfg.Peers))}
	o.quiet, o.silent = cfg.Quiet || cfg.Silent, cfg.Silent
	return o
}

// peer returns the next peer.
func (o *open) peer() netip.AddrPort {
	p := o.cfg.Peers[o.order[o.next%len(o.order)]]
	o.next++
	return p
}

// GiFT is a simulated giFT with giFT-FastTrack. It begins with five SYNs, and within the
// same millisecond ten pings to other addresses. Every 30 s it sends ten more pings
// (every 15 s once one was answered), and every 15 s it opens five connections. It never
// answers UDP. Its TCP port answers GET with a 404 that names giFT. Once it has a session
// it stops sending these.
type GiFT struct{ open }

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
func NewGiFT(h *Host, cfg OpenConfig) *GiFT { return &GiFT{newOpen(h, cfg)} }

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
	g.spawn(func() { Datagrams(udp, g.heardOf) })
	g.spawn(func() { g.serve(ctx, tcp) })

	ping := PingBytes(EncGiFT, "KaZaA")
	for round := 0; ; round++ {
		if !g.settled() {
			for range giftConns {
				p, err := g.start(g.peer())
				g.spawn(func() { g.attempt(ctx, p, err) })
			}
			if round%2 == 0 || len(g.Seen().PongsFrom) > 0 {
				for range giftPings {
					g.acted(func(o *Observations) { o.Pings++ })
					udp.WriteToUDPAddrPort(ping, g.peer())
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

// heardOf counts what comes from others, and does not reply.
func (c *client) heardOf(b []byte, from netip.AddrPort) []byte {
	c.note(func(o *Observations) {
		switch {
		case isPing(b):
			o.Probes++
		case isPong(b):
			o.PongsFrom[from]++
		case len(b) >= 13 && b[0] == typeBusy:
			o.BusyFrom[from]++
		}
	})
	return nil
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
