// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"

	"github.com/p2pwall/p2pwall/nfq"
)

// maxOwn is how many own ports a client may have. Nearly all have one, for both UDP and
// TCP; some have another for the DHT.
const maxOwn = 4

// owns reports whether the port is the client's own. Then everything from and to that port,
// by UDP or TCP, is the client's.
//
//go:noinline
func (c *client) owns(port uint16) bool { return port != 0 && slices.Contains(c.own[:], port) }

// portAt returns the place of the port in a list with the newest port first. If the port is
// not there, it returns the last place: that port gives way.
func portAt(ports []uint16, port uint16) int {
	if i := slices.Index(ports, port); i >= 0 {
		return i
	}
	return len(ports) - 1
}

// putFirst moves the port from place i to the front of the list.
func putFirst(ports []uint16, i int, port uint16) {
	copy(ports[1:i+1], ports[:i])
	ports[0] = port
}

// ownPort notes a port from which a client has sent something, or at which it has answered.
// When there are too many, the oldest one gives way: a client may change its port.
func (e *Engine) ownPort(h *host, c *client, port uint16, now Time) {
	if port < private {
		return
	}
	i := portAt(c.own[:], port)
	gone := c.own[i]
	isNew := gone != port
	if isNew && c.locked && !e.mayChange(h, 4*addrsOf(h), now) {
		return // packets that are recognised are dropped anyway
	}
	putFirst(c.own[:], i, port)
	if !isNew || !c.locked {
		return
	}
	for _, s := range h.addrs {
		if s != none {
			e.ownedRTC(&e.addrs[s].addr, port)
		}
		if s != none && gone != 0 && e.sets != nil && e.addrs[s].inKernel {
			e.disownPort(c, &e.addrs[s].addr, gone)
		}
	}
	e.lockInKernel(c)
	e.tellOthers(c)
	e.cutFlows(c)
}

// cutPort makes the kernel cut a port of the client at one address. UDP is included only if
// the engine does not have to answer it.
func (e *Engine) cutPort(c *client, a *nfq.Addr, port uint16) {
	d := c.lockUntil.Since(e.now)
	if c.selective && e.cfg.Protocols[c.protocol].BlockUDP {
		e.sets.Own(*a, nfq.ProtoUDP, port, d)
	}
	e.sets.Own(*a, nfq.ProtoTCP, port, d)
}

// disownPort ends that cut.
func (e *Engine) disownPort(c *client, a *nfq.Addr, port uint16) {
	if c.selective {
		e.sets.Disown(*a, nfq.ProtoUDP, port)
	}
	e.sets.Disown(*a, nfq.ProtoTCP, port)
}

// watchAddr makes the kernel show what an address sends by TCP, for d or longer.
func (e *Engine) watchAddr(a *hostAddr, d Time) {
	if e.now >= a.watchUntil {
		a.watchFrom = e.now
	}
	a.watchUntil = e.now + d
	e.sets.Watch(a.addr, d.Since(0))
}

// shown reports whether the kernel already shows what the host sends from the address in a
// connection that the engine answers. If not, it makes the kernel start. It also extends
// the time: the host may open another such connection soon.
func (e *Engine) shown(h *host, addr *nfq.Addr, now Time) bool {
	s := e.addrIndex.Get(addr, e.hash.addr(addr))
	if e.sets == nil || s == none || &e.hosts[e.addrs[s].host] != h || now < e.addrs[s].contested {
		return false
	}
	a := &e.addrs[s]
	if a.watchUntil < now.After(watchTime/2) {
		if !e.room(1) || !e.mayChange(h, 1, now) {
			return false
		}
		e.watchAddr(a, Time(watchTime))
	}
	return now > a.watchFrom && e.handed == e.taken
}
