// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// cutTime is how long a pair of addresses stays in the kernel's set without renewal. It is
// longer than a lock, so that renewals are rare: a release removes the pairs.
func (e *Engine) cutTime() time.Duration { return 2*e.cfg.LockTime + minute }

// cut makes the kernel drop all packets between a locked client and the peer. It does so
// for every address that surely belongs to the client.
func (e *Engine) cut(h *host, c *client, p *peer, now Time) {
	if !c.locked || !c.proved.Has(int(p.protocol)) {
		return
	}
	if !e.cutsAll(h, p) {
		e.markPeer(h, p, now)
		return
	}
	n := 0
	for _, s := range h.addrs {
		if s != none && e.addrs[s].addr.Is4() == p.addr.Is4() {
			n++
		}
	}
	if !e.room(2*n) || !e.mayChange(h, n, now) {
		return
	}
	d := e.cutTime()
	for _, s := range h.addrs {
		if s == none || e.sets == nil {
			continue
		}
		if a := &e.addrs[s]; a.addr.Is4() == p.addr.Is4() && now >= a.contested {
			a.inKernel = true
			e.markFirst(c, a, d)
			e.sets.Cut(a.addr, p.addr, d)
		}
	}
	if p.cutUntil == 0 {
		e.cutFlows(c)
	}
	p.cutUntil = now.After(d).seconds()
}

// markFirst tells the kernel to mark packets of an address. It comes before anything else
// about the address, so that the kernel never drops them.
func (e *Engine) markFirst(c *client, a *hostAddr, d time.Duration) {
	if e.lockMarks(c) {
		e.sets.Mark(a.addr, d)
	}
}

// markPeer makes the kernel mark connections to a peer from their first packet on, because
// routing by mark needs that. It marks only those to the peer's own port.
func (e *Engine) markPeer(h *host, p *peer, now Time) {
	if e.sets == nil || e.cfg.Marks.ConnMask == 0 || !h.marks(int(p.protocol)) || p.suspect ||
		p.port < private || detect.WellKnown(nfq.ProtoTCP, p.port) || !e.room(1) || !e.mayChange(h, 1, now) {
		return
	}
	e.sets.Own(p.addr, nfq.ProtoTCP, p.port, e.cutTime())
	p.cutUntil = now.After(e.cutTime()).seconds()
}

// cutsAll reports whether everything between the client and this peer is cut. For protocols
// that are not exclusive, a peer's address may also serve something harmless: a tracker's
// does. There each connection has to show what it is. A suspected peer is cut anyway: it
// had a connection that can no longer show that.
func (e *Engine) cutsAll(h *host, p *peer) bool {
	return h.modes.holds.Has(int(p.protocol)) && p.byAddress()
}

// byAddress reports whether the cut of the peer is for a pair of addresses.
func (p *peer) byAddress() bool { return detect.All[p.protocol].Exclusive || p.suspect }

// cutAll cuts a new address of the client off from all its peers.
func (e *Engine) cutAll(c *client, a *nfq.Addr, now Time) {
	if e.sets == nil {
		return
	}
	for i := range c.peers.peers[:c.peers.n] {
		p := &c.peers.peers[i]
		if e.cutsAll(&e.hosts[c.host], p) && p.addr.Is4() == a.Is4() && p.cutUntil > e.seconds(now) {
			e.sets.Cut(*a, p.addr, p.cutUntil.time().Since(now))
		}
	}
}

// cutsOf returns how many pairs cutAll makes.
func (e *Engine) cutsOf(c *client, a *hostAddr, now Time) (n int) {
	for i := range c.peers.peers[:c.peers.n] {
		p := &c.peers.peers[i]
		if p.addr.Is4() == a.addr.Is4() && p.cutUntil > e.seconds(now) {
			n++
		}
	}
	return n
}

// renewCuts renews the pairs that have less than half their time left in the kernel.
func (e *Engine) renewCuts(c *client, now Time) {
	half := now.After(e.cutTime() / 2).seconds()
	h := &e.hosts[c.host]
	for i := range c.peers.peers[:c.peers.n] {
		p := &c.peers.peers[i]
		if p.cutUntil < half {
			e.cut(h, c, p, now)
		}
	}
}

func (e *Engine) uncut(c *client, p *peer) {
	if p.cutUntil == 0 || !e.room(addrsPerHost) {
		return
	}
	p.cutUntil = 0
	if !p.byAddress() {
		if e.sets != nil {
			e.sets.Disown(p.addr, nfq.ProtoTCP, p.port)
		}
		return
	}
	for _, s := range e.hosts[c.host].addrs {
		if s != none && e.sets != nil && e.addrs[s].addr.Is4() == p.addr.Is4() {
			e.sets.Uncut(e.addrs[s].addr, p.addr)
		}
	}
}

