// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

const (
	// hostsPerClient is how many LAN hosts the engine remembers for each place in the
	// client table.
	hostsPerClient = 4
	// addrsPerHost is how many addresses a host may have: IPv4, and several IPv6 addresses.
	// Hosts make up new IPv6 addresses each day.
	addrsPerHost = 16
	// synsPerHost is how many of a host's last connection attempts are remembered.
	synsPerHost = 64
	// ownership is how long an address belongs to the MAC that last used it. Another MAC
	// that uses it within this time forges it, or makes it contested.
	ownership = 5 * time.Minute
	// sharing is how long a MAC counts as shared by several hosts after two of its IPv4
	// addresses last took turns.
	sharing = 15 * time.Minute
	// hostsPerMAC is how many hosts may share one MAC.
	hostsPerMAC = 32
	// youth is how long a host counts as young. When the table is full, young hosts give
	// way first: made-up addresses are all young.
	youth = time.Minute
	// The limits for one host: so much at once, and so much a second. Changes are changes
	// of the kernel's sets.
	changesAtOnce, changesPerSecond = 512, 16
	eventsAtOnce, eventsPerSecond   = 512, 4
	// roundsAtOnce and roundsPerSecond limit the rounds of questions to all hosts together:
	// somebody may make up many hosts.
	roundsAtOnce, roundsPerSecond = 64, 16
)

// budget limits how often something may happen.
type budget struct {
	used uint16
	at   seconds // when used was last counted
}

// take reports whether it may happen again, and then counts n times. Fewer than n may be
// left, but at least one must be.
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

// hostKey identifies a LAN host. It is the MAC if the address is on link and only one host
// uses the MAC. So a lock covers IPv4 and IPv6, and a forged source address does not harm
// its owner. Otherwise it is the address: behind a repeater or another router each address
// is a host.
type hostKey struct {
	mac  nfq.MAC
	addr nfq.Addr // only if mac is zero
}

func (e *Engine) hashKey(k *hostKey) uint32 {
	if k.mac.IsZero() {
		return e.hash.addr(&k.addr)
	}
	return e.hash.mac(&k.mac)
}

// syn is one connection attempt.
type syn struct {
	_            [0]func() // not comparable: code to compare it costs flash
	dst          nfq.Addr
	sport, dport uint16
	seq          uint32
	when         Time
	decided      Time // when the first data of its connection was accepted; 0: not yet
	hidden       bool // that data looked random
}

// host is a LAN host that was seen, with or without P2P.
type host struct {
	_        [0]func() // not comparable: code to compare it costs flash
	key      hostKey
	hash     uint32
	slot     int32 // its own place in Engine.hosts
	client   int32 // slot in Engine.clients, or none
	used     bool
	lastSeen Time
	via      nfq.MAC             // source MAC of its packets
	shared   Time                // its MAC counts as shared until then or longer; 0: not shared
	sharedBy uint32              // hash of the IPv4 address that the shared MAC last used
	last     int32               // slot of the address used last, or none
	last4    int32               // slot of the IPv4 address used last, or none
	flows    uint16              // number of its connections that are being read
	changes  budget              // budget of changes of the kernel's sets
	events   budget              // budget of events about its connections and peers
	born     Time                // when it was added
	doubtful Time                // until then it is unclear which router sends its packets
	addrs    [addrsPerHost]int32 // slots in Engine.addrs, or none
	device   uint32              // interface index that it was last seen on
	decided  uint32              // the version of the policies that modes follows, see policy.go
	modes    modes
	suspicion
	syns  [synsPerHost]syn
	nsyns uint32 // number of attempts so far
	// served are the TCP ports at which the host recently answered somebody outside, the
	// newest first. The engine sees only some of these answers.
	served [servedPorts]uint16
}

// hostAddr is an address and its owner.
type hostAddr struct {
	_         [0]func() // not comparable: code to compare it costs flash
	addr      nfq.Addr
	hash      uint32
	host      int32
	used      bool
	lookDue   bool // its connections need another look
	freeDue   bool // its marked connections have to lose the mark
	inKernel  bool // the kernel's sets may contain it
	lastSeen  Time
	contested Time // until then it stays out of the kernel's sets
	// Between these moments the kernel passes to the engine what the address sends by TCP.
	watchFrom, watchUntil Time
}

