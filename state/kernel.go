// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// Sets are the kernel's sets. The kernel drops what they contain before it reaches the
// queue. A call only collects a change and never waits; changes that do not fit are lost.
// Both addresses of a pair are of one family.
type Sets interface {
	// Cut makes the kernel drop every packet between the two for d.
	Cut(client, peer nfq.Addr, d time.Duration)
	Uncut(client, peer nfq.Addr)
	// Lock makes the kernel drop the host's TCP SYNs for d.
	Lock(addr nfq.Addr, d time.Duration)
	Unlock(addr nfq.Addr)
	// Own makes the kernel drop what a host sends from a port and what comes to it, by UDP
	// or TCP, for d.
	Own(addr nfq.Addr, proto uint8, port uint16, d time.Duration)
	Disown(addr nfq.Addr, proto uint8, port uint16)
	// Watch makes the kernel queue what a host sends in TCP connections that are not
	// decided yet, whatever their age and whatever connection tracking says of the packet.
	Watch(addr nfq.Addr, d time.Duration)
	Unwatch(addr nfq.Addr)
	// Mark makes the kernel mark, for d, what the other sets would drop of a host.
	Mark(addr nfq.Addr, d time.Duration)
	Unmark(addr nfq.Addr)
	// Flush hands the collected changes over if the writer is idle. It returns the number
	// of the newest batch that was handed over. Engine.SetsTaken must be called when the
	// kernel has that batch.
	Flush() (batch uint64)
	// Room returns how many more changes can be collected.
	Room() int
	// Lost reports whether changes were lost since the last call.
	Lost() bool
}

// watchTime is how long the kernel shows the data of a host without proof.
const watchTime = minute

// setState is what the engine knows about the kernel's sets.
type setState struct {
	// handed is the newest batch that was handed over, taken the newest one that the kernel
	// has.
	handed, taken uint64
	// telling: some changes still have to be sent, beginning with this client and peer.
	telling              bool
	tellClient, tellFrom int
}

// room reports whether n changes can be collected. If not, tell sends them later.
func (e *Engine) room(n int) bool {
	if e.sets == nil || e.sets.Room() >= n {
		return true
	}
	e.tellAgain()
	return false
}

// tellAgain makes tell send everything that the kernel does not know yet.
func (e *Engine) tellAgain() { e.telling, e.tellClient, e.tellFrom = true, 0, 0 }

// flushSets hands the changes over to the writer.
func (e *Engine) flushSets() {
	if e.sets == nil {
		return
	}
	if e.sets.Lost() {
		e.forgetTold()
	}
	if e.telling {
		e.tell()
	}
	e.handed = e.sets.Flush()
}

// forgetTold assumes that the kernel knows nothing about the locked clients.
func (e *Engine) forgetTold() {
	for i := range e.addrs {
		e.addrs[i].watchUntil = 0
	}
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used || !c.locked {
			continue
		}
		c.kernelUntil = 0
		// That all is told again is not the host's doing.
		e.hosts[c.host].changes = budget{}
		for j := range c.peers.peers[:c.peers.n] {
			c.peers.peers[j].cutUntil = 0
		}
	}
	e.tellAgain()
}

// tell sends what the kernel does not know yet, as far as there is room.
func (e *Engine) tell() {
	for ; e.tellClient < len(e.clients); e.tellClient, e.tellFrom = e.tellClient+1, 0 {
		c := &e.clients[e.tellClient]
		if !c.used {
			continue
		}
		if e.sets.Room() < e.elements(c) {
			return
		}
		if c.locked && c.kernelUntil == 0 {
			e.lockInKernel(c)
		}
		for ; e.tellFrom < c.peers.n; e.tellFrom++ {
			if e.sets.Room() < addrsPerHost {
				return
			}
			switch p := &c.peers.peers[e.tellFrom]; {
			case c.locked && p.cutUntil == 0:
				e.cut(&e.hosts[c.host], c, p, e.now)
			case !c.locked && p.cutUntil != 0:
				e.uncut(c, p)
			}
		}
	}
	e.telling = false
}

