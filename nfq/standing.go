// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"net/netip"
	"slices"
)

const (
	// MaxStanding is how many addresses Standing tells of, maxServed how many ports of each,
	// maxMet how many addresses outside, and MaxOpen how many connections.
	MaxStanding = 32
	maxServed   = 4
	maxMet      = 16
	MaxOpen     = 16

	ctaProtoInfoTCP      = 1
	ctaProtoInfoTCPState = 1
	tcpEstablished       = 3 // enum tcp_conntrack
)

// Standing is what the connection table knows of the TCP connections that a LAN host has
// with elsewhere, at one of its addresses.
type Standing struct {
	Addr Addr
	// Peers is to how many addresses outside it has opened connections that are
	// established, at ports from 1024 on.
	Peers int
	// Services is the same at the ports of services.
	Services int
	// Served are ports of its own to which somebody outside is connected, 0 where there
	// are fewer.
	Served [maxServed]uint16
	// Met are addresses outside to which it has opened connections at ports that programs
	// of file sharing use, zero where there are fewer.
	Met [maxMet]AddrPort
	// Open are the connections that Peers counts, and those to addresses of Met, MaxOpen at
	// most.
	Open []Conn
}

// Conn is a connection of a LAN host: its own port, and the other side.
type Conn struct {
	Port uint16
	To   AddrPort
}

// StandingTCP returns what is known of hosts of the given networks that have such
// connections. Services have ports below 1024 and those of which but reports true.
// Connections to ports of which met reports true are named. Of more hosts than MaxStanding
// it leaves out those with the fewest peers. It reads the whole table.
func StandingTCP(lan []netip.Prefix, but func(proto uint8, port uint16) bool, met func(port uint16) bool) ([]Standing, error) {
	var out []Standing
	peers, services := map[Pair]struct{}{}, map[Pair]struct{}{}
	served := map[AddrPort]struct{}{}
	_, err := changeFlows(nil, func(e *ctEntry) ctChange {
		switch {
		case e.proto != ProtoTCP || e.state != tcpEstablished:
		case e.leaves(lan):
			p := Pair{e.origSrc.Addr, e.origDst.Addr}
			if met(e.origDst.Port) {
				standingOf(&out, &p.LAN).meets(e.origDst)
			}
			s := standingOf(&out, &p.LAN)
			count, n := peers, &s.Peers
			service := e.origDst.Port < 1024 || but(ProtoTCP, e.origDst.Port)
			if service {
				count, n = services, &s.Services
			}
			if (!service || met(e.origDst.Port)) && len(s.Open) < MaxOpen {
				s.Open = append(s.Open, Conn{e.origSrc.Port, e.origDst})
			}
			if _, known := count[p]; !known {
				count[p] = struct{}{}
				*n++
			}
		case inside(lan, &e.replySrc.Addr) && outside(lan, &e.origSrc.Addr):
			served[e.replySrc] = struct{}{}
			standingOf(&out, &e.replySrc.Addr)
		}
		return ctKeep
	})
	for len(out) > MaxStanding {
		least := 0
		for i := range out {
			if out[i].Peers < out[least].Peers {
				least = i
			}
		}
		out[least] = out[len(out)-1]
		out = out[:len(out)-1]
	}
	for i := range out {
		for a := range served {
			if a.Addr == out[i].Addr {
				if at := slices.Index(out[i].Served[:], 0); at >= 0 {
					out[i].Served[at] = a.Port
				}
			}
		}
	}
	return out, err
}

// meets notes an address outside, if there is room.
func (s *Standing) meets(a AddrPort) {
	for i := range s.Met {
		switch s.Met[i] {
		case a:
			return
		case AddrPort{}:
			s.Met[i] = a
			return
		}
	}
}

// standingOf returns the place of an address, a new one if it has none. It is not inlined:
// three copies would cost 1 KB of flash.
//
//go:noinline
func standingOf(all *[]Standing, a *Addr) *Standing {
	for i := range *all {
		if s := &(*all)[i]; s.Addr == *a {
			return s
		}
	}
	*all = append(*all, Standing{Addr: *a})
	return &(*all)[len(*all)-1]
}

// parseTCPState reads the state of a TCP connection out of what is known of its protocol.
func parseTCPState(b []byte) uint8 {
	for _, want := range [...]uint16{ctaProtoInfoTCP, ctaProtoInfoTCPState} {
		for {
			typ, v, rest, ok := nextAttr(b)
			if !ok {
				return 0
			}
			b = rest
			if typ == want {
				b = v
				break
			}
		}
	}
	if len(b) != 1 {
		return 0
	}
	return b[0]
}
