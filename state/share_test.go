// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// twoQueues returns two engines of one router. Each tells the other of its locks.
func twoQueues(t *testing.T, change func(*Config)) (a, b *world) {
	a, b = newWorld(t, change), newWorld(t, change)
	a.e.OnLock = func(x *Held) { held := *x; b.now = a.now; b.e.Hold(&held, b.now) }
	b.e.OnLock = func(x *Held) { held := *x; a.now = b.now; a.e.Hold(&held, a.now) }
	return a, b
}

// together lets time pass for both.
func together(a, b *world, d time.Duration) {
	for range int(d / time.Second) {
		a.pass(time.Second)
		b.pass(time.Second)
	}
}

// TestLockedInAllQueues: a lock of one engine also holds in the other, for the same time.
// It is reported and counted once.
func TestLockedInAllQueues(t *testing.T) {
	a, b := twoQueues(t, nil)
	events := 0
	b.e.OnEvent = func(*Event) { events++ }
	v6 := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	v6.Version = 6
	b.expect("IPv6 before the lock", v6, nfq.Accept)
	a.prove()
	a.expect("ping", a.ping("198.51.100.7"), nfq.Drop)
	b.expect("IPv6 of the locked host", v6, nfq.Drop)
	b.expect("IPv6 of another", func() *nfq.Packet { p := *v6; p.MAC, p.Src[15] = macB, 0x51; return &p }(), nfq.Accept)
	if b.sets.locks["2001:db8:1::50"] == 0 {
		t.Errorf("the kernel was not told of its other address: %v", b.sets.locks)
	}
	if n, locked := b.e.Len(); n+locked != 0 || len(b.e.Clients(b.now)) != 0 || len(b.e.Suspects(b.now)) != 0 || events != 0 {
		t.Errorf("told twice: %d clients, %d locked, %d events", n, locked, events)
	}
	// Many suspects do not end it.
	for i := range 1000 {
		mac, src := madeUp(i, false, true)
		p := udp(mac, hostB, 1214, "2001:db8:ff::1", 1214, kazaaPing)
		p.Src, p.Version = src, 6
		b.expect("a made-up host", p, nfq.Drop)
	}
	b.expect("IPv6 beside many suspects", v6, nfq.Drop)
	b.questions()
	// When one engine renews the lock, both do.
	for range 5 {
		together(a, b, 30*time.Second)
		a.expect("ping", a.ping("198.51.100.8"), nfq.Drop)
		b.expect("IPv6", v6, nfq.Drop)
	}
	for _, q := range b.questions() {
		if q.dst.Addr == ip(hostA) || q.dst.Addr == v6.Src {
			t.Errorf("probed twice: %+v", q)
		}
	}
	together(a, b, 82*time.Second)
	b.expect("IPv6 after the release", v6, nfq.Accept)
	if len(a.sets.locks)+len(b.sets.locks) != 0 {
		t.Errorf("left: %v, %v", a.sets.locks, b.sets.locks)
	}
}

// TestProvedInBothQueues: a host shows its signs to both engines. Both count it, and both
// release it.
func TestProvedInBothQueues(t *testing.T) {
	a, b := twoQueues(t, nil)
	a.prove()
	a.expect("ping", a.ping("198.51.100.7"), nfq.Drop)
	b.proveTorrent()
	b.expect("query", b.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	for name, w := range map[string]*world{"first": a, "second": b} {
		if n, locked := w.e.Len(); n != 1 || locked != 1 {
			t.Errorf("%s: %d clients, %d locked", name, n, locked)
		}
		consistentLocks(t, w.e)
	}
	together(a, b, 82*time.Second)
	for name, w := range map[string]*world{"first": a, "second": b} {
		if _, locked := w.e.Len(); locked != 0 || w.sets.cut() != 0 {
			t.Errorf("%s: %d locked, sets %+v", name, locked, w.sets)
		}
		consistentLocks(t, w.e)
	}
}

// consistentLocks checks that the number of locks is right.
func consistentLocks(t *testing.T, e *Engine) {
	t.Helper()
	locked := 0
	for i := range e.clients {
		if c := &e.clients[i]; c.used && c.locked && !c.foreign {
			locked++
		}
	}
	if locked != e.nlocked {
		t.Errorf("%d locked, %d counted", locked, e.nlocked)
	}
}

// A lock of another engine is refused if it must not hold here.
func TestHoldIsRefused(t *testing.T) {
	x := Held{MAC: macA, Addr: ip(hostA), Device: lanDev, Protocol: 0, Left: time.Minute}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		held   func(x *Held)
	}{
		{"exempt", func(c *Config) { c.ExemptMACs = []nfq.MAC{macA} }, func(*Held) {}},
		{"off", func(c *Config) { c.Protocols[0].Mode = Off }, func(*Held) {}},
		{"watched", func(c *Config) { c.Protocols[0].Mode = Monitor }, func(*Held) {}},
		{"no locks", func(c *Config) { c.LockTime = 0 }, func(*Held) {}},
		{"no such device", nil, func(x *Held) { x.Device = 99 }},
		{"off the link", nil, func(x *Held) { x.Addr = ip("8.8.8.8") }},
	} {
		w := newWorld(t, tt.change)
		h := x
		tt.held(&h)
		w.e.Hold(&h, w.now)
		w.e.Advance(w.now)
		w.expect(tt.name+": SYN", w.syn("203.0.113.1"), nfq.Accept)
		if w.sets.cut() != 0 {
			t.Errorf("%s: sets %+v", tt.name, w.sets)
		}
	}
	// The administrator can lift it, too.
	w := newWorld(t, nil)
	w.e.Hold(&x, w.now)
	w.expect("SYN", w.syn("203.0.113.1"), nfq.Drop)
	w.e.Unlock(netip.MustParseAddr(hostA), w.now)
	w.expect("SYN", w.syn("203.0.113.1"), nfq.Accept)
}
