// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// A FastTrack ping on the network KaZaA, and the port it goes to.
var (
	ping      = append([]byte{0x27, 0, 0, 0, 0xa9, 0x80}, "KaZaA\x00"...)
	peerPort  = uint16(1214)
	flatHosts = 64
	flatPeers = 256
)

// madeUp returns the addresses of the i-th made-up host.
func madeUp(i int) ([6]byte, netip.Addr) {
	return [6]byte{2, 0, 1, byte(i >> 16), byte(i >> 8), byte(i)}, netip.AddrFrom4([4]byte{192, 168, 1, byte(110 + i%128)})
}

// pairs returns datagrams from each of some made-up hosts to each of some peers.
func pairs(hosts, peers int, payload []byte) (frames [][]byte) {
	for p := range peers {
		for i := range hosts {
			mac, ip := madeUp(i)
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(p)}), peerPort)
			frames = append(frames, frame(mac, lab.UDPPacket(netip.AddrPortFrom(ip, peerPort), to, payload)))
		}
	}
	return frames
}

// flat measures the cost of a packet with nearly empty and with full tables.
func (b *bench) flat() error {
	l, err := newQueueLab()
	if err != nil {
		return err
	}
	defer l.Close()
	// The neighbour table has the made-up hosts: the program looks there for the
	// owner of an address before it locks.
	for i := range flatHosts {
		mac, ip := madeUp(i)
		if _, err := l.Router.Run("ip", "neigh", "replace", ip.String(), "lladdr", net.HardwareAddr(mac[:]).String(),
			"dev", lab.BridgeDev, "nud", "permanent"); err != nil {
			return err
		}
	}
	other := [][]byte{small(l.Innocent, netip.AddrPortFrom(sinkAddr, discardPort))}
	// Two peers prove a client.
	sizes := []struct{ hosts, peers int }{{1, 2}, {flatHosts, flatPeers}}
	bins := map[string]string{nameWall: b.wall}
	if b.base != "" {
		bins[nameBase] = b.base
	}
	for run := range b.runs {
		for _, i := range turns(run, len(sizes)) {
			for who, bin := range bins {
				s := sizes[i]
				p, err := b.startWall(l, bin, true, nil)
				if err != nil {
					return err
				}
				if err := b.fill(l, p, s.hosts, s.peers); err != nil {
					return errors.Join(err, p.stop())
				}
				label := func(n int) string { return fmt.Sprintf("%d x %d", sizes[n].hosts, sizes[n].peers) }
				name := func(n int) string {
					if who == nameBase {
						return label(n) + ", base"
					}
					return label(n)
				}
				toPeers, err := b.under(l, p, l.Clients[0], traffic{frames: pairs(s.hosts, s.peers, []byte("x"))})
				if err != nil {
					return errors.Join(err, p.stop())
				}
				others, err := b.under(l, p, l.Innocent, traffic{frames: other})
				if err = errors.Join(err, p.stop()); err != nil {
					return err
				}
				x := b.report.result("packet to a known peer, by clients x peers", "us CPU")
				x.add(name(i), toPeers.perPacket())
				x.atMost(label(1), label(0), 1.2)
				x = b.report.result("packet of another host, by clients x peers", "us CPU")
				x.add(name(i), others.perPacket())
				x.atMost(label(1), label(0), 1.2)
			}
		}
	}
	return nil
}

// fill sends pings of the hosts to their peers until the program knows all of them.
func (b *bench) fill(l *lab.Lab, p *program, hosts, peers int) error {
	frames := pairs(hosts, peers, ping)
	for range 5 {
		if err := once(l.Clients[0], frames, 50_000); err != nil {
			return err
		}
		all, err := p.wall.Clients()
		if err != nil {
			return err
		}
		known := 0
		for _, c := range all {
			known += c.Peers
		}
		if len(all) == hosts && known == hosts*peers {
			return nil
		}
	}
	return errors.New("the tables cannot be filled: pings were lost")
}

// fanout measures the cost of spreading the hosts over two queues. It cannot show a gain
// here: the generator takes one of the two processors.
func (b *bench) fanout() error {
	l, err := newLab(lab.Config{Clients: 2})
	if err != nil {
		return err
	}
	defer l.Close()
	x := b.report.result("queued packet of two hosts, saturated, by queues", "us CPU")
	var frames [][]byte
	for _, h := range l.Clients {
		frames = append(frames, small(h, netip.AddrPortFrom(sinkAddr, discardPort)))
	}
	for run := range b.runs {
		for _, i := range turns(run, 2) {
			queues := i + 1
			if _, err := l.Router.Run("iptables", "-w", "-t", "mangle", "-F", "FORWARD"); err != nil {
				return err
			}
			for q := range queues {
				h := l.Clients[q]
				rule := []string{"-w", "-t", "mangle", "-A", "FORWARD", "-p", "udp"}
				if queues > 1 {
					rule = append(rule, "-s", h.Addr4.String())
				}
				if _, err := l.Router.Run("iptables", append(rule, "-j", "NFQUEUE", "--queue-num", fmt.Sprint(queueNumber+q), "--queue-bypass")...); err != nil {
					return err
				}
			}
			p, err := b.startWall(l, b.wall, true, wallOptions{"queues": fmt.Sprint(queues)})
			if err != nil {
				return err
			}
			u, err := b.under(l, p, l.Clients[0], traffic{frames: frames})
			if err = errors.Join(err, p.stop()); err != nil {
				return err
			}
			x.add(fmt.Sprint(queues), u.perPacket())
		}
	}
	x.compare("2", "1")
	return nil
}
