// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

const (
	// hostsPerClient is how many LAN hosts are remembered for each place
	// in the client table.
	hostsPerClient = 4
	// addrsPerHost is how many addresses one host may have: IPv4 and
	// several of IPv6, of which new ones are made up each day.
	addrsPerHost = 16
	// synsPerHost is how many of a host's last connection attempts are
	// remembered.
	synsPerHost = 64
	// ownership is how long an address belongs to the MAC that used it
	// last. Another MAC that uses it within this time is a forgery, or
	// makes the address contested.
	ownership = 5 * time.Minute
	// sharing is how long a MAC is taken for that of several hosts, from when two
	// of its IPv4 addresses were used by turns last.
	sharing = 15 * time.Minute
	// hostsPerMAC is how many hosts one MAC may stand for.
	hostsPerMAC = 32
	// A host is young for so long. When the table is full, the young give way first:
	// addresses that somebody makes up are all new.
	youth = time.Minute
	// What one host may cause: so much at once, and so much a second. Changes are those
	// of the kernel's sets.
	changesAtOnce, changesPerSecond = 512, 16
	eventsAtOnce, eventsPerSecond   = 512, 4
	// roundsAtOnce and roundsPerSecond bound the rounds of questions to all hosts:
	// those that somebody makes up are many.
	roundsAtOnce, roundsPerSecond = 64, 16
)

// budget bounds how often something may be caused.
type budget struct {
	used uint16
	at   seconds // when it was counted
}

// take reports whether it may be caused n times more, and counts that. There may be
// less left than n, but something has to be.
//
//go:noinline
func (b *budget) take(n, atOnce, perSecond int, now seconds) bool {
	if passed := now - b.at; passed > 0 {
		b.used -= uint16(min(uint64(b.used), uint64(passed)*uint64(perSecond)))
		b.at = now
	}
	if int(b.used) >= atOnce {
		return false
	}
	b.used += uint16(n)
	return true
}

// hostKey identifies a LAN host: by its MAC where the address is on link and the MAC is
// one host's alone, else by its address. A host is then locked on IPv4 and IPv6 alike,
// and a forged source address does not touch the address's owner. Behind a repeater, or
// another router, each address is a host.
type hostKey struct {
	mac  nfq.MAC
	addr nfq.Addr // only when mac is zero
}

func (e *Engine) hashKey(k *hostKey) uint32 {
	if k.mac.IsZero() {
		return e.hash.addr(&k.addr)
	}
	return e.hash.mac(&k.mac)
}

// syn is one connection attempt.
type syn struct {
	dst          nfq.Addr
	sport, dport uint16
	seq          uint32
	when         Time
	decided      Time // when the beginning of its connection was let pass; 0: not yet
	hidden       bool // that looked random
}

// host is a LAN host that was seen, P2P or not.
type host struct {
	_        [0]func() // not to be compared: the code for it costs flash
	key      hostKey
	hash     uint32
	client   int32 // slot in Engine.clients, or none
	used     bool
	lastSeen Time
	via      nfq.MAC             // with which its packets come
	shared   Time                // until then at least its MAC stands for several hosts; 0: it does not
	sharedBy uint32              // hash of the address of IPv4 that a shared MAC was used with last
	last     int32               // slot of the address that was used last, or none
	last4    int32               // the same of IPv4
	flows    uint16              // connections of it that are being looked at
	changes  budget              // of the kernel's sets
	events   budget              // of its connections and peers
	born     Time                // when it was entered
	doubtful Time                // until then it is not sure by which router its packets come
	addrs    [addrsPerHost]int32 // slots in Engine.addrs, or none
	device   uint32              // interface index that it was seen on last
	decided  uint32              // when modes was, see policy.go
	modes    modes
	suspicion
	syns  [synsPerHost]syn
	nsyns uint32 // how many were ever recorded
	// served are the TCP ports at which the host answered the outside lately, the newest
	// first, as far as that is shown.
	served [servedPorts]uint16
}

// hostAddr is one address and the host that owns it.
type hostAddr struct {
	_         [0]func() // not to be compared: the code for it costs flash
	addr      nfq.Addr
	hash      uint32
	host      int32
	used      bool
	lookDue   bool // connections of it are to be looked at anew
	freeDue   bool // connections of it that were marked are to be so no more
	inKernel  bool // the kernel's sets may have it
	lastSeen  Time
	contested Time // until then the kernel's sets are not used for it
	// The kernel shows what it says by TCP from the one on and until the other.
	watchFrom, watchUntil Time
}

