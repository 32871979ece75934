// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"testing"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// marked sets mode mark for all protocols.
func marked(c *Config) {
	for i := range detect.All {
		c.Protocols[i].Mode = Mark
	}
	c.Action = Reset
}

// nothingLost checks that nothing was dropped, reset or answered in another's name.
func (w *world) nothingLost() {
	w.t.Helper()
	if c := &w.e.Counters; c.Dropped != 0 || c.Pongs != 0 || c.Handshakes != 0 || w.out.resets != 0 || w.out.icmps != 0 {
		w.t.Errorf("%+v, %d resets, %d rejections", c, w.out.resets, w.out.icmps)
	}
	for _, s := range w.out.udp {
		if s.src.Port != detect.ProbePort {
			w.t.Errorf("sent in the name of %v", s.src)
		}
	}
}

// TestMarkTorrent: what mode block would cut passes with a mark, and the kernel's sets do
// the same.
func TestMarkTorrent(t *testing.T) {
	w := newWorld(t, marked)
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.AcceptMarked)
	if !w.locked(hostA) || w.sets.marked[hostA] == 0 || len(w.sets.own) == 0 {
		t.Fatalf("not held: %+v", w.sets)
	}
	w.open(4000, "203.0.113.80", 6881)
	w.expect("a session", w.data(4000, "203.0.113.80", 6881, 1000, handshake), nfq.AcceptMarked)
	w.open(4001, "203.0.113.81", 6881)
	w.expect("an encrypted one", w.data(4001, "203.0.113.81", 6881, 1000, random(200)), nfq.AcceptMarked)
	w.expect("more of it", w.data(4001, "203.0.113.81", 6881, 1200, random(200)), nfq.AcceptMarked)
	syn := tcp(macA, hostA, 4002, "203.0.113.80", 6881, nfq.SYN, nil)
	w.expect("the next to a peer", syn, nfq.AcceptMarked)
	w.expect("uTP from its port", w.speaks("203.0.113.9", 7000, "\x21\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x01\x00\x00\x04\x00\x00\xf9\xce\x00\x07"), nfq.AcceptMarked)
	w.open(4003, "203.0.113.82", 443)
	w.expect("a page", w.data(4003, "203.0.113.82", 443, 1000, hello("www.example.org")), nfq.AcceptDecided)
	other := tcp(macA, hostA, 4004, "203.0.113.83", 22, nfq.SYN, nil)
	w.expect("another program", other, nfq.Accept)
	w.nothingLost()
	if w.e.Counters.Marked < 6 {
		t.Errorf("%d marked", w.e.Counters.Marked)
	}
	f := NewFlows()
	w.e.FlowsToCut(f, w.now)
	if len(f.Ports) != 0 || len(f.Pairs) != 0 || len(f.MarkPorts) == 0 {
		t.Errorf("%+v", f)
	}
}

// TestMarkFastTrack: the same with a strict lock.
func TestMarkFastTrack(t *testing.T) {
	w := newWorld(t, marked)
	w.prove()
	w.expect("a ping", w.ping("198.51.100.7"), nfq.AcceptMarked)
	w.expect("a SYN to a peer", w.syn("198.51.100.7"), nfq.AcceptMarked)
	w.expect("a SYN to anybody", w.syn("203.0.113.9"), nfq.AcceptMarked)
	if w.sets.marked[hostA] == 0 || w.sets.locks[hostA] == 0 || len(w.sets.cuts) == 0 {
		t.Errorf("%+v", w.sets)
	}
	w.nothingLost()
}

// TestMarkAndBlock: a change between the two modes takes effect at once. Connections lose
// their mark.
func TestMarkAndBlock(t *testing.T) {
	all := func(m Mode) []Policy { return []Policy{{All: true, Protocols: everyProtocol, Mode: m}} }
	w := lockedTorrent(t, nil)
	if len(w.sets.marked) != 0 {
		t.Errorf("marked: %v", w.sets.marked)
	}
	w.e.SetPolicies(all(Mark), w.now)
	if !w.locked(hostA) || w.sets.marked[hostA] == 0 {
		t.Errorf("not marked: %+v", w.sets)
	}
	w.expect("marked", w.speaks("198.51.100.8", 6881, dhtPing), nfq.AcceptMarked)
	f := NewFlows()
	w.e.FlowsToCut(f, w.now)
	if len(f.Freed) != 0 || len(f.MarkPorts) == 0 || len(f.Ports) != 0 {
		t.Errorf("%+v", f)
	}
	w.e.SetPolicies(all(Block), w.now)
	if !w.locked(hostA) || w.sets.marked[hostA] != 0 || len(w.sets.own) == 0 {
		t.Errorf("not blocked: %+v", w.sets)
	}
	w.expect("blocked", w.speaks("198.51.100.9", 6881, dhtPing), nfq.Drop)
	f = NewFlows()
	w.e.FlowsToCut(f, w.now)
	a := ip(hostA)
	if _, ok := f.Freed[a]; !ok || len(f.Ports) == 0 {
		t.Errorf("%+v", f)
	}
	w.e.SetPolicies(all(Off), w.now)
	if w.locked(hostA) || w.sets.cut() != 0 || len(w.sets.marked) != 0 {
		t.Errorf("held in mode off: %+v", w.sets)
	}
}

// TestMarkAndBlockTogether: a client runs two programs, one marked and one blocked. Traffic
// that may be either is blocked.
func TestMarkAndBlockTogether(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Protocols[1].Mode = Mark })
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.AcceptMarked)
	w.prove()
	w.expect("a FastTrack ping", w.ping("198.51.100.7"), nfq.Drop)
	if w.sets.marked[hostA] != 0 {
		t.Error("its ports are marked only")
	}
	w.expect("what is recognised is still marked", w.speaks("198.51.100.8", 6881, dhtPing), nfq.AcceptMarked)
}

// TestMarkPeers: if the mark chooses the route, the kernel knows the peers. So the first
// packet already has the mark.
func TestMarkPeers(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		marked(c)
		c.Marks.Conn, c.Marks.ConnMask = 0x10000, 0xff0000
	})
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.AcceptMarked)
	w.open(4000, "203.0.113.80", 50000)
	w.expect("a session", w.data(4000, "203.0.113.80", 50000, 1000, handshake), nfq.AcceptMarked)
	w.open(4001, "203.0.113.81", 443)
	w.expect("a session at a service's port", w.data(4001, "203.0.113.81", 443, 1000, handshake), nfq.AcceptMarked)
	if w.sets.own[ownName(ip("203.0.113.80"), nfq.ProtoTCP, 50000)] == 0 || w.sets.own[ownName(ip("203.0.113.81"), nfq.ProtoTCP, 443)] != 0 {
		t.Errorf("%v", w.sets.own)
	}
	w.e.SetPolicies([]Policy{{All: true, Protocols: everyProtocol, Mode: Off}}, w.now)
	if w.sets.cut() != 0 {
		t.Errorf("left: %+v", w.sets)
	}
}

// TestMarkAllocatesNothing on the packet path.
func TestMarkAllocatesNothing(t *testing.T) {
	w := newWorld(t, marked)
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.AcceptMarked)
	w.out.recordNothing, w.e.sets = true, nil
	for name, p := range map[string]*nfq.Packet{
		"ping": w.speaks("198.51.100.7", 6881, dhtPing), "session": w.data(4002, "203.0.113.80", 6881, 1000, handshake),
		"encrypted": w.data(4001, "203.0.113.80", 6881, 1000, random(200)),
	} {
		if n := testing.AllocsPerRun(100, func() { w.e.Packet(p, w.now) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