// hostOf returns the host that sent p, and adds it if it is new. It returns nil if the
// source cannot be a host of the device. Then the engine does nothing to that address.
func (e *Engine) hostOf(p *nfq.Packet, d *Device, now Time) *host {
	onLink := d.onLink(&p.Src)
	if !onLink && !d.behind(&p.Src) {
		return nil
	}
	var h *host
	if onLink {
		h = e.sameHost(p, now)
	}
	if h == nil {
		h = e.findHost(p, onLink, now)
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

// sameHost returns the host that sent p if nothing is new about its addresses: it has sent
// from this address before, with this MAC. Nearly all packets are such. Otherwise sameHost
// returns nil.
func (e *Engine) sameHost(p *nfq.Packet, now Time) *host {
	s := e.addrIndex.Get(&p.Src, e.hash.addr(&p.Src))
	if s == none {
		return nil
	}
	a := &e.addrs[s]
	h := &e.hosts[a.host]
	if !h.key.mac.Is(&p.MAC) || !h.via.Is(&p.MAC) {
		return nil
	}
	if h.last != s {
		if h.last4 != s && p.Src.Is4() {
			return nil // it used another IPv4 address
		}
		h.last = s
	}
	h.lastSeen, a.lastSeen = now, now
	e.hostLRU.Touch(a.host)
	e.settle(h, a, now)
	return h
}

// findHost returns the host that sent p, and adds it if it is new. It returns nil if there
// is no place for it.
func (e *Engine) findHost(p *nfq.Packet, onLink bool, now Time) *host {
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
	return h
}

// addrsOf returns the number of the host's addresses.
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

// owns reports whether the host owns the address. The engine sends only to addresses of
// their owner. That another host contests the address changes nothing: a question that
// stays out would end the lock of a client whose address a neighbour forges. An answer
// counts only with the owner's MAC, or after the neighbour table has named the owner.
func (e *Engine) owns(h *host, a *nfq.Addr) bool { return e.hostAt(a) == h }

// hostBy returns the host with key k, which sent p, and adds it if it is new.
func (e *Engine) hostBy(k *hostKey, p *nfq.Packet, now Time) *host {
	hash := e.hashKey(k)
	slot := e.hostIndex.Get(k, hash)
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

// staysShared notes that h's shared MAC used the address. The MAC counts as one host's
// again when it has used the same IPv4 address for long enough, and no client is left among
// the hosts that shared it.
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

// share records that several hosts share the host's MAC: from now on each address is a
// host. What is known about the host moves to the address that was recognised. If there is
// no place for that, share forgets the client and returns false.
func (e *Engine) share(h *host, now Time) bool {
	mac := h.key.mac
	slot := h.slot
	e.hostLRU.Touch(slot) // so that the hosts added below do not displace it
	for i, s := range h.addrs {
		if s != none {
			e.disown(s)
			h.addrs[i] = none
		}
	}
	h.last, h.last4 = none, none
	h.shared = now.After(sharing)
	client, suspected := h.client, h.suspicion
	h.client, h.suspicion = none, suspicion{} // it is not asked any more
	if client == none {
		return true
	}
	c := &e.clients[client]
	k := hostKey{addr: c.addr}
	hash := e.hashKey(&k)
	to := e.hostIndex.Get(&k, hash)
	if to == none {
		to = e.newHost(k, hash, &mac, now)
	}
	if to == none || e.hosts[to].client != none {
		h.client = client // only so that forget finds it
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

// mayChange reports whether the host may cause n more changes of the kernel's sets. It
// stops a flood of made-up peers or addresses from keeping the kernel busy.
func (e *Engine) mayChange(h *host, n int, now Time) bool {
	ok := h.changes.take(n, changesAtOnce, changesPerSecond, e.seconds(now))
	if !ok {
		e.Counters.Withheld++
	}
	return ok
}

// emitOf emits an event about a connection or peer of the host, within the host's limit.
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
	if s := e.addrIndex.Get(a, e.hash.addr(a)); s != none {
		return &e.hosts[e.addrs[s].host]
	}
	return nil
}

// unmet reports whether the host itself has sent nothing yet. Then it is known only from
// the connection table or from a packet to it, by its address alone.
//
//go:noinline
func (e *Engine) unmet(slot int32) bool {
	h := &e.hosts[slot]
	return h.key.mac.IsZero() && h.via.IsZero() && h.client == none
}

// meet moves what is known of an unmet host to h: both are the same host.
//
//go:noinline
func (e *Engine) meet(h *host, slot int32) {
	if h.suspicion.first == 0 {
		h.suspicion = e.hosts[slot].suspicion // it was asked under that address
	}
	e.dropHost(slot)
}

// adopt gives a MAC to a host that was known by its address alone, for example because a
// packet from outside came first. It returns none if there is no such host.
func (e *Engine) adopt(k *hostKey, hash uint32, src *nfq.Addr) int32 {
	if k.mac.IsZero() {
		return none
	}
	old := hostKey{addr: *src}
	oldHash := e.hashKey(&old)
	slot := e.hostIndex.Get(&old, oldHash)
	if slot == none {
		return none
	}
	h := &e.hosts[slot]
	if !e.unmet(slot) { // it is one of several behind its MAC
		return none
	}
	e.hostIndex.Remove(slot, oldHash)
	e.hostIndex.Put(k, hash, slot)
	h.key, h.hash = *k, hash
	h.decided = outdated
	return slot
}

// newHost adds a host in a free place. If there is none, a host without a client gives way:
// see unneeded. If too many hosts share the MAC, one of these gives way.
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
	h.key, h.hash, h.slot, h.client, h.used, h.nsyns, h.last = k, hash, slot, none, true, 0, none
	h.served = [servedPorts]uint16{}
	h.via, h.shared, h.sharedBy, h.last4, h.flows = *via, 0, 0, none, 0
	h.changes, h.events, h.born, h.doubtful = budget{}, budget{}, now, 0
	h.suspicion, h.device, h.modes, h.decided = suspicion{}, 0, e.defaults, outdated
	for i := range h.addrs {
		h.addrs[i] = none
	}
	e.hostIndex.Put(&k, hash, slot)
	e.hostLRU.Push(slot)
	return slot
}

// unneeded returns the host without a client that gives way to another, or none. Young
// hosts, and those silent for longer than ownership, go first. Among these, and among the
// others, it is the one silent longest.
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

// young reports whether the host was added a moment ago.
func (h *host) young(now Time) bool { return now.Since(h.born) < youth }

// crowded returns the host that gives way when too many hosts share the MAC, or none. It
// searches all hosts: new hosts are rare, or part of a flood.
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
	e.hostIndex.Remove(slot, h.hash)
	e.hostLRU.Remove(slot)
	h.used = false
	e.freeHosts = append(e.freeHosts, slot)
}

func (e *Engine) dropAddr(slot int32) {
	a := &e.addrs[slot]
	e.addrIndex.Remove(slot, a.hash)
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
	s := e.addrIndex.Get(src, hash)
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
			e.share(h, now) // the host went from this address to another and back
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
		// A client that changes its address is found again in a moment. But this may be
		// another host behind the same repeater, and must not be mistaken for the client.
		e.share(h, now)
		return
	}
	e.ownAddr(slot, h, src, hash, now)
}

// claimAddr gives the host an address that the kernel's neighbour table says is its own. A
// lease may have passed from another host minutes ago.
func (e *Engine) claimAddr(slot int32, h *host, a *nfq.Addr, now Time) {
	hash := e.hash.addr(a)
	if s := e.addrIndex.Get(a, hash); s == none || e.addrs[s].host != slot {
		if s != none {
			e.disown(s)
		}
		e.ownAddr(slot, h, a, hash, now)
	}
}

// contest records that two hosts use one address. The engine cannot know whose it is. So
// for a while it does nothing on the strength of the address alone.
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

// settle ends the contest for an address when its time is over, and restores its cuts in
// the kernel.
func (e *Engine) settle(h *host, a *hostAddr, now Time) {
	if a.contested == 0 || now < a.contested {
		return
	}
	a.contested = 0
	e.cutAddr(h, a, now)
}

// cutAddr gives the kernel the cuts for an address that is now the host's.
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

// disown takes the address from its host.
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

// ownAddr gives the host another address. If it has too many, its oldest one goes.
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
	// There is always one: the table has room for all addresses of all hosts.
	n := len(e.freeAddrs) - 1
	s := e.freeAddrs[n]
	e.freeAddrs = e.freeAddrs[:n]
	e.addrs[s] = hostAddr{addr: *src, hash: hash, host: slot, used: true, lastSeen: now}
	e.addrIndex.Put(src, hash, s)
	h.addrs[place], h.last = s, s
	h.decided = outdated
	if src.Is4() {
		h.last4 = s
	}
	e.cutAddr(h, &e.addrs[s], now)
}