// hostOf returns the host that sent p, entering it when it is new. It returns nil for
// a source that cannot be one of the device's hosts: nothing is done by its address.
func (e *Engine) hostOf(p *nfq.Packet, d *Device, now Time) *host {
	onLink := d.onLink(&p.Src)
	if !onLink && !d.behind(&p.Src) {
		return nil
	}
	var k hostKey
	if onLink && !p.MAC.IsZero() {
		k.mac = p.MAC
	} else {
		k.addr = p.Src
	}
	h := e.hostBy(&k, p, now)
	if h != nil && h.shared != 0 {
		h = e.hostBy(&hostKey{addr: p.Src}, p, now)
	}
	if h == nil {
		return nil
	}
	if h.device != d.Index {
		h.device = d.Index
		h.decided = outdated
	}
	if h.decided != e.decided {
		e.refit(h)
	}
	return h
}

// addrsOf is how many addresses the host has.
//
//go:noinline
func addrsOf(h *host) (n int) {
	for _, s := range h.addrs {
		if s != none {
			n++
		}
	}
	return n
}

// owns reports whether the address is the host's, as far as is known: not one that
// another host uses as well. Only to such an address anything is sent.
func (e *Engine) owns(h *host, a *nfq.Addr) bool { return e.hostAt(a) == h }

// hostBy returns the host with a key, which sent p, entering it when it is new.
func (e *Engine) hostBy(k *hostKey, p *nfq.Packet, now Time) *host {
	hash := e.hashKey(k)
	slot := e.hostIndex.Get(*k, hash)
	if slot == none {
		slot = e.adopt(k, hash, &p.Src)
	}
	if slot == none {
		if slot = e.newHost(*k, hash, &p.MAC, now); slot == none {
			return nil
		}
	}
	h := &e.hosts[slot]
	if h.via != p.MAC {
		if !h.via.IsZero() {
			h.doubtful = now.After(ownership)
		}
		h.via = p.MAC
	}
	h.lastSeen = now
	e.hostLRU.Touch(slot)
	if h.shared != 0 {
		e.staysShared(h, &p.Src, now)
	}
	if h.shared == 0 {
		e.useAddr(slot, h, &p.Src, now)
	}
	return h
}

// staysShared notes that the shared MAC of h was used with the address. When that was
// one and the same address of IPv4 for long, the MAC is one host's again: as soon as none
// of those that it stood for is a client.
func (e *Engine) staysShared(h *host, src *nfq.Addr, now Time) {
	if src.Is4() {
		if x := e.hash.addr(src); x != h.sharedBy {
			h.sharedBy, h.shared = x, now.After(sharing)
		}
	}
	if now < h.shared {
		return
	}
	for i := range e.hosts {
		if o := &e.hosts[i]; o.used && o.via == h.key.mac && o.key.mac.IsZero() && o.client != none {
			h.shared = now.After(sharing)
			return
		}
	}
	for i := range e.hosts {
		if o := &e.hosts[i]; o.used && o.via == h.key.mac && o.key.mac.IsZero() {
			e.dropHost(int32(i))
		}
	}
	h.shared, h.sharedBy = 0, 0
}

// share records that the host's MAC stands for several hosts: from now on each address
// is one. What is known of the host goes with the address that it was recognised by. It
// reports false when there is no place for that: the client is forgotten then.
func (e *Engine) share(h *host, now Time) bool {
	mac := h.key.mac
	slot := e.slotOf(h)
	e.hostLRU.Touch(slot) // it is not to give way to what follows
	for i, s := range h.addrs {
		if s != none {
			e.disown(s)
			h.addrs[i] = none
		}
	}
	h.last, h.last4 = none, none
	h.shared = now.After(sharing)
	client, suspected := h.client, h.suspicion
	h.client, h.suspicion = none, suspicion{} // nobody is asked as it any more
	if client == none {
		return true
	}
	c := &e.clients[client]
	k := hostKey{addr: c.addr}
	hash := e.hashKey(&k)
	to := e.hostIndex.Get(k, hash)
	if to == none {
		to = e.newHost(k, hash, &mac, now)
	}
	if to == none || e.hosts[to].client != none {
		h.client = client // for a moment, to be forgotten whole
		e.forget(client)
		return false
	}
	n := &e.hosts[to]
	n.via, n.lastSeen, n.suspicion, n.modes = mac, now, suspected, h.modes
	n.client, c.host, c.mac, c.kernelUntil = client, to, nfq.MAC{}, 0
	e.useAddr(to, n, &c.addr, now)
	e.lockInKernel(c)
	return true
}

