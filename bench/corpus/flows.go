// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/p2pwall/p2pwall/bench/replay"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// protocols are measured, whether the engine looks for them yet or not.
var protocols = [...]*detect.Protocol{&detect.FastTrack, &detect.BitTorrent}

const bitTorrent = 1 // its place among them

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
	hits    [len(protocols)]string // by what, "" for not recognised
	mse     bool

	utp   detect.UTP
	first [2][]byte // TCP: the first data of the opener, and of the other
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
			x.look(&p, src == x.opener)
		}
	}
}

// look shows a packet to the classifiers. Who is the LAN host cannot be known
// here, so that both roles are tried.
func (x *flow) look(p *nfq.Packet, opener bool) {
	var f detect.Finding
	for i, proto := range protocols {
		if x.hits[i] != "" {
			continue
		}
		if p.Proto == nfq.ProtoUDP {
			f.Reset()
			if k := proto.Datagram(p.Payload, &f); k == detect.Query || k == detect.Reply {
				x.hits[i] = "UDP " + f.Reason.String()
			}
			continue
		}
		if stream(proto, p.Payload, true, &f) || stream(proto, p.Payload, false, &f) {
			x.hits[i] = "TCP " + f.Reason.String()
		}
	}
	if p.Proto == nfq.ProtoUDP {
		if x.hits[bitTorrent] == "" {
			x.hits[bitTorrent] = x.torrent(p, opener)
		}
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
}

// torrent shows a datagram to what BitTorrent has beside its classifiers.
func (x *flow) torrent(p *nfq.Packet, opener bool) string {
	if x.utp.Feed(p.Payload, opener, 0) == detect.Yes {
		return "UDP both ways"
	}
	if _, ok := detect.LocalSearch(p.Payload); ok {
		return "UDP local search"
	}
	return ""
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