// remember records a connection attempt. seq is the sequence number of its SYN.
func (h *host) remember(p *nfq.Packet, seq uint32, now Time) {
	// A retransmission of the latest attempt is not a new one.
	if h.nsyns > 0 {
		l := &h.syns[(h.nsyns-1)%synsPerHost]
		if l.seq == seq && l.dst == p.Dst && l.sport == p.SrcPort && l.dport == p.DstPort {
			return
		}
	}
	s := &h.syns[h.nsyns%synsPerHost]
	s.dst, s.sport, s.dport, s.seq, s.when = p.Dst, p.SrcPort, p.DstPort, seq, now
	s.decided, s.hidden = 0, false
	h.nsyns++
}

// attempt returns the remembered attempt that opened the connection, or nil.
func (h *host) attempt(k *flowKey) *syn {
	for i := uint32(0); i < min(h.nsyns, synsPerHost); i++ {
		s := &h.syns[(h.nsyns-1-i)%synsPerHost]
		if s.sport == k.lport && s.dport == k.wport && s.dst == k.wan {
			return s
		}
	}
	return nil
}

// forgets reports whether the host opens so many connections that the engine does not
// remember all of the last half minute.
func (h *host) forgets(now Time) bool {
	return h.nsyns >= synsPerHost && now.Since(h.syns[h.nsyns%synsPerHost].when) < conductTime
}

// servedPorts is how many ports are remembered where a host serves others.
const servedPorts = 8

// serve notes that the host accepted a connection at its port.
func (h *host) serve(port uint16) { putFirst(h.served[:], portAt(h.served[:], port), port) }

// serves reports whether the host serves others at its port.
func (h *host) serves(port uint16) bool { return slices.Contains(h.served[:], port) }

// recent calls f for the remembered attempts since t, newest first, until f returns false.
func (h *host) recent(t Time, f func(s *syn) bool) {
	for i := uint32(0); i < min(h.nsyns, synsPerHost); i++ {
		s := &h.syns[(h.nsyns-1-i)%synsPerHost]
		if s.when < t || !f(s) {
			return
		}
	}
}
