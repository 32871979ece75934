// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

var everyProtocol = detect.Set(1)<<len(detect.All) - 1

func prefixes(s ...string) (out []netip.Prefix) {
	for _, x := range s {
		out = append(out, netip.MustParsePrefix(x))
	}
	return out
}

// TestPolicyOrder: for each protocol, the first policy that fits decides.
func TestPolicyOrder(t *testing.T) {
	host := ip(hostA).Netip().String() + "/32"
	for _, tt := range []struct {
		name     string
		policies []Policy
		want     [2]Mode // of FastTrack and BitTorrent
	}{
		{"none", nil, [2]Mode{Block, Block}},
		{"all", []Policy{{All: true, Protocols: everyProtocol, Mode: Off}}, [2]Mode{Off, Off}},
		{"one protocol", []Policy{{All: true, Protocols: 1 << 1, Mode: Monitor}}, [2]Mode{Block, Monitor}},
		{"by MAC", []Policy{{MACs: []nfq.MAC{macB, macA}, Protocols: 1, Mode: Off}}, [2]Mode{Off, Block}},
		{"another MAC", []Policy{{MACs: []nfq.MAC{macB}, Protocols: 1, Mode: Off}}, [2]Mode{Block, Block}},
		{"by address", []Policy{{Nets: prefixes(host), Protocols: 1, Mode: Off}}, [2]Mode{Off, Block}},
		{"by network", []Policy{{Nets: prefixes("10.0.0.0/8", "192.168.1.0/24"), Protocols: 1, Mode: Off}}, [2]Mode{Off, Block}},
		{"another network", []Policy{{Nets: prefixes("10.0.0.0/8"), Protocols: 1, Mode: Off}}, [2]Mode{Block, Block}},
		{"by device", []Policy{{Devices: []uint32{99, lanDev}, Protocols: 1, Mode: Off}}, [2]Mode{Off, Block}},
		{"another device", []Policy{{Devices: []uint32{99}, Protocols: 1, Mode: Off}}, [2]Mode{Block, Block}},
		{"nobody", []Policy{{Protocols: everyProtocol, Mode: Off}}, [2]Mode{Block, Block}},
		{"the first counts", []Policy{
			{Nets: prefixes(host), Protocols: 1, Mode: Monitor}, {All: true, Protocols: everyProtocol, Mode: Off},
		}, [2]Mode{Monitor, Off}},
		{"also a harder one", []Policy{
			{All: true, Protocols: 1, Mode: Off}, {Nets: prefixes(host), Protocols: 1, Mode: Block},
		}, [2]Mode{Off, Block}},
		{"only these", []Policy{
			{MACs: []nfq.MAC{macB}, Protocols: everyProtocol, Mode: Block}, {All: true, Protocols: everyProtocol, Mode: Off},
		}, [2]Mode{Off, Off}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.e.Packet(w.ping("198.51.100.9"), w.now)
			w.e.SetPolicies(tt.policies, w.now)
			a := ip(hostA)
			h := w.e.hostAt(&a)
			if h == nil {
				t.Fatal("the host is not known")
			}
			if got := [2]Mode{h.modes.mode(0), h.modes.mode(1)}; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			// The same for a host that comes later.
			w = newWorld(t, func(c *Config) { c.Policies = tt.policies })
			w.e.Packet(w.ping("198.51.100.9"), w.now)
			if h = w.e.hostAt(&a); h == nil || h.modes.mode(0) != tt.want[0] || h.modes.mode(1) != tt.want[1] {
				t.Errorf("a new host: %+v", h)
			}
		})
	}
}

// TestPolicyOfLocked: a new policy ends a lock at once, and can begin it again.
func TestPolicyOfLocked(t *testing.T) {
	all := func(m Mode) []Policy { return []Policy{{Name: "p", All: true, Protocols: everyProtocol, Mode: m}} }
	w := newWorld(t, nil)
	w.prove()
	w.e.Packet(w.ping("198.51.100.200"), w.now)
	w.e.Advance(w.now)
	if !w.locked(hostA) || w.sets.cut() == 0 {
		t.Fatal("not locked")
	}
	w.e.SetPolicies(all(Monitor), w.now)
	if w.locked(hostA) || w.sets.cut() != 0 {
		t.Errorf("locked in mode monitor: %+v", w.sets)
	}
	w.expect("a ping that is only watched", w.ping("198.51.100.7"), nfq.Accept)
	if c := w.e.Clients(w.now); len(c) != 1 || c[0].Mode != Monitor || c[0].Policy != "p" {
		t.Errorf("%+v", c)
	}
	w.e.SetPolicies(nil, w.now)
	if !w.locked(hostA) || w.sets.cut() == 0 {
		t.Errorf("not locked again: %+v", w.sets)
	}
	w.e.SetPolicies(all(Off), w.now)
	if w.locked(hostA) || w.sets.cut() != 0 {
		t.Errorf("locked in mode off: %+v", w.sets)
	}
	w.expect("a ping that nobody looks at", w.ping("198.51.100.8"), nfq.Accept)
}

