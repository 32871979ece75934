// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

// TestUnmetHost: after a crash the connection table has an address that may be a client's,
// and nothing else is known of the host. Then packets come from its IPv6 address, and then
// from that address. It must be one host, not two that use one address, and must not be
// asked twice.
func TestUnmetHost(t *testing.T) {
	w := newWorld(t, nil)
	told := 0
	w.e.OnEvent = func(e *Event) {
		if e.What == EventForged {
			told++
		}
	}
	v6 := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	v6.Version = 6
	w.expect("IPv6", v6, nfq.Accept)
	w.e.Suspect(nfq.AddrPort{Addr: ip(hostA), Port: 51413}, w.now)
	q := w.asked("krpc")
	w.expect("the answer", toRouter(51413, krpcAnswer(q)), nfq.Drop)
	if told != 0 || w.e.Counters.Forged != 0 {
		t.Errorf("told %d times of an address that two hosts use, counted %d", told, w.e.Counters.Forged)
	}
	if c := w.e.Clients(w.now); len(c) != 1 || !c[0].Locked || len(c[0].Addrs) != 2 || c[0].MAC != macA {
		t.Errorf("clients %+v", c)
	}
	consistent(t, w.e, w.sets)
	// Another MAC with that address is another host.
	w.expect("a neighbour that uses the address", udp(macB, hostA, 51413, "203.0.113.9", 7000, []byte("whatever this is")), nfq.Accept)
	if told != 1 {
		t.Errorf("told %d times of it", told)
	}
}
