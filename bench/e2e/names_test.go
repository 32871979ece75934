// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"net/netip"
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// listedNames: hosts that ask for listed names become suspects, whatever name server they ask.
// The rules tell these names: each version of nft has to write what the kernel compares in the
// same order.
func listedNames(e *env) {
	router := netip.AddrPortFrom(lab.Router4, 53)
	e.ok(e.lab.StartDNS(e.lab.Router, router, lab.Names{Else: []netip.Addr{lab.Server4}}))
	outside := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.53"), 53)
	for i, x := range []struct {
		server netip.AddrPort
		name   string
	}{
		{outside, "Router.BitTorrent.com"},
		{outside, "cache.ce3c.be"}, // fewer bytes are compared
		{outside, "uhc7.uhc.gtk-gnutella.nl"},
		{router, "dht.transmissionbt.com"},
		{router, "a.cache.GTKgnutella.com"},
	} {
		h := e.lab.Clients[i]
		// The wall learns whose the address is.
		e.until("a host to connect", func() bool { return e.canConnect(h, lab.Server4, 5*time.Second) })
		e.lookUp(h, x.server, "www.example.com")
		e.must(!e.named(h), "%v asked for no listed name", h.Addr4)
		e.until("the answer about "+x.name+" to be noticed", func() bool {
			e.lookUp(h, x.server, x.name)
			return e.named(h)
		})
		e.must(e.named(h), "nobody noticed the question for %s", x.name)
	}
}

// lookUp asks a name server for a name.
func (e *env) lookUp(h *lab.Host, server netip.AddrPort, name string) {
	c, err := h.DialWithin(5*time.Second, "udp", netip.AddrPort{}, server)
	if err != nil {
		e.fault("a question for %s: %v", name, err)
		return
	}
	defer c.Close()
	_, _ = c.Write(lab.DNSQuery(7, name, lab.TypeA))
	if n, err := c.Read(make([]byte, 512)); err != nil {
		e.fault("%s is not answered by %v: %d, %v", name, server, n, err)
	}
}

// named reports whether the wall suspects the host because of a name.
func (e *env) named(h *lab.Host) bool {
	if e.wall == nil {
		return false
	}
	var r struct {
		Suspects []struct{ Address, Reason string } `json:"suspects"`
	}
	if err := e.wall.Do(lab.Request{Cmd: "clients"}, &r); err != nil {
		e.fault("%v", err)
	}
	return slices.ContainsFunc(r.Suspects, func(s struct{ Address, Reason string }) bool {
		return s.Address == h.Addr4.String() && s.Reason == "name"
	})
}