// SetSets changes the writer of the kernel's sets and sends it everything that is known. It
// is called after the rules were loaded, or after their sets were lost.
func (e *Engine) SetSets(s Sets, now Time) {
	e.now = now
	if s != e.sets {
		e.sets, e.setState = s, setState{}
	}
	for i := range e.clients {
		if c := &e.clients[i]; c.used && c.locked {
			e.lookAnew(c)
		}
	}
	e.forgetTold()
	e.flushSets()
}

// SetsTaken records that the kernel has a batch of changes, or has refused a part of it:
// then err is not nil. s are the sets of that batch. Now connections to be cut can be
// looked for.
func (e *Engine) SetsTaken(s Sets, batch uint64, err error, now Time) {
	if s != e.sets {
		return // these sets are no longer in use
	}
	e.now = now
	e.taken = max(e.taken, batch)
	if err != nil {
		e.Counters.SetErrors++
	}
	e.flushSets()
	if e.flowsDue && e.handed == e.taken && e.OnCut != nil {
		e.OnCut()
	}
}

// lockInKernel makes the kernel lock a client at all addresses that are surely its own.
func (e *Engine) lockInKernel(c *client) {
	if !c.locked || e.sets == nil || c.lockUntil <= e.now {
		return
	}
	if !e.room(e.elements(c)) {
		c.kernelUntil = 0 // tell sends it when there is room
		return
	}
	c.kernelUntil, c.marked = c.lockUntil, e.lockMarks(c)
	for _, s := range e.hosts[c.host].addrs {
		if s != none && e.now >= e.addrs[s].contested {
			e.addrs[s].inKernel = true
			e.lockAddr(c, &e.addrs[s])
		}
	}
}

// lockAddr makes the kernel lock the client at one address.
func (e *Engine) lockAddr(c *client, a *hostAddr) {
	d := c.lockUntil.Since(e.now)
	if e.sets == nil || d <= 0 {
		return
	}
	if e.marking && !e.lockMarks(c) {
		e.sets.Unmark(a.addr)
	}
	e.markFirst(c, a, e.cutTime())
	if c.strict {
		e.sets.Lock(a.addr, d)
	}
	e.watchAddr(a, Time(d))
	for _, port := range c.own {
		if port != 0 {
			e.cutPort(c, &a.addr, port)
		}
	}
	e.cutPortsOf(&a.addr, func(port uint16) { e.sets.Own(a.addr, nfq.ProtoUDP, port, d) })
}

// elements returns how many elements of the kernel's sets a client's lock needs.
func (e *Engine) elements(c *client) int {
	n := 3
	for _, port := range c.own {
		if port != 0 {
			n += 2
		}
	}
	return n*addrsOf(&e.hosts[c.host]) + e.rtc.cuts
}

// unlockInKernel ends the lock in the kernel. If some of these changes are lost, the
// elements still time out with the lock.
func (e *Engine) unlockInKernel(c *client) {
	for _, s := range e.hosts[c.host].addrs {
		if s == none {
			continue
		}
		if e.addrs[s].inKernel {
			e.unlockAddr(c, &e.addrs[s])
		}
		e.uncutPortsOf(&e.addrs[s].addr)
	}
}

// watchOn makes the kernel keep showing what a released client sends: the beginnings of all
// its connections until it is forgotten, and its data for a while. A pair of an address with
// itself is for the former: no packet has that.
func (e *Engine) watchOn(c *client) {
	for _, s := range e.hosts[c.host].addrs {
		if s == none || !e.addrs[s].inKernel || e.sets == nil || !e.room(2) {
			continue
		}
		a := &e.addrs[s]
		e.sets.Cut(a.addr, a.addr, e.cfg.Forget)
		if c.selective { // if it does go on, the engine asks its next connection
			e.watchAddr(a, Time(watchTime))
		}
	}
}

// unlockAddr ends the lock in the kernel for one address.
func (e *Engine) unlockAddr(c *client, a *hostAddr) {
	if e.sets == nil {
		return
	}
	if c.strict {
		e.sets.Unlock(a.addr)
	}
	a.watchUntil = 0
	e.sets.Unwatch(a.addr)
	for _, port := range c.own {
		if port != 0 {
			e.disownPort(c, &a.addr, port)
		}
	}
	e.uncutPortsOf(&a.addr)
	if e.marking {
		e.sets.Unmark(a.addr)
	}
}