// uncutAddr removes an address from the kernel's sets: it may now belong to another host.
func (e *Engine) uncutAddr(c *client, a *hostAddr) {
	if e.sets == nil || !a.inKernel {
		return
	}
	a.inKernel = false
	e.sets.Uncut(a.addr, a.addr)
	for i := range c.peers.peers[:c.peers.n] {
		if p := &c.peers.peers[i]; p.addr.Is4() == a.addr.Is4() && p.cutUntil != 0 && p.byAddress() {
			e.sets.Uncut(a.addr, p.addr)
		}
	}
	e.unlockAddr(c, a)
}

// lookAnew does what cutFlows does, and also marks all connections of the client's
// addresses for a new look.
func (e *Engine) lookAnew(c *client) {
	c.lookedAnew = e.now
	for _, s := range e.hosts[c.host].addrs {
		if s != none {
			e.addrs[s].lookDue = true
		}
	}
	e.cutFlows(c)
}

// cutFlows notes that connections between the client and its peers may still be open: the
// kernel accepted them before the cut.
//
//go:noinline
func (e *Engine) cutFlows(c *client) {
	c.flowsDue = true
	e.lookAtFlows()
}

// lookAtFlows reports through OnCut that FlowsToCut has to be called.
func (e *Engine) lookAtFlows() {
	if !e.flowsDue {
		e.flowsDue = true
		if e.OnCut != nil {
			e.OnCut()
		}
	}
}

// Flows are connections that the kernel may have accepted before the cut.
type Flows struct {
	// Pairs and Ports have to be removed from the connection table: the connections between
	// a client and its peer, and those from or to a client's own port.
	Pairs map[nfq.Pair]struct{}
	Ports map[nfq.HostPort]struct{}
	// Hosts are those whose connections and UDP flows need another look.
	Hosts map[nfq.Addr]struct{}
	// MarkPairs and MarkPorts have to be marked instead. Connections of Freed have to lose
	// their mark.
	MarkPairs map[nfq.Pair]struct{}
	MarkPorts map[nfq.HostPort]struct{}
	Freed     map[nfq.Addr]struct{}
}

// NewFlows returns an empty collection.
func NewFlows() Flows {
	return Flows{
		Pairs: map[nfq.Pair]struct{}{}, Ports: map[nfq.HostPort]struct{}{}, Hosts: map[nfq.Addr]struct{}{},
		MarkPairs: map[nfq.Pair]struct{}{}, MarkPorts: map[nfq.HostPort]struct{}{}, Freed: map[nfq.Addr]struct{}{},
	}
}

// FlowsToCut adds to f the connections that may have been left open since the last call. It
// waits until the kernel has all changes of its sets.
func (e *Engine) FlowsToCut(f Flows, now Time) {
	if !e.flowsDue {
		return
	}
	// A lock may just have collected changes that the kernel does not have yet. A
	// connection that came up for a new look before the kernel shows it would be accepted
	// again.
	e.flushSets()
	if e.handed != e.taken {
		return // OnCut is called again by SetsTaken
	}
	e.flowsDue = false
	for i := range e.standing {
		if s := &e.standing[i]; s.lookDue {
			f.Hosts[s.addr], s.lookDue = struct{}{}, false
		}
	}
	for i := range e.addrs {
		a := &e.addrs[i]
		if a.used && a.lookDue && e.hosts[a.host].client == none {
			f.Hosts[a.addr], a.lookDue = struct{}{}, false
		}
		if a.used && a.freeDue {
			f.Freed[a.addr], a.freeDue = struct{}{}, false
		}
	}
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used || !c.flowsDue {
			continue
		}
		c.flowsDue = false
		for _, s := range e.hosts[c.host].addrs {
			if s != none && now >= e.addrs[s].contested {
				e.clientFlowsToCut(f, c, s)
			}
		}
	}
}

// clientFlowsToCut adds the connections of a client at one of its addresses.
func (e *Engine) clientFlowsToCut(f Flows, c *client, s int32) {
	a, h := &e.addrs[s].addr, &e.hosts[c.host]
	ports := f.Ports
	if e.lockMarks(c) {
		ports = f.MarkPorts
	}
	if c.locked {
		if e.addrs[s].lookDue {
			f.Hosts[*a] = struct{}{}
		}
		for _, port := range c.own {
			if port == 0 {
				continue
			}
			if c.selective {
				ports[nfq.HostPort{Addr: *a, Proto: nfq.ProtoUDP, Port: port}] = struct{}{}
			}
			ports[nfq.HostPort{Addr: *a, Proto: nfq.ProtoTCP, Port: port}] = struct{}{}
		}
	}
	e.cutPortsOf(a, func(port uint16) {
		ports[nfq.HostPort{Addr: *a, Proto: nfq.ProtoUDP, Port: port}] = struct{}{}
	})
	e.addrs[s].lookDue = false
	for j := range c.peers.peers[:c.peers.n] {
		p, pairs := &c.peers.peers[j], f.Pairs
		if h.marks(int(p.protocol)) {
			pairs = f.MarkPairs
		}
		if p.addr.Is4() == a.Is4() && p.cutUntil != 0 && p.byAddress() {
			pairs[nfq.Pair{LAN: *a, WAN: p.addr}] = struct{}{}
		}
	}
}