// mayChange reports whether the host may cause n more changes of the kernel's sets. A
// flood of made-up peers or addresses must not have the kernel do nothing else.
func (e *Engine) mayChange(h *host, n int, now Time) bool {
	ok := h.changes.take(n, changesAtOnce, changesPerSecond, e.seconds(now))
	if !ok {
		e.Counters.Withheld++
	}
	return ok
}

// emitOf emits an event of a connection or a peer of the host, if it has not caused too
// many.
//
//go:noinline
func (e *Engine) emitOf(h *host, ev Event) {
	switch {
	case e.OnEvent == nil:
	case h.events.take(1, eventsAtOnce, eventsPerSecond, e.seconds(e.now)):
		e.emit(ev)
	default:
		e.Counters.Withheld++
	}
}

// hostAt returns the host that owns the address, or nil.
func (e *Engine) hostAt(a *nfq.Addr) *host {
	if s := e.addrIndex.Get(*a, e.hash.addr(a)); s != none {
		return &e.hosts[e.addrs[s].host]
	}
	return nil
}

// unmet reports whether nothing has come from the host itself yet: it is known by its
// address alone, from the connection table or from a packet to it.
//
//go:noinline
func (e *Engine) unmet(slot int32) bool {
	h := &e.hosts[slot]
	return h.key.mac.IsZero() && h.via.IsZero() && h.client == none
}

// meet takes what is known of an unmet host for the host h, which it is.
//
//go:noinline
func (e *Engine) meet(h *host, slot int32) {
	if h.suspicion.first == 0 {
		h.suspicion = e.hosts[slot].suspicion // it was asked as that
	}
	e.dropHost(slot)
}

// adopt gives a MAC to a host that was known by its address alone, as one is
// that was first met in a packet from outside.
func (e *Engine) adopt(k *hostKey, hash uint32, src *nfq.Addr) int32 {
	if k.mac.IsZero() {
		return none
	}
	old := hostKey{addr: *src}
	oldHash := e.hashKey(&old)
	slot := e.hostIndex.Get(old, oldHash)
	if slot == none {
		return none
	}
	h := &e.hosts[slot]
	if !e.unmet(slot) { // it is one of several behind its MAC
		return none
	}
	e.hostIndex.Remove(old, oldHash)
	e.hostIndex.Put(*k, hash, slot)
	h.key, h.hash = *k, hash
	h.decided = outdated
	return slot
}

// newHost takes a free place, or that of the host without a client that was
// silent longest: one with the same MAC, if there are many of those, else a young one.
func (e *Engine) newHost(k hostKey, hash uint32, via *nfq.MAC, now Time) int32 {
	slot := int32(none)
	if k.mac.IsZero() && !via.IsZero() {
		if s := e.crowded(via); s != none {
			if e.hosts[s].client != none {
				return none
			}
			e.dropHost(s)
		}
	}
	if n := len(e.freeHosts); n > 0 {
		slot = e.freeHosts[n-1]
		e.freeHosts = e.freeHosts[:n-1]
	} else {
		s := e.unneeded(now)
		if s == none {
			return none
		}
		e.dropHost(s)
		slot = e.freeHosts[len(e.freeHosts)-1]
		e.freeHosts = e.freeHosts[:len(e.freeHosts)-1]
		e.Counters.HostsEvicted++
	}
	h := &e.hosts[slot]
	h.key, h.hash, h.client, h.used, h.nsyns, h.last = k, hash, none, true, 0, none
	h.served = [servedPorts]uint16{}
	h.via, h.shared, h.sharedBy, h.last4, h.flows = *via, 0, 0, none, 0
	h.changes, h.events, h.born, h.doubtful = budget{}, budget{}, now, 0
	h.suspicion, h.device, h.modes, h.decided = suspicion{}, 0, e.defaults, outdated
	for i := range h.addrs {
		h.addrs[i] = none
	}
	e.hostIndex.Put(k, hash, slot)
	e.hostLRU.Push(slot)
	return slot
}

