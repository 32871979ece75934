// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"
	"io"
	"net/netip"
	"sort"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// sides says which addresses of a capture are the LAN's, which are the router's own, and
// which MACs belong to more than one host.
type sides struct {
	lan     []netip.Prefix    // as the user gave them; then nothing else counts
	private [2]bool           // by IP version: whether private addresses are the LAN's
	inside  map[nfq.Addr]bool // further LAN addresses
	router  map[nfq.Addr]bool // the router's own addresses
	// shared are the MACs that do not identify a host. They come with packets of several
	// hosts or of both directions. This happens behind another router, and with packets
	// that a switch copied.
	shared map[nfq.MAC]bool
}

func (s *sides) isLAN(a *nfq.Addr) bool {
	if s.lan != nil {
		ip := a.Netip()
		for _, p := range s.lan {
			if p.Contains(ip) {
				return true
			}
		}
		return false
	}
	return s.private[family(a)] && private(a) || s.inside[*a]
}

// direction is where a router would send a packet.
type direction uint8

const (
	elsewhere direction = iota // not through the router
	outbound
	inbound
	toRouter
)

func (s *sides) direction(src, dst *nfq.Addr) direction {
	if searchGroup(dst) {
		// The router is a member of the multicast groups in which clients search their
		// LAN.
		if s.isLAN(src) && !s.router[*src] || src.Netip().IsLinkLocalUnicast() {
			return toRouter
		}
		return elsewhere
	}
	if !routable(src) || !routable(dst) {
		return elsewhere
	}
	switch from, to := s.isLAN(src), s.isLAN(dst); {
	case s.router[*src]:
		return elsewhere
	case s.router[*dst]:
		if from {
			return toRouter
		}
		return elsewhere
	case from && !to:
		return outbound
	case to && !from:
		return inbound
	}
	return elsewhere
}

// searchGroup reports whether clients search their LAN in this multicast group.
func searchGroup(a *nfq.Addr) bool { return searchGroups[*a] }

var searchGroups = func() map[nfq.Addr]bool {
	groups := map[nfq.Addr]bool{}
	for _, p := range detect.All {
		for _, g := range p.Groups {
			groups[nfq.AddrFrom(netip.MustParseAddr(g.Addr))] = true
		}
	}
	return groups
}()

