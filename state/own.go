// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"

	"github.com/p2pwall/p2pwall/nfq"
)

// maxOwn is how many ports of its own a client may have. Nearly all have one, for UDP and
// TCP alike; some have another for the DHT.
const maxOwn = 4

// owns reports whether the port is the client's own: what the host sends from there, by
// UDP or TCP, and what comes to it is the client's.
//
//go:noinline
func (c *client) owns(port uint16) bool { return port != 0 && slices.Contains(c.own[:], port) }

// portAt is where the port is in a list of the ports used last, the newest first; else the
// last place, of the one that gives way to it.
func portAt(ports []uint16, port uint16) int {
	if i := slices.Index(ports, port); i >= 0 {
		return i
	}
	return len(ports) - 1
}

// putFirst makes the port the newest of the list; i is its place.
func putFirst(ports []uint16, i int, port uint16) {
	copy(ports[1:i+1], ports[:i])
	ports[0] = port
}

// ownPort notes a port from which a client has spoken, or at which it has answered. The
// one that was noted longest ago gives way when there are too many: a client may change
// its port.
func (e *Engine) ownPort(h *host, c *client, port uint16, now Time) {
	if port < private {
		return
	}
	i := portAt(c.own[:], port)
	gone := c.own[i]
	isNew := gone != port
	if isNew && c.locked && !e.mayChange(h, 4*addrsOf(h), now) {
		return // what it says in its own words is cut all the same
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

// cutPort has the kernel cut a port of the client at one address: by UDP only where what
// it says is not to be answered.
func (e *Engine) cutPort(c *client, a *nfq.Addr, port uint16) {
	d := c.lockUntil.Since(e.now)
	if c.selective && e.cfg.Protocols[c.protocol].BlockUDP {
		e.sets.Own(*a, nfq.ProtoUDP, port, d)
	}
	e.sets.Own(*a, nfq.ProtoTCP, port, d)
}

// disownPort ends that.
func (e *Engine) disownPort(c *client, a *nfq.Addr, port uint16) {
	if c.selective {
		e.sets.Disown(*a, nfq.ProtoUDP, port)
	}
	e.sets.Disown(*a, nfq.ProtoTCP, port)
}

// watchAddr has the kernel show what is said from an address in TCP connections, for d
// or longer.
func (e *Engine) watchAddr(a *hostAddr, d Time) {
	if e.now >= a.watchUntil {
		a.watchFrom = e.now
	}
	a.watchUntil = e.now + d
	e.sets.Watch(a.addr, d.Since(0))
}

// shown reports whether the kernel shows what the host says from the address in a
// connection that was answered in a peer's name. It has the kernel do so from now on, or
// for longer: who was shown such a connection may have another in a moment.
func (e *Engine) shown(h *host, addr *nfq.Addr, now Time) bool {
	s := e.addrIndex.Get(*addr, e.hash.addr(addr))
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
