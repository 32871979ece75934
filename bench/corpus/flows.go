// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/bench/replay"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// key names a flow; a is the lower end.
type key struct {
	proto uint8
	a, b  nfq.AddrPort
}

// flow is what was seen of one flow.
type flow struct {
	key     key
	opener  nfq.AddrPort
	payload bool
	hits    [len(detect.All)]string // by what, "" for not recognised
	mse     bool
	// harmless says by what the flow has shown to be something known,
	// before anything was recognised.
	harmless string

	watched [3]detect.UTP // both directions, the opener's, the other's
	first   [2][]byte     // TCP: the first data of the opener, and of the other
	streams [2]detect.Stream
	held    [2][]segment // what came too early
	over    [2]bool      // nothing more is to be seen
}

// segment is a piece of a TCP stream.
type segment struct {
	seq  uint32
	data []byte
}

func less(a, b *nfq.AddrPort) bool {
	if c := bytes.Compare(a.Addr[:], b.Addr[:]); c != 0 {
		return c < 0
	}
	return a.Port < b.Port
}

// flowsOf reads the flows of a capture, in the order of their first packets. For
// a damaged one it returns what could be read, and an error.
func flowsOf(path string) ([]*flow, error) {
	c, err := replay.Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	flows := map[key]*flow{}
	var order []*flow
	var f replay.Frame
	var p nfq.Packet
	for {
		if err := c.Next(&f); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return order, err
		}
		nfq.ParsePacket(f.IP, &p)
		if p.Version == 0 || p.Fragment || p.Proto != nfq.ProtoTCP && p.Proto != nfq.ProtoUDP {
			continue
		}
		src, dst := nfq.AddrPort{Addr: p.Src, Port: p.SrcPort}, nfq.AddrPort{Addr: p.Dst, Port: p.DstPort}
		k := key{p.Proto, src, dst}
		if less(&dst, &src) {
			k = key{p.Proto, dst, src}
		}
		x := flows[k]
		if x == nil {
			x = &flow{key: k, opener: src}
			if p.TCPFlags&(nfq.SYN|nfq.ACK) == nfq.SYN|nfq.ACK {
				x.opener = dst
			}
			flows[k] = x
			order = append(order, x)
		}
		if len(p.Payload) > 0 {
			x.payload = true
			x.look(&p, src == x.opener, f.Time)
		}
	}
}

// look shows a packet to the classifiers. Who is the LAN host cannot be known
// here, so that both roles are tried.
func (x *flow) look(p *nfq.Packet, opener bool, at time.Time) {
	var f detect.Finding
	for i, proto := range detect.All {
		if x.hits[i] != "" {
			continue
		}
		if p.Proto == nfq.ProtoUDP {
			x.datagram(i, proto, p.Payload, opener, at, &f)
			continue
		}
		if stream(proto, p.Payload, true, &f) || stream(proto, p.Payload, false, &f) {
			x.hits[i] = "TCP " + f.Reason.String()
		}
	}
	if p.Proto == nfq.ProtoUDP {
		x.siftDatagram(p, opener)
		return
	}
	side := 0
	if !opener {
		side = 1
	}
	if x.first[side] == nil {
		x.first[side] = bytes.Clone(p.Payload)
		x.mse = x.first[0] != nil && x.first[1] != nil && detect.MSEFirst(x.first[0]) && detect.MSEFirst(x.first[1])
	}
	x.siftStream(p, side)
}

// datagram shows a datagram to a protocol: alone, as one that a LAN host sends
// into its LAN, and together with those before it.
func (x *flow) datagram(i int, proto *detect.Protocol, b []byte, opener bool, at time.Time, f *detect.Finding) {
	f.Reset()
	var kind detect.Kind
	if proto.Datagram != nil {
		kind = proto.Datagram(b, f)
	}
	if kind == detect.None && proto.Local != nil {
		for _, port := range []uint16{x.key.a.Port, x.key.b.Port} {
			if k := proto.Local(b, port, false, f); k == detect.Query {
				kind = k
			}
		}
	}
	if kind == detect.Query || kind == detect.Reply {
		x.hits[i] = "UDP " + f.Reason.String()
		return
	}
	if kind != detect.Weak || proto.Flow == nil {
		return
	}
	now := uint32(at.UnixMicro())
	side := 1
	if !opener {
		side = 2
	}
	both := proto.Flow(&x.watched[0], b, opener, now)
	one := proto.Flow(&x.watched[side], b, opener, now)
	if both == detect.Yes || one == detect.Yes {
		x.hits[i] = "UDP " + detect.ReasonFlow.String()
	}
}

// recognised reports whether a protocol was.
func (x *flow) recognised() bool { return x.hits != [len(detect.All)]string{} }

// other is the port of the end that did not open the flow.
func (x *flow) other() uint16 {
	if x.opener == x.key.a {
		return x.key.b.Port
	}
	return x.key.a.Port
}

// between reports whether the address is one of the two ends.
func (x *flow) between(a netip.Addr) bool {
	return x.key.a.Addr.Netip() == a || x.key.b.Addr.Netip() == a
}

// siftDatagram asks whether a datagram shows its flow to be something harmless:
// the one who opened the flow is taken for the LAN host.
func (x *flow) siftDatagram(p *nfq.Packet, opener bool) {
	if x.harmless == "" && !x.recognised() && detect.HarmlessDatagram(p.Payload, x.other(), opener) {
		x.harmless = "datagram"
	}
}

const sifted = detect.Harmless | 1<<len(detect.All) - 1

// siftStream does the same for a segment of TCP.
func (x *flow) siftStream(p *nfq.Packet, side int) {
	if x.harmless != "" || x.recognised() || x.over[side] {
		return
	}
	s := &x.streams[side]
	s.WantPort(x.other())
	x.held[side] = append(x.held[side], segment{p.Seq, bytes.Clone(p.Payload)})
	var f detect.Finding
	for again := true; again; {
		again = false
		for i, g := range x.held[side] {
			m := s.Feed(sifted, g.seq, g.data, side == 0, &f)
			if m == detect.Gap {
				continue
			}
			x.held[side] = append(x.held[side][:i], x.held[side][i+1:]...)
			again = true
			if m == detect.No {
				x.over[side] = true
				if s.Harmless() {
					x.harmless = "beginning"
					if s.HTTP() {
						x.harmless = "HTTP"
					}
				}
				return
			}
			break
		}
	}
}

// stream shows a segment to a protocol as the beginning of a connection, and
// line by line as an HTTP head. That is more than the engine looks at.
func stream(p *detect.Protocol, b []byte, outbound bool, f *detect.Finding) bool {
	f.Reset()
	if p.First != nil && p.First(b, outbound, f) == detect.Yes {
		return true
	}
	f.Reset()
	first := true
	for p.Header != nil && len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		if p.Header(line, first, outbound, f) == detect.Yes {
			return true
		}
		first = false
	}
	return false
}

func (x *flow) String() string {
	l4 := "UDP"
	if x.key.proto == nfq.ProtoTCP {
		l4 = "TCP"
	}
	return fmt.Sprintf("%s %s %s", l4, text(x.key.a), text(x.key.b))
}