func family(a *nfq.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func private(a *nfq.Addr) bool { return a.Netip().IsPrivate() }

// routable reports whether a router forwards packets from or to the address.
func routable(a *nfq.Addr) bool {
	ip := a.Netip()
	if ip.Is4() && (ip.As4()[0] == 0 || ip.As4()[0] >= 240) {
		return false
	}
	return !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

// addresses reads the addresses of an IP packet. The packet may be cut short after its
// addresses.
func addresses(ip []byte) (src, dst nfq.Addr, ok bool) {
	switch {
	case len(ip) >= 20 && ip[0]>>4 == 4:
		return nfq.AddrFrom4([4]byte(ip[12:])), nfq.AddrFrom4([4]byte(ip[16:])), true
	case len(ip) >= 40 && ip[0]>>4 == 6:
		return nfq.Addr(ip[8:24]), nfq.Addr(ip[24:40]), true
	}
	return src, dst, false
}

// flowKey identifies a flow. Its end a has the lower address, or port if the addresses
// are equal.
type flowKey struct {
	proto uint8
	a, b  nfq.AddrPort
}

// keyOf returns the key of p's flow, and whether p goes from a to b.
func keyOf(p *nfq.Packet) (k flowKey, forth bool) {
	src, dst := nfq.AddrPort{Addr: p.Src, Port: p.SrcPort}, nfq.AddrPort{Addr: p.Dst, Port: p.DstPort}
	c := string(p.Src[:]) < string(p.Dst[:]) || p.Src == p.Dst && p.SrcPort <= p.DstPort
	if c {
		return flowKey{p.Proto, src, dst}, true
	}
	return flowKey{p.Proto, dst, src}, false
}

// survey collects the data for sides in a first pass over the capture.
type survey struct {
	opened  map[flowKey]bool // whether end a opened the flow
	order   []flowKey
	sources map[nfq.MAC]map[nfq.Addr]bool // addresses that a MAC sent from
	pairs   map[pair]bool
	arp     map[nfq.Addr]nfq.MAC
	search  map[nfq.Addr]bool // addresses that sent to a search group: they are in the LAN
}

type pair struct {
	src, dst       nfq.Addr
	srcMAC, dstMAC nfq.MAC
}

// look reads a capture to find out its sides. It reads a damaged capture as far as
// possible.
func look(path string, lan []netip.Prefix) (*sides, error) {
	c, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	v := survey{
		opened:  map[flowKey]bool{},
		sources: map[nfq.MAC]map[nfq.Addr]bool{},
		pairs:   map[pair]bool{},
		arp:     map[nfq.Addr]nfq.MAC{},
		search:  map[nfq.Addr]bool{},
	}
	var f Frame
	for {
		if err := c.Next(&f); err != nil {
			if err != io.EOF && c.read == 0 {
				return nil, err
			}
			break
		}
		v.frame(&f)
	}
	return v.sides(lan), nil
}

func (v *survey) frame(f *Frame) {
	if b := f.ARP; len(b) >= 28 && binary.BigEndian.Uint32(b) == 0x00010800 && b[4] == 6 && b[5] == 4 {
		if a := nfq.AddrFrom4([4]byte(b[14:])); routable(&a) {
			v.arp[a] = nfq.MAC(b[8:14])
		}
		return
	}
	src, dst, ok := addresses(f.IP)
	if !ok || !routable(&src) {
		return
	}
	if !f.Src.IsZero() {
		if v.sources[f.Src] == nil {
			v.sources[f.Src] = map[nfq.Addr]bool{}
		}
		v.sources[f.Src][src] = true
	}
	if searchGroup(&dst) {
		v.search[src] = true
	}
	if !routable(&dst) {
		return
	}
	v.pairs[pair{src, dst, f.Src, f.Dst}] = true
	var p nfq.Packet
	nfq.ParsePacket(f.IP, &p)
	if p.Version == 0 || p.Fragment {
		return
	}
	k, forth := keyOf(&p)
	if _, known := v.opened[k]; !known {
		if p.Proto == nfq.ProtoTCP && p.TCPFlags&(nfq.SYN|nfq.ACK) == nfq.SYN|nfq.ACK {
			forth = !forth // the answer to a SYN that is not in the capture
		}
		v.opened[k] = forth
		v.order = append(v.order, k)
	}
}

func (v *survey) sides(lan []netip.Prefix) *sides {
	s := &sides{lan: lan, inside: map[nfq.Addr]bool{}, router: map[nfq.Addr]bool{}, shared: map[nfq.MAC]bool{}}
	for p := range v.pairs {
		s.private[family(&p.src)] = s.private[family(&p.src)] || private(&p.src) || private(&p.dst)
	}
	gateways := v.gateways(s)
	if lan == nil {
		// The IPv6 addresses of a host with a private IPv4 address are in the LAN too,
		// even public ones.
		for mac, addrs := range v.sources {
			if gateways[mac] || !anyLAN(s, addrs) {
				continue
			}
			for a := range addrs {
				if !a.Is4() {
					s.inside[a] = true
				}
			}
		}
		for fam := range s.private {
			if !s.private[fam] && !anyOf(s.inside, fam) {
				v.openers(s, fam)
			}
		}
		for a := range v.search {
			s.inside[a] = true
		}
		gateways = v.gateways(s)
	}
	senders := v.senders(s)
	v.findRouter(s, gateways, senders)
	for mac, addrs := range v.sources {
		n := 0
		for a := range addrs {
			if a.Is4() && s.isLAN(&a) && !s.router[a] {
				n++
			}
		}
		s.shared[mac] = n > 1 || gateways[mac] && len(senders[mac]) > 0
	}
	return s
}

func anyLAN(s *sides, addrs map[nfq.Addr]bool) bool {
	for a := range addrs {
		if s.isLAN(&a) {
			return true
		}
	}
	return false
}

func anyOf(addrs map[nfq.Addr]bool, fam int) bool {
	for a := range addrs {
		if family(&a) == fam {
			return true
		}
	}
	return false
}

// gateways returns the MACs of routers: packets to the outside go to them, or packets
// from the outside come from them.
func (v *survey) gateways(s *sides) map[nfq.MAC]bool {
	g := map[nfq.MAC]bool{}
	for p := range v.pairs {
		switch s.direction(&p.src, &p.dst) {
		case outbound:
			g[p.dstMAC] = true
		case inbound:
			g[p.srcMAC] = true
		}
	}
	delete(g, nfq.MAC{})
	return g
}

// senders returns, for each source MAC, the LAN addresses that sent packets to the
// outside with it.
func (v *survey) senders(s *sides) map[nfq.MAC]map[nfq.Addr]bool {
	m := map[nfq.MAC]map[nfq.Addr]bool{}
	for p := range v.pairs {
		if s.direction(&p.src, &p.dst) != outbound {
			continue
		}
		if m[p.srcMAC] == nil {
			m[p.srcMAC] = map[nfq.Addr]bool{}
		}
		m[p.srcMAC][p.src] = true
	}
	return m
}

// findRouter finds the router's own addresses: those that its MAC has in ARP messages, or
// else the only IPv4 address that its MAC sends from. Several addresses are probably
// hosts behind the router. An address that sends to the outside is a host, too.
func (v *survey) findRouter(s *sides, gateways map[nfq.MAC]bool, senders map[nfq.MAC]map[nfq.Addr]bool) {
	told := map[nfq.MAC]bool{}
	for a, mac := range v.arp {
		if gateways[mac] && s.isLAN(&a) && !senders[mac][a] {
			s.router[a] = true
			told[mac] = true
		}
	}
	for mac := range gateways {
		var own []nfq.Addr
		for a := range v.sources[mac] {
			if a.Is4() && s.isLAN(&a) && !senders[mac][a] {
				own = append(own, a)
			}
		}
		if len(own) == 1 && !told[mac] {
			s.router[own[0]] = true
		}
	}
}

// openers chooses the LAN hosts of an IP version without private addresses. It takes few
// hosts that together are in every flow. Each step takes the host that opened the most
// flows.
func (v *survey) openers(s *sides, fam int) {
	type score struct{ opened, all int }
	open := map[flowKey]bool{}
	for _, k := range v.order {
		if family(&k.a.Addr) == fam && routable(&k.a.Addr) && routable(&k.b.Addr) && k.a.Addr != k.b.Addr {
			open[k] = true
		}
	}
	for len(open) > 0 {
		scores := map[nfq.Addr]score{}
		for k := range open {
			a, b := scores[k.a.Addr], scores[k.b.Addr]
			a.all, b.all = a.all+1, b.all+1
			if v.opened[k] {
				a.opened++
			} else {
				b.opened++
			}
			scores[k.a.Addr], scores[k.b.Addr] = a, b
		}
		hosts := make([]nfq.Addr, 0, len(scores))
		for a := range scores {
			hosts = append(hosts, a)
		}
		sort.Slice(hosts, func(i, j int) bool {
			x, y := scores[hosts[i]], scores[hosts[j]]
			if x.opened != y.opened {
				return x.opened > y.opened
			}
			if x.all != y.all {
				return x.all > y.all
			}
			return string(hosts[i][:]) < string(hosts[j][:])
		})
		best := hosts[0]
		s.inside[best] = true
		for k := range open {
			if k.a.Addr == best || k.b.Addr == best {
				delete(open, k)
			}
		}
	}
}