// unneeded returns the host that gives way to another, or none.
func (e *Engine) unneeded(now Time) int32 {
	found := int32(none)
	for s := e.hostLRU.Oldest(); s != none; s = e.hostLRU.Newer(s) {
		h := &e.hosts[s]
		if h.client != none {
			continue
		}
		if h.young(now) || now.Since(h.lastSeen) > ownership {
			return s
		}
		if found == none {
			found = s
		}
	}
	return found
}

// young reports whether the host was entered a moment ago.
func (h *host) young(now Time) bool { return now.Since(h.born) < youth }

// crowded returns the host that gives way when a MAC already stands for as many as it
// may, or none. It looks at all hosts: a new one is rare, or a flood's.
func (e *Engine) crowded(via *nfq.MAC) int32 {
	n, oldest := 0, int32(none)
	for i := range e.hosts {
		h := &e.hosts[i]
		if !h.used || h.via != *via || !h.key.mac.IsZero() {
			continue
		}
		n++
		if oldest == none || h.client == none && (e.hosts[oldest].client != none || h.lastSeen < e.hosts[oldest].lastSeen) {
			oldest = int32(i)
		}
	}
	if n < hostsPerMAC {
		return none
	}
	return oldest
}

func (e *Engine) dropHost(slot int32) {
	h := &e.hosts[slot]
	for s := e.flows.lru.Oldest(); h.flows > 0 && s != none; {
		next := e.flows.lru.Newer(s)
		if e.flows.flows[s].owner == slot {
			e.endFlowAt(s)
		}
		s = next
	}
	for i, s := range h.addrs {
		if s != none {
			e.dropAddr(s)
			h.addrs[i] = none
		}
	}
	e.hostIndex.Remove(h.key, h.hash)
	e.hostLRU.Remove(slot)
	h.used = false
	e.freeHosts = append(e.freeHosts, slot)
}

func (e *Engine) dropAddr(slot int32) {
	a := &e.addrs[slot]
	e.addrIndex.Remove(a.addr, a.hash)
	a.used = false
	e.freeAddrs = append(e.freeAddrs, slot)
}

// useAddr notes that host h uses the address.
func (e *Engine) useAddr(slot int32, h *host, src *nfq.Addr, now Time) {
	if h.last != none {
		if a := &e.addrs[h.last]; a.addr == *src {
			a.lastSeen = now
			e.settle(h, a, now)
			return
		}
	}
	hash := e.hash.addr(src)
	s := e.addrIndex.Get(*src, hash)
	if s != none {
		a := &e.addrs[s]
		if a.host != slot {
			switch {
			case e.unmet(a.host) && !h.key.mac.IsZero():
				e.meet(h, a.host)
			case now.Since(a.lastSeen) < ownership:
				e.contest(a, now)
				return
			default:
				e.disown(s)
			}
			e.ownAddr(slot, h, src, hash, now)
			return
		}
		if src.Is4() && !h.key.mac.IsZero() && h.last4 != s && h.last4 != none && now.Since(a.lastSeen) < ownership {
			e.share(h, now) // this address, then another, then this again
			return
		}
		a.lastSeen = now
		h.last = s
		if src.Is4() {
			h.last4 = s
		}
		e.settle(h, a, now)
		return
	}
	if src.Is4() && !h.key.mac.IsZero() && h.client != none && h.last4 != none {
		// A client that moves is found again in a moment. Another host behind the same
		// repeater must not be taken for it.
		e.share(h, now)
		return
	}
	e.ownAddr(slot, h, src, hash, now)
}

// claimAddr gives the host an address that the kernel knows to be its own, if another
// host had it: a lease may go from one to another within minutes.
func (e *Engine) claimAddr(slot int32, h *host, a *nfq.Addr, now Time) {
	hash := e.hash.addr(a)
	if s := e.addrIndex.Get(*a, hash); s == none || e.addrs[s].host != slot {
		if s != none {
			e.disown(s)
		}
		e.ownAddr(slot, h, a, hash, now)
	}
}

// contest records that two hosts use one address. Whose it is cannot be known
// here, so that nothing is done by the address alone for a while.
func (e *Engine) contest(a *hostAddr, now Time) {
	e.Counters.Forged++
	if now >= a.contested {
		owner := &e.hosts[a.host]
		if owner.client != none {
			e.uncutAddr(&e.clients[owner.client], a)
		}
		if e.toldForged.take(1, 1, 1, e.seconds(now)) {
			e.emit(Event{Class: ClassTable, What: EventForged, Client: a.addr, MAC: owner.via})
		}
	}
	a.contested = now.After(2 * ownership)
}

