// SPDX-License-Identifier: GPL-2.0-or-later

package state

import "github.com/p2pwall/p2pwall/nfq"

// maxOwn is how many ports of its own a client may have. Nearly all have one, for UDP and
// TCP alike; some have another for the DHT.
const maxOwn = 4

// owns reports whether the port is the client's own: what the host sends from there, by
// UDP or TCP, and what comes to it is the client's.
func (c *client) owns(port uint16) bool {
	for _, o := range c.own {
		if o == port && port != 0 {
			return true
		}
	}
	return false
}

// ownPort notes a port from which a client has spoken, or at which it has answered. The
// one that was noted first gives way when there are too many: a client may change its
// port.
func (e *Engine) ownPort(h *host, c *client, port uint16, now Time) {
	if port < private || c.owns(port) {
		return
	}
	gone := c.own[maxOwn-1]
	copy(c.own[1:], c.own[:])
	c.own[0] = port
	if !c.locked || !c.selective {
		return
	}
	for _, s := range h.addrs {
		if s == none || now < e.addrs[s].contested {
			continue
		}
		a := &e.addrs[s].addr
		if gone != 0 && e.sets != nil && e.addrs[s].inKernel {
			e.sets.Disown(*a, nfq.ProtoUDP, gone)
			e.sets.Disown(*a, nfq.ProtoTCP, gone)
		}
	}
	e.lockInKernel(c)
	e.cutFlows(c)
}

// watchHost has the kernel show what a host that may be asked by a handshake says in it.
func (e *Engine) watchHost(h *host, now Time) {
	if e.sets == nil || !e.mayChange(h, 1, now) {
		return
	}
	for _, s := range h.addrs {
		if s != none && now >= e.addrs[s].contested {
			e.sets.Watch(e.addrs[s].addr, watchTime)
		}
	}
}
