// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"net/netip"
	"slices"
	"time"
)

// Crossing is a packet that came in from the LAN and left to the internet.
type Crossing struct {
	Packet                 // as it left
	Entered Moment         // when the router got it from the LAN
	Origin  netip.AddrPort // its source on the LAN, before NAT
}

// match finds for each packet that left the router the one that entered. If several
// packets have the same bytes, it takes the last one that entered before.
func match(entered, left []Packet) (crossed []Crossing, lost []Packet) {
	copies := map[uint64][]int{}
	for i := range entered {
		copies[entered[i].print] = append(copies[entered[i].print], i)
	}
	used := make([]bool, len(entered))
	for _, p := range left {
		best := -1
		for _, i := range copies[p.print] {
			if !used[i] && entered[i].At < p.At {
				best = i
			}
		}
		if best >= 0 {
			used[best] = true
			crossed = append(crossed, Crossing{p, entered[best].At, entered[best].Src})
		}
	}
	for i, p := range entered {
		if !used[i] {
			lost = append(lost, p)
		}
	}
	return crossed, lost
}

// toInternet is true for a packet to an address on the internet.
func toInternet(p *Packet) bool {
	a := p.Dst.Addr()
	return Internet6.Contains(a) || Internet4[0].Contains(a) || Internet4[1].Contains(a) || Internet4[2].Contains(a)
}

// Crossings returns the packets of a LAN host that reached the internet, from any of the
// host's addresses.
func (l *Lab) Crossings(h *Host) []Crossing {
	crossed, _ := l.outbound(h)
	return crossed
}

// outbound and inbound divide the recorded packets of a host into those that passed the
// router and those that did not.
func (l *Lab) outbound(h *Host) ([]Crossing, []Packet) {
	all := l.Packets.All(func(p *Packet) bool { return toInternet(p) && (!p.WAN && !p.Out && p.MAC == h.MAC || p.WAN && p.Out) })
	return match(split(all))
}

func (l *Lab) inbound(h *Host) ([]Crossing, []Packet) {
	all := l.Packets.All(func(p *Packet) bool {
		from := Packet{Dst: p.Src}
		a := p.Dst.Addr()
		return p.Out != p.WAN && (a == h.Addr4 || a == h.Addr6) && toInternet(&from)
	})
	return match(split(all))
}

// split separates the packets that entered the router from those that left it.
func split(all []Packet) (entered, left []Packet) {
	for _, p := range all {
		if p.Out {
			left = append(left, p)
		} else {
			entered = append(entered, p)
		}
	}
	return entered, left
}

// Lost returns the packets between a LAN host and the internet that the router received
// and did not pass on, in both directions. It gives packets that are still on their way
// two seconds. It ignores a SYN if another SYN of the same connection passed: when a SYN
// is sent again while the first is in the queue, the kernel enters only one in its
// connection table and drops the other. Lost needs Config.NoOffload. It does not work for
// the way back behind NAT.
func (l *Lab) Lost(h *Host) []Packet {
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		lost := append(missing(l.outbound(h)), missing(l.inbound(h))...)
		if len(lost) == 0 || time.Now().After(end) {
			return lost
		}
	}
}

// missing returns the lost packets, without each SYN that passed as another copy.
func missing(crossed []Crossing, lost []Packet) []Packet {
	type ends struct{ src, dst netip.AddrPort }
	opened := map[ends]bool{}
	for _, c := range crossed {
		if c.IsSYN() {
			opened[ends{c.Origin, c.Dst}] = true
		}
	}
	return slices.DeleteFunc(lost, func(p Packet) bool { return p.IsSYN() && opened[ends{p.Src, p.Dst}] })
}

// IsPeer reports whether an address belongs to a supernode.
func (l *Lab) IsPeer(a netip.Addr) bool {
	for _, p := range l.Peers {
		if p.Addr() == a {
			return true
		}
	}
	for _, p := range l.Peers6 {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// FirstPing returns when the router received the first FastTrack ping of a host. ok is
// false if there was none.
func (l *Lab) FirstPing(h *Host) (at Moment, ok bool) {
	pings := l.Packets.All(func(p *Packet) bool { return !p.WAN && !p.Out && p.MAC == h.MAC && p.isPing() })
	if len(pings) == 0 {
		return 0, false
	}
	return pings[0].At, true
}

// ProvingPing returns when the router received the host's first FastTrack ping to a second
// address. Only two pings to different addresses prove a client.
func (l *Lab) ProvingPing(h *Host) (at Moment, ok bool) {
	var first netip.Addr
	pings := l.Packets.All(func(p *Packet) bool {
		if p.WAN || p.Out || p.MAC != h.MAC || !p.isPing() {
			return false
		}
		if !first.IsValid() {
			first = p.Dst.Addr()
		}
		return p.Dst.Addr() != first
	})
	if len(pings) == 0 {
		return 0, false
	}
	return pings[0].At, true
}

func (p *Packet) isPing() bool {
	return p.Proto == UDP && p.Len >= 8 && p.Head[0] == typePing && p.Head[5] == 0x80
}

// Leaks returns the packets of a host that entered the router at or after a moment and
// reached the address of a supernode. From the moment of the first ping, these are all
// packets that the wall must stop. 0 returns all.
func (l *Lab) Leaks(h *Host, from Moment) []Crossing {
	var out []Crossing
	for _, c := range l.Crossings(h) {
		if c.Entered >= from && l.IsPeer(c.Dst.Addr()) {
			out = append(out, c)
		}
	}
	return out
}