// settle ends the contest for an address when its time is over: what the kernel let
// go of is cut again.
func (e *Engine) settle(h *host, a *hostAddr, now Time) {
	if a.contested == 0 || now < a.contested {
		return
	}
	a.contested = 0
	e.cutAddr(h, a, now)
}

// cutAddr has the kernel cut what it has to of an address that is the host's from
// now on.
func (e *Engine) cutAddr(h *host, a *hostAddr, now Time) {
	if h.client == none {
		return
	}
	c := &e.clients[h.client]
	if !c.locked || !e.mayChange(h, 1+e.cutsOf(c, a, now), now) {
		return
	}
	a.inKernel = true
	e.cutAll(c, &a.addr, now)
	e.lockAddr(c, a)
	a.lookDue = true
	e.cutFlows(c)
}

// disown takes the address from the host that had it.
func (e *Engine) disown(slot int32) {
	h := &e.hosts[e.addrs[slot].host]
	h.decided = outdated
	for i, s := range h.addrs {
		if s == slot {
			h.addrs[i] = none
		}
	}
	if h.last == slot {
		h.last = none
	}
	if h.last4 == slot {
		h.last4 = none
	}
	if h.client != none {
		e.uncutAddr(&e.clients[h.client], &e.addrs[slot])
	}
	e.dropAddr(slot)
}

// ownAddr gives the host one more address, in place of its oldest when it has
// too many.
func (e *Engine) ownAddr(slot int32, h *host, src *nfq.Addr, hash uint32, now Time) {
	place, oldest := none, Time(1<<62)
	for i, s := range h.addrs {
		if s == none {
			place = i
			break
		}
		if e.addrs[s].lastSeen < oldest {
			place, oldest = i, e.addrs[s].lastSeen
		}
	}
	if s := h.addrs[place]; s != none {
		e.disown(s)
	}
	// There is a place for every host's every address.
	n := len(e.freeAddrs) - 1
	s := e.freeAddrs[n]
	e.freeAddrs = e.freeAddrs[:n]
	e.addrs[s] = hostAddr{addr: *src, hash: hash, host: slot, used: true, lastSeen: now}
	e.addrIndex.Put(*src, hash, s)
	h.addrs[place], h.last = s, s
	h.decided = outdated
	if src.Is4() {
		h.last4 = s
	}
	e.cutAddr(h, &e.addrs[s], now)
}

// remember records a connection attempt.
func (h *host) remember(p *nfq.Packet, now Time) {
	// A retransmission of the latest is no news.
	if h.nsyns > 0 {
		l := &h.syns[(h.nsyns-1)%synsPerHost]
		if l.seq == p.Seq && l.dst == p.Dst && l.sport == p.SrcPort && l.dport == p.DstPort {
			return
		}
	}
	h.syns[h.nsyns%synsPerHost] = syn{dst: p.Dst, sport: p.SrcPort, dport: p.DstPort, seq: p.Seq, when: now}
	h.nsyns++
}

// attempt returns the remembered attempt that opened the connection with the key, or nil.
func (h *host) attempt(k *flowKey) *syn {
	for i := uint32(0); i < min(h.nsyns, synsPerHost); i++ {
		s := &h.syns[(h.nsyns-1-i)%synsPerHost]
		if s.sport == k.lport && s.dport == k.wport && s.dst == k.wan {
			return s
		}
	}
	return nil
}

// forgets reports whether the host opens so many connections that some of the last half
// minute are not remembered.
func (h *host) forgets(now Time) bool {
	return h.nsyns >= synsPerHost && now.Since(h.syns[h.nsyns%synsPerHost].when) < conductTime
}

// servedPorts is how many ports are remembered at which a host serves others.
const servedPorts = 8

// serve notes that the host has answered who connected to its port.
func (h *host) serve(port uint16) { putFirst(h.served[:], portAt(h.served[:], port), port) }

// serves reports whether the host serves others at its port.
func (h *host) serves(port uint16) bool { return slices.Contains(h.served[:], port) }

// recent calls f for the remembered attempts since t, newest first, until it
// returns false.
func (h *host) recent(t Time, f func(s *syn) bool) {
	for i := uint32(0); i < min(h.nsyns, synsPerHost); i++ {
		s := &h.syns[(h.nsyns-1-i)%synsPerHost]
		if s.when < t || !f(s) {
			return
		}
	}
}
