// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// ipfsPort is the usual port of IPFS.
const ipfsPort = 4001

// TestQUIC: what may be QUIC, at a usual port of IPFS, has the host asked where it listens.
// Nothing is lost by that, and only the answer proves the program.
func TestQUIC(t *testing.T) {
	later := "\x4b" + random(60) // a packet in the middle of a session
	ipfs := detect.ByName("ipfs")
	for _, tt := range []struct {
		name       string
		from, to   uint16
		b          string
		off, quiet bool
	}{
		{name: "both at the usual port", from: ipfsPort, to: ipfsPort, b: quic()},
		{name: "in the middle of a session", from: ipfsPort, to: ipfsPort, b: later},
		{name: "to the usual port", from: 5001, to: ipfsPort, b: quic()},
		{name: "from the usual port", from: ipfsPort, to: 5001, b: quic()},
		{name: "other ports", from: 5001, to: 5002, b: quic(), quiet: true},
		{name: "from the port of a service", from: 443, to: ipfsPort, b: quic(), quiet: true},
		{name: "no QUIC", from: ipfsPort, to: ipfsPort, b: "\x0b" + random(60), quiet: true},
		{name: "empty", from: ipfsPort, to: ipfsPort, quiet: true},
		{name: "IPFS is off", from: ipfsPort, to: ipfsPort, b: quic(), off: true, quiet: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				for i := range c.Protocols {
					if i != ipfs || tt.off {
						c.Protocols[i].Mode = Off
					}
				}
				c.Protocols[torrent].Mode = Block // something is looked for in any case
			})
			p := &prober{}
			w.e.SetProber(p)
			one := udp(macA, hostA, tt.from, "198.51.100.7", tt.to, []byte(tt.b))
			if v := w.e.Packet(one, w.now); v == nfq.Drop {
				t.Fatal("a suspect's datagram was dropped")
			}
			w.pass(time.Second)
			var want []nfq.AddrPort
			if !tt.quiet {
				want = []nfq.AddrPort{{Addr: ip(hostA), Port: tt.from}}
			}
			if !slices.Equal(p.asked, want) {
				t.Fatalf("asked at %v, want %v", p.asked, want)
			}
			if tt.quiet {
				return
			}
			w.e.ProbedTCP(p.id, p.request, w.now) // an echo
			if n := len(w.e.Clients(w.now)); n != 0 {
				t.Fatalf("%d clients by an echo", n)
			}
			w.e.ProbedTCP(p.id, []byte("\x13/multistream/1.0.0\n\x03na\n"), w.now)
			w.e.Advance(w.now)
			if !w.locked(hostA) {
				t.Fatalf("clients %+v", w.e.Clients(w.now))
			}
			w.expect("the same again", one, nfq.Drop)
			w.expect("QUIC of another program", udp(macA, hostA, 6000, "198.51.100.7", 443, []byte(quic())), nfq.AcceptDecided)
			if v := w.e.Packet(udp(macB, hostB, tt.from, "198.51.100.7", tt.to, []byte(tt.b)), w.now); v == nfq.Drop {
				t.Error("another host's datagram was dropped")
			}
		})
	}
}
