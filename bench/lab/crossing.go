// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"net/netip"
	"time"
)

// Crossing is a packet that came in from the LAN and reached the internet.
type Crossing struct {
	Packet                 // as the internet got it
	Entered time.Time      // when the router got it from the LAN
	Origin  netip.AddrPort // its source on the LAN, also behind NAT
}

// match joins packets that passed one recorder to those that passed the other.
// Copies of the same bytes are told apart by time: a packet belongs to the last
// of its copies that entered before it left.
func match(entered, left []Packet) (crossed []Crossing, lost []Packet) {
	type copies struct{ at []int }
	byPrint := map[uint64]*copies{}
	for i := range entered {
		c := byPrint[entered[i].print]
		if c == nil {
			c = &copies{}
			byPrint[entered[i].print] = c
		}
		c.at = append(c.at, i)
	}
	used := make([]bool, len(entered))
	for _, p := range left {
		c := byPrint[p.print]
		if c == nil {
			continue
		}
		best := -1
		for _, i := range c.at {
			if !used[i] && !entered[i].Time.After(p.Time) {
				best = i
			}
		}
		if best >= 0 {
			used[best] = true
			crossed = append(crossed, Crossing{p, entered[best].Time, entered[best].Src})
		}
	}
	for i, p := range entered {
		if !used[i] {
			lost = append(lost, p)
		}
	}
	return crossed, lost
}

// toInternet is true for packets to an address of the internet's.
func toInternet(p *Packet) bool {
	a := p.Dst.Addr()
	return Internet6.Contains(a) || Internet4[0].Contains(a) || Internet4[1].Contains(a) || Internet4[2].Contains(a)
}

// Crossings returns the packets of a LAN host that reached the internet. The
// host may be known by either of its addresses.
func (l *Lab) Crossings(h *Host) []Crossing {
	crossed, _ := l.outbound(h)
	return crossed
}

// outbound reads the side that packets enter first, so that one on its way counts
// as lost at most, never as come from nowhere.
func (l *Lab) outbound(h *Host) ([]Crossing, []Packet) {
	entered := l.LAN.Packets(func(p *Packet) bool { return !p.Out && p.MAC == h.MAC && toInternet(p) })
	left := l.WAN.Packets(func(p *Packet) bool { return !p.Out && toInternet(p) })
	return match(entered, left)
}

// inbound is the same for the other way.
func (l *Lab) inbound(h *Host) ([]Crossing, []Packet) {
	fromInternet := func(p *Packet) bool {
		q := Packet{Dst: p.Src}
		a := p.Dst.Addr()
		return p.Out && (a == h.Addr4 || a == h.Addr6) && toInternet(&q)
	}
	entered := l.WAN.Packets(fromInternet)
	left := l.LAN.Packets(fromInternet)
	return match(entered, left)
}

// Lost returns the packets between a LAN host and the internet that the router
// got and did not pass on, in both directions. Packets that are on their way get
// two seconds. It needs Config.NoOffload and does not work for the way back
// behind NAT.
func (l *Lab) Lost(h *Host) []Packet {
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, out := l.outbound(h)
		_, in := l.inbound(h)
		lost := append(out, in...)
		if len(lost) == 0 || time.Now().After(end) {
			return lost
		}
	}
}

// IsPeer reports whether an address is one of a supernode.
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

// FirstPing returns when the router got the first FastTrack ping of a host; ok
// is false when there was none.
func (l *Lab) FirstPing(h *Host) (t time.Time, ok bool) {
	pings := l.LAN.Packets(func(p *Packet) bool { return !p.Out && p.MAC == h.MAC && p.isPing() })
	if len(pings) == 0 {
		return time.Time{}, false
	}
	return pings[0].Time, true
}

func (p *Packet) isPing() bool {
	return p.Proto == UDP && p.Len >= 8 && p.Head[0] == typePing && p.Head[5] == 0x80
}

// Leaks returns what of a host reached an address of a supernode, of all that
// entered the router at or after a time. With the time of the first ping that is
// everything the wall must stop; with the zero time, everything.
func (l *Lab) Leaks(h *Host, from time.Time) []Crossing {
	var out []Crossing
	for _, c := range l.Crossings(h) {
		if !c.Entered.Before(from) && l.IsPeer(c.Dst.Addr()) {
			out = append(out, c)
		}
	}
	return out
}
