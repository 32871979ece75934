// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/p2pwall/p2pwall/cmd/p2pwall-replay/replay"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// key names a flow; a is the lower end.
type key struct {
	proto uint8
	a, b  nfq.AddrPort
}

// flow is what the classifiers found in one flow.
type flow struct {
	key     key
	opener  nfq.AddrPort
	payload bool
	hits    [detect.MaxProtocols]string // what recognised it, "" for nothing
	mse     bool

	watched [2][detect.MaxProtocols]detect.FlowState // what the opener sends, and the other side
	first   [2][]byte                                // TCP: the first data of the opener, and of the other side
	locked  fate                                     // what a lock does to the flow
}

func less(a, b *nfq.AddrPort) bool {
	if c := bytes.Compare(a.Addr[:], b.Addr[:]); c != 0 {
		return c < 0
	}
	return a.Port < b.Port
}

// flowsOf reads the flows of a capture, in the order of their first packets. It also
// shows them to lock, unless lock is nil. For a damaged capture it returns the readable
// part and an error.
func flowsOf(path string, lock *lock) ([]*flow, error) {
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
		side := 0
		if src != x.opener {
			side = 1
		}
		if len(p.Payload) > 0 {
			x.payload = true
			x.look(&p, side, f.Time)
		}
		if lock != nil {
			lock.look(x, &p, side, f.Time)
		}
	}
}

// look shows a packet to the classifiers. The capture does not say which end is the LAN
// host, so look tries both roles.
func (x *flow) look(p *nfq.Packet, side int, at time.Time) {
	var f detect.Finding
	for i, proto := range detect.All {
		if x.hits[i] != "" {
			continue
		}
		if p.Proto == nfq.ProtoUDP {
			x.datagram(i, proto, p.Payload, side, at, &f)
			continue
		}
		if stream(proto, p.Payload, true, &f) || stream(proto, p.Payload, false, &f) {
			x.hits[i] = "TCP " + f.Reason.String()
		}
	}
	if p.Proto == nfq.ProtoUDP {
		return
	}
	if x.first[side] == nil {
		x.first[side] = bytes.Clone(p.Payload)
		x.mse = x.first[0] != nil && x.first[1] != nil && detect.MSEFirst(x.first[0]) && detect.MSEFirst(x.first[1])
	}
}

// datagram shows a datagram to a protocol three times: alone, as one that a LAN host
// sends into its LAN, and after the sender's earlier datagrams of the flow.
func (x *flow) datagram(i int, proto *detect.Protocol, b []byte, side int, at time.Time, f *detect.Finding) {
	f.Reset()
	var kind detect.Kind
	if proto.Datagram != nil {
		kind = proto.Datagram(b, f)
	}
	if kind == detect.None && proto.Local != nil {
		for _, port := range []uint16{x.key.a.Port, x.key.b.Port} {
			if proto.Local(b, port, f) {
				kind = detect.Query
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
	if proto.Flow(&x.watched[side][i], b, uint32(at.UnixMicro())) == detect.Yes {
		x.hits[i] = "UDP " + detect.ReasonFlow.String()
	}
}

// stream shows a segment to a protocol as the beginning of a connection, and line by
// line as an HTTP header. The engine itself looks at less.
func stream(p *detect.Protocol, b []byte, outbound bool, f *detect.Finding) bool {
	f.Reset()
	if p.First != nil && p.First(b, outbound, f) == detect.Yes {
		return true
	}
	if name, protocols := detect.Hello(b); outbound && p.TLS != nil && p.TLS(name, protocols) {
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