// TestPolicyEnds: the hours of a policy with mode off end. A client that is remembered is
// asked whether it still runs.
func TestPolicyEnds(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.e.SetPolicies([]Policy{{All: true, Protocols: everyProtocol, Mode: Off}}, w.now)
	w.expect("nobody looks", w.speaks("198.51.100.8", 6881, dhtPing), nfq.Accept)
	w.pass(10 * time.Minute)
	if w.locked(hostA) || len(w.questions()) != 0 {
		t.Error("locked or asked in mode off")
	}
	w.e.SetPolicies(nil, w.now)
	if w.locked(hostA) || len(w.questions()) == 0 {
		t.Error("locked at once, or not asked")
	}
	w.proveTorrent()
	w.expect("another", w.speaks("198.51.100.9", 6881, dhtPing), nfq.Drop)
	if !w.locked(hostA) {
		t.Error("not locked when it shows itself")
	}
}

// TestPolicyAsksForALook: the caller has to look at existing connections when a host may
// hold more protocols than before. The engine does not know all hosts.
func TestPolicyAsksForALook(t *testing.T) {
	all := func(m Mode, p detect.Set) []Policy { return []Policy{{All: true, Protocols: p, Mode: m}} }
	one := []Policy{{MACs: []nfq.MAC{macA}, Protocols: everyProtocol, Mode: Off}}
	for _, tt := range []struct {
		name          string
		before, after []Policy
		knows         bool
		want          bool
	}{
		{"the same", nil, nil, true, false},
		{"off for all ends", all(Off, everyProtocol), nil, false, true},
		{"off for all begins", nil, all(Off, everyProtocol), true, false},
		{"off for one ends", one, nil, true, true},
		{"off for one begins", nil, one, true, false},
		{"off for one protocol ends", all(Off, 1), nil, false, true},
		{"monitor after off", all(Off, everyProtocol), all(Monitor, everyProtocol), true, false},
		{"mark after monitor", all(Monitor, everyProtocol), all(Mark, everyProtocol), false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Policies = tt.before })
			if tt.knows {
				w.e.Packet(w.ping("198.51.100.9"), w.now)
				w.pass(time.Second)
			}
			if got := w.e.SetPolicies(tt.after, w.now); got != tt.want {
				t.Errorf("SetPolicies: %v", got)
			}
			w.e.SetPolicies(tt.before, w.now)
			cfg := w.e.cfg
			cfg.Policies = tt.after
			if got := w.e.Configure(cfg); got != tt.want {
				t.Errorf("Configure: %v", got)
			}
		})
	}
}

