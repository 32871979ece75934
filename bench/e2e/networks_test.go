// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// conduct are messages that prove a client of a network when they go to two addresses.
var conduct = []struct {
	network string // "udp" or "tcp"
	port    uint16 // of the peers; by UDP also the client's
	message string
}{
	// Kad's query for nodes.
	{"udp", 4672, "\xe4\x21\x0b\xd2\x63\xc0\xbf\xde\x19\x98\x76\x47\x9f\xe3\xf4\x4b\xa0\x65\x15\x84\x7d\xcb\x78\x60\x32\x43\x1d\x59\x89\x88\x2a\xe4\xa6\xa6\x39"},
	// A Soulseek client that fetches a file.
	{"tcp", 2234, "\x12\x00\x00\x00\x01\x04\x00\x00\x00anna\x01\x00\x00\x00F\x00\x00\x00\x00"},
	// A result of Direct Connect.
	{"udp", 3412, "URES DXEBCJ4N7SOGDLZBPOC5OORSA4H7IXBOQNO3GMQ SI3000000 SL2 FN/share/song.mp3 TO4098512921\n"},
	// Gnutella's ping.
	{"udp", 6346, "\xcb\x1b\x31\x02\x3c\x1c\x74\xd5\xff\xbf\xc7\x2c\x3b\xd6\x1c\x00\x00\x01\x00\x00\x00\x00\x00"},
}

// networks is a client of eDonkey, Soulseek, Direct Connect and Gnutella at once.
func (p *programs) networks(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	udp := map[uint16]*net.UDPConn{}
	for _, c := range conduct {
		if c.network == "tcp" {
			l, err := p.lab.Inet.ListenTCP(netip.AddrPortFrom(netip.Addr{}, c.port))
			if err != nil {
				return err
			}
			defer l.Close()
			go lab.Accept(l, func(c net.Conn) { c.Read(make([]byte, 100)) })
			for _, peer := range torrentPeers[:2] {
				all.Go(func() { p.opens(ctx, netip.AddrPortFrom(peer, c.port), c.message) })
			}
			continue
		}
		u, err := p.host.ListenUDP(netip.AddrPortFrom(p.host.Addr4, c.port))
		if err != nil {
			return err
		}
		defer u.Close()
		udp[c.port] = u
	}
	for tick := time.NewTicker(500 * time.Millisecond); ; {
		for _, c := range conduct {
			for _, peer := range torrentPeers[:2] {
				to := netip.AddrPortFrom(peer, c.port)
				if u := udp[c.port]; u != nil {
					u.WriteToUDPAddrPort([]byte(c.message), to)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// opens opens connections with a message until ctx ends. It ends them with a reset, so
// that the system does not go on to send what was cut.
func (p *programs) opens(ctx context.Context, to netip.AddrPort, message string) {
	for ctx.Err() == nil {
		within, cancel := context.WithTimeout(ctx, 2*time.Second)
		if s, err := p.host.Dial(within, "tcp", netip.AddrPort{}, to); err == nil {
			s.Write([]byte(message))
			<-within.Done()
			s.(*net.TCPConn).SetLinger(0)
			s.Close()
		}
		cancel()
	}
}
