// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// flowsToCut returns the result of FlowsToCut: pairs, own ports, and hosts.
func (w *world) flowsToCut() string {
	f := NewFlows()
	w.e.FlowsToCut(f, w.now)
	var all []string
	for p := range f.Pairs {
		all = append(all, p.LAN.String()+" "+p.WAN.String())
	}
	for p := range f.Ports {
		all = append(all, ownName(p.Addr, p.Proto, p.Port))
	}
	for h := range f.Hosts {
		all = append(all, h.String())
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// TestFlowsToCut: after each change of the kernel's sets, FlowsToCut reports once the
// connections that may have been accepted before it.
func TestFlowsToCut(t *testing.T) {
	const host, other = "192.168.1.50", "192.168.1.60"
	const first = host + " " + firstPeer + ", "
	// all: all connections of the host; own: those at the client's own port by TCP.
	const all, own = host + ", ", ", " + host + " 6 1214"
	for _, c := range []struct {
		name   string
		change func(*Config)
		// The steps, and what FlowsToCut must report after each.
		steps []func(*world)
		want  []string
	}{
		{"peers", nil, []func(*world){
			func(w *world) { w.prove(); w.expect("ping", w.ping("198.51.100.7"), nfq.Drop) },
			func(w *world) { w.expect("the same", w.ping("198.51.100.7"), nfq.Drop) },
			func(w *world) { w.expect("the next", w.ping("198.51.100.8"), nfq.Drop) },
		}, []string{all + first + host + " 198.51.100.7" + own, "", first + host + " 198.51.100.7, " + host + " 198.51.100.8" + own}},
		{"another host behind the client's MAC", nil, []func(*world){
			func(w *world) { w.prove(); w.expect("ping", w.ping("198.51.100.7"), nfq.Drop) },
			func(w *world) { w.e.Packet(udp(macA, other, 4000, "203.0.113.9", 4000, []byte("x")), w.now) },
		}, []string{all + first + host + " 198.51.100.7" + own, all + first + host + " 198.51.100.7" + own}},
		{"a client's own ports, and what its host has in its middle", nil, []func(*world){
			func(w *world) { w.proveTorrent(); w.expect("DHT", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop) },
			func(w *world) { w.expect("DHT", w.speaks("198.51.100.8", 6881, dhtPing), nfq.Drop) },
			func(w *world) { w.e.Packet(udp(macA, other, 4000, "203.0.113.9", 4000, []byte("x")), w.now) },
			func(w *world) {
				p := w.speaks("198.51.100.9", 6881, dhtPing)
				p.SrcPort = 51414
				w.expect("DHT from another port", p, nfq.Drop)
			},
		}, []string{
			host + ", " + host + " 17 51413, " + host + " 6 51413", "", host + ", " + host + " 17 51413, " + host + " 6 51413",
			host + " 17 51413, " + host + " 17 51414, " + host + " 6 51413, " + host + " 6 51414",
		}},
		{"sets that were lost", nil, []func(*world){
			func(w *world) { w.prove(); w.expect("ping", w.ping("198.51.100.7"), nfq.Drop) },
			func(w *world) { w.e.SetSets(w.sets, w.now) },
		}, []string{all + first + host + " 198.51.100.7" + own, all + first + host + " 198.51.100.7" + own}},
		{"suspects, and without a lock", func(c *Config) { c.Forget = time.Hour }, []func(*world){
			func(w *world) {
				w.expect("SYN", w.syn("203.0.113.1"), nfq.Accept)
				w.prove()
				w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
			},
			func(w *world) { w.pass(10 * time.Minute); w.e.SetSets(w.sets, w.now) },
		}, []string{all + first + host + " 198.51.100.7, " + host + " 203.0.113.1" + own, ""}},
		{"an address of two hosts", nil, []func(*world){
			func(w *world) { w.prove(); w.expect("ping", w.ping("198.51.100.7"), nfq.Drop) },
			func(w *world) {
				w.pass(time.Second)
				w.e.Packet(udp(macB, host, 4000, "203.0.113.9", 4000, []byte("x")), w.now)
				w.expect("ping", w.ping("198.51.100.8"), nfq.Drop)
			},
			func(w *world) {
				for range 10 {
					w.pass(time.Minute)
					w.e.Packet(w.ping("198.51.100.8"), w.now)
				}
			},
		}, []string{all + first + host + " 198.51.100.7" + own, "", all + first + host + " 198.51.100.7, " + host + " 198.51.100.8" + own}},
		{"watched only", func(c *Config) { c.Protocols[0].Mode = Monitor }, []func(*world){
			func(w *world) { w.prove(); w.expect("ping", w.ping("198.51.100.7"), nfq.Accept) },
		}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.change)
			told := false
			w.e.OnCut = func() {
				if told {
					t.Error("told twice before it was asked")
				}
				told = true
			}
			for i, step := range c.steps {
				told = false
				step(w)
				if told != (c.want[i] != "") && c.name != "an address of two hosts" {
					t.Errorf("step %d: told: %v", i, told)
				}
				if got := w.flowsToCut(); got != c.want[i] {
					t.Errorf("step %d: %q, want %q", i, got, c.want[i])
				}
				if got := w.flowsToCut(); got != "" {
					t.Errorf("step %d, asked again: %q", i, got)
				}
			}
		})
	}
}

// TestFlowsToCutInTime: connections get another look only when the kernel already shows
// them, even if a lock begins between two batches of packets.
func TestFlowsToCutInTime(t *testing.T) {
	w := newWorld(t, nil)
	s := &slowSets{fakeSets: w.sets, size: 64}
	w.e.SetSets(s, w.now)
	taken := func() {
		s.used = 0
		w.e.SetsTaken(s, s.batch, nil, w.now)
	}
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.e.Advance(w.now)
	taken()
	w.e.Packet(w.speaks("198.51.100.8", 6881, dhtPing), w.now)
	if !w.locked(hostA) || s.used == 0 {
		t.Fatal("nothing waits to be handed over")
	}
	if f := w.flowsToCut(); f != "" {
		t.Errorf("%s before the kernel has what was collected", f)
	}
	taken()
	if f := w.flowsToCut(); f == "" {
		t.Error("nothing when the kernel has it")
	}
}