// TestPolicyEndsWithASession: a client got its only session while a policy left it alone,
// and sends nothing new. It was known before, so its session is ended once.
func TestPolicyEndsWithASession(t *testing.T) {
	for _, tt := range []struct {
		name  string
		known bool
		off   detect.Set
		ended int
	}{
		{"everything was off", true, everyProtocol, 1},
		{"one protocol was off", true, 1, 1},
		{"a host without a client", false, everyProtocol, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			p := &prober{}
			w.e.SetProber(p)
			if tt.known {
				w.prove()
				w.e.Packet(w.ping("198.51.100.200"), w.now)
			}
			w.e.SetPolicies([]Policy{{All: true, Protocols: tt.off, Mode: Off}}, w.now)
			const port, dst = 50000, "198.51.100.34"
			w.open(port, dst, 3128)
			w.e.Packet(w.data(port, dst, 3128, 1000, string(giftHello)), w.now)
			w.pass(5 * time.Minute)
			if !w.e.SetPolicies(nil, w.now) {
				t.Fatal("nobody has to look")
			}
			w.e.Standing(&nfq.Standing{Addr: ip(hostA), Peers: 1}, macA, w.now)
			w.pass(4 * time.Second)
			for _, id := range p.ids {
				if id&standingProbe != 0 { // it accepts all of them, and says nothing
					w.e.ProbedTCP(id, []byte{}, w.now)
				}
			}
			w.pass(2 * time.Second)
			o := &old{w: w}
			for i := range 3 {
				o.says(port, dst, 3128, bytesOf(i, 25))
			}
			if w.out.resets != tt.ended {
				t.Errorf("%d connections were ended", w.out.resets)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// TestExemptionEnded: the end of an exemption is reported once.
func TestExemptionEnded(t *testing.T) {
	w := newWorld(t, nil)
	a := ip(hostA).Netip()
	ended := func(want bool) {
		t.Helper()
		if got := w.e.ExemptionEnded(w.now); got != want {
			t.Errorf("got %v", got)
		}
	}
	ended(false)
	w.e.Exempt(a, time.Minute, w.now)
	ended(false)
	w.pass(time.Minute)
	ended(true)
	ended(false)
	w.e.Exempt(a, time.Minute, w.now)
	w.e.EndExemption(a, w.now)
	ended(true)
	ended(false)
	w.e.Exempt(a, time.Minute, w.now)
	w.e.Exempt(a, time.Hour, w.now) // longer
	w.pass(2 * time.Minute)
	ended(false)
}

// TestPolicyFollowsHost: a host that gets another address matches other policies by
// address.
func TestPolicyFollowsHost(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.e.Packet(w.ping("198.51.100.200"), w.now)
	w.e.Advance(w.now)
	w.e.SetPolicies([]Policy{{Nets: prefixes("192.168.1.77/32"), Protocols: everyProtocol, Mode: Off}}, w.now)
	if !w.locked(hostA) {
		t.Fatal("not locked at its first address")
	}
	p := w.ping("198.51.100.9")
	p.Src = ip("192.168.1.77")
	p.MAC = macB
	w.expect("another host, at the address that is left alone", p, nfq.Accept)
	if !w.locked(hostA) {
		t.Error("the lock of another ended")
	}
	// A policy by MAC also covers the host's IPv6 addresses.
	w.e.SetPolicies([]Policy{{MACs: []nfq.MAC{macA}, Protocols: everyProtocol, Mode: Off}}, w.now)
	if w.locked(hostA) {
		t.Error("locked against the policy of its MAC")
	}
}

// TestPolicyBehindRepeater: the address of a lease identifies a host that shares its MAC.
func TestPolicyBehindRepeater(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Policies = []Policy{{Addrs: []nfq.Addr{ip("10.9.0.5"), ip(hostA)}, Protocols: everyProtocol, Mode: Off}}
	})
	d := lan()
	d.Routed = prefixes("10.9.0.0/16")
	w.e.SetDevices([]Device{d})
	for i, want := range []nfq.Verdict{nfq.Accept, nfq.Drop} {
		p := w.ping("198.51.100.9")
		p.Src, p.MAC = ip([]string{"10.9.0.5", "10.9.0.6"}[i]), macB
		w.expect("behind another router", p, want)
	}
	w.expect("at a MAC of its own", w.ping("198.51.100.9"), nfq.Drop)
}

// TestPolicyOfOne: one device is left alone while another is locked.
func TestPolicyOfOne(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Policies = []Policy{{MACs: []nfq.MAC{macB}, Protocols: everyProtocol, Mode: Off}}
	})
	w.prove()
	w.e.Packet(w.ping("198.51.100.200"), w.now)
	w.e.Advance(w.now)
	for range 3 {
		p := w.ping("198.51.100.9")
		p.Src, p.MAC = ip("192.168.1.77"), macB
		w.expect("a ping of the one", p, nfq.Accept)
	}
	w.expect("a ping of the other", w.ping("198.51.100.7"), nfq.Drop)
	if !w.locked(hostA) || w.locked("192.168.1.77") || len(w.e.Clients(w.now)) != 1 {
		t.Errorf("%+v", w.e.Clients(w.now))
	}
}

// TestPoliciesAllocateNothing: neither a packet nor a new decision allocates.
func TestPoliciesAllocateNothing(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Policies = []Policy{
			{Nets: prefixes("10.0.0.0/8", "fd00::/8"), Protocols: everyProtocol, Mode: Off},
			{MACs: []nfq.MAC{macB}, Devices: []uint32{77}, Protocols: everyProtocol, Mode: Monitor},
		}
	})
	w.prove()
	w.e.Packet(w.ping("198.51.100.200"), w.now)
	w.e.Advance(w.now)
	w.out.recordNothing, w.e.sets = true, nil
	p := w.ping("198.51.100.7")
	a := ip(hostA)
	h := w.e.hostAt(&a)
	if n := testing.AllocsPerRun(100, func() {
		h.decided = outdated
		w.now = w.now.After(time.Millisecond)
		w.e.Packet(p, w.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
