// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// TestTallyConnections: a retransmission is no new connection; a packet with another port
// or address is. The bytes depend on the protocol.
func TestTallyConnections(t *testing.T) {
	var c tally
	p := nfq.Packet{Version: 4, Proto: nfq.ProtoTCP, Dst: ip("198.51.100.1"), SrcPort: 1000, DstPort: 80}
	six := nfq.Packet{Version: 6, Proto: nfq.ProtoUDP, Dst: ip("2001:db8::1"), SrcPort: 1000, DstPort: 80, PayloadLen: 100}
	for _, x := range []struct {
		change      func()
		connections uint32
		bytes       uint64
	}{
		{func() {}, 1, 40},
		{func() {}, 1, 80},
		{func() { p.SrcPort++ }, 2, 120},
		{func() { p.Dst = ip("198.51.100.2") }, 3, 160},
		{func() { p = six }, 4, 160 + 148},
		{func() {}, 4, 160 + 2*148},
	} {
		x.change()
		if c.drop(&p); c.connections != x.connections || c.bytes != x.bytes {
			t.Errorf("%d connections, %d bytes, want %d, %d", c.connections, c.bytes, x.connections, x.bytes)
		}
	}
	if n := testing.AllocsPerRun(100, func() { c.drop(&p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestTalliesManyConnections: twenty connections are tried in turn. Each is counted about
// once.
func TestTalliesManyConnections(t *testing.T) {
	var c tally
	for range 10 {
		for n := range 20 {
			p := nfq.Packet{Version: 4, Proto: nfq.ProtoTCP, Dst: ip("198.51.100.1"), SrcPort: uint16(40000 + n), DstPort: 6881}
			p.Dst[15] = byte(n * 7)
			c.drop(&p)
		}
	}
	if c.connections < 20 || c.connections > 30 {
		t.Errorf("%d connections of 20", c.connections)
	}
}

// TestTallies: each number is reported once, and the time of a lock that has ended is kept.
func TestTallies(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("a second ping", w.ping("198.51.100.8"), nfq.Drop)
	var got []Tally
	take := func() {
		got = nil
		w.e.Tallies(w.now, func(x *Tally) { got = append(got, *x) })
	}
	w.pass(10 * time.Second)
	take()
	if len(got) != 1 || got[0].Locked != 10*time.Second || got[0].Bytes == 0 || got[0].Proof == ProofNone {
		t.Fatalf("after 10 s: %+v", got)
	}
	w.pass(5 * time.Second)
	take()
	if len(got) != 1 || got[0].Locked != 5*time.Second || got[0].Bytes != 0 || got[0].Connections != 0 {
		t.Errorf("5 s later: %+v", got)
	}
	w.pass(10 * time.Minute) // the lock ends
	take()
	if len(got) != 1 || got[0].Locked != w.e.cfg.LockTime-15*time.Second {
		t.Errorf("after the lock: %+v", got)
	}
	take()
	if len(got) != 0 {
		t.Errorf("once more: %+v", got)
	}
}
