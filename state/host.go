// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
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
	// of its IPv4 addresses were used by turns.
	sharing = 15 * time.Minute
	// hostsPerMAC is how many hosts one MAC may stand for.
	hostsPerMAC = 32
	// changesPerHost and changesPerSecond bound what one host makes change in the
	// kernel's sets: so much at once, and so much a second.
	changesPerHost, changesPerSecond = 512, 16
)

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
}

// host is a LAN host that was seen, P2P or not.
type host struct {
	key      hostKey
	hash     uint32
	client   int32 // slot in Engine.clients, or none
	used     bool
	lastSeen Time
	via      nfq.MAC             // with which its packets come
	shared   Time                // until then its MAC stands for several hosts
	last     int32               // slot of the address that was used last, or none
	last4    int32               // the same of IPv4
	flows    uint16              // connections of it that are being looked at
	changes  uint16              // of the kernel's sets, lately
	changed  seconds             // when they were counted
	addrs    [addrsPerHost]int32 // slots in Engine.addrs, or none
	suspicion
	syns  [synsPerHost]syn
	nsyns uint32 // how many were ever recorded
}

// hostAddr is one address and the host that owns it.
type hostAddr struct {
	addr      nfq.Addr
	hash      uint32
	host      int32
	used      bool
	siftDue   bool // unknown connections may be left from before it was sifted
	lastSeen  Time
	contested Time // until then the kernel's sets are not used for it
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
	if h != nil && now < h.shared {
		h = e.hostBy(&hostKey{addr: p.Src}, p, now)
	}
	return h
}

// hostBy returns the host with a key, which sent p, entering it when it is new.
func (e *Engine) hostBy(k *hostKey, p *nfq.Packet, now Time) *host {
	hash := e.hashKey(k)
	slot := e.hostIndex.get(*k, hash)
	if slot == none {
		slot = e.adopt(k, hash, &p.Src)
	}
	if slot == none {
		if slot = e.newHost(*k, hash, &p.MAC); slot == none {
			return nil
		}
	}
	h := &e.hosts[slot]
	h.lastSeen, h.via = now, p.MAC
	e.hostLRU.touch(slot)
	if now >= h.shared {
		e.useAddr(slot, h, &p.Src, now)
	}
	return h
}

// share records that the host's MAC stands for several hosts: from now on each address
// is one. What is known of the host goes with the address that it was recognised by.
func (e *Engine) share(h *host, now Time) {
	mac := h.key.mac
	slot := e.slotOf(h)
	for i, s := range h.addrs {
		if s != none {
			e.disown(s)
			h.addrs[i] = none
		}
	}
	h.last, h.last4 = none, none
	h.shared = now.After(sharing)
	client := h.client
	h.client = none
	if client == none {
		return
	}
	c := &e.clients[client]
	if e.sets != nil && c.locked {
		e.sets.Unlock(mac, c.addr)
		e.sets.Unsift(mac, nfq.Addr{})
	}
	k := hostKey{addr: c.addr}
	hash := e.hashKey(&k)
	to := e.hostIndex.get(k, hash)
	if to == none {
		if to = e.newHost(k, hash, &mac); to == none || to == slot {
			to = none
		}
	}
	if to == none || e.hosts[to].client != none {
		h.client = client // for a moment, to be forgotten whole
		e.forget(client)
		return
	}
	n := &e.hosts[to]
	n.via, n.lastSeen, n.suspicion = mac, now, h.suspicion
	n.client, c.host, c.mac, c.kernelUntil = client, to, nfq.MAC{}, 0
	e.useAddr(to, n, &c.addr, now)
	e.lockInKernel(c)
}

// mayChange reports whether the host may cause one more change of the kernel's sets. A
// flood of made-up peers or addresses must not have the kernel do nothing else.
func (h *host) mayChange(now Time) bool {
	t := now.seconds()
	if passed := uint32(t - h.changed); passed > 0 {
		h.changes -= uint16(min(uint32(h.changes), passed*changesPerSecond))
		h.changed = t
	}
	if h.changes >= changesPerHost {
		return false
	}
	h.changes++
	return true
}

// hostAt returns the host that owns the address, or nil.
func (e *Engine) hostAt(a *nfq.Addr) *host {
	if s := e.addrIndex.get(*a, e.hash.addr(a)); s != none {
		return &e.hosts[e.addrs[s].host]
	}
	return nil
}

// adopt gives a MAC to a host that was known by its address alone, as one is
// that was first met in a packet from outside.
func (e *Engine) adopt(k *hostKey, hash uint32, src *nfq.Addr) int32 {
	if k.mac.IsZero() {
		return none
	}
	old := hostKey{addr: *src}
	oldHash := e.hashKey(&old)
	slot := e.hostIndex.get(old, oldHash)
	if slot == none {
		return none
	}
	h := &e.hosts[slot]
	if h.client != none || !h.via.IsZero() { // it is one of several behind its MAC
		return none
	}
	e.hostIndex.remove(old, oldHash)
	e.hostIndex.put(*k, hash, slot)
	h.key, h.hash = *k, hash
	return slot
}

// newHost takes a free place, or that of the host without a client that was
// silent longest: one with the same MAC, if there are many of those.
func (e *Engine) newHost(k hostKey, hash uint32, via *nfq.MAC) int32 {
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
		s := e.hostLRU.oldest()
		for i := 0; s != none && e.hosts[s].client != none; i++ {
			s = e.hostLRU.newer(s)
		}
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
	h.via, h.shared, h.last4, h.changes, h.flows = *via, 0, none, 0, 0
	h.suspicion = suspicion{}
	for i := range h.addrs {
		h.addrs[i] = none
	}
	e.hostIndex.put(k, hash, slot)
	e.hostLRU.push(slot)
	return slot
}

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
	for s := e.flows.lru.oldest(); h.flows > 0 && s != none; {
		next := e.flows.lru.newer(s)
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
	e.hostIndex.remove(h.key, h.hash)
	e.hostLRU.remove(slot)
	h.used = false
	e.freeHosts = append(e.freeHosts, slot)
}

func (e *Engine) dropAddr(slot int32) {
	a := &e.addrs[slot]
	e.addrIndex.remove(a.addr, a.hash)
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
	s := e.addrIndex.get(*src, hash)
	if s != none {
		a := &e.addrs[s]
		if a.host != slot {
			if now.Since(a.lastSeen) < ownership {
				e.contest(a, now)
				return
			}
			e.disown(s)
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

// contest records that two hosts use one address. Whose it is cannot be known
// here, so that nothing is done by the address alone for a while.
func (e *Engine) contest(a *hostAddr, now Time) {
	e.Counters.Forged++
	if now >= a.contested {
		if owner := &e.hosts[a.host]; owner.client != none {
			e.uncutAddr(&e.clients[owner.client], &a.addr)
			e.unsiftAddr(&e.clients[owner.client], &a.addr)
		}
		e.emit(Event{Class: ClassTable, What: EventForged, Client: a.addr, MAC: e.hosts[a.host].key.mac})
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
	if !c.locked || !h.mayChange(now) {
		return
	}
	e.cutAll(c, &a.addr, now)
	e.siftAddr(c, &a.addr)
	a.siftDue = true
	e.cutFlows(c)
}

// disown takes the address from the host that had it.
func (e *Engine) disown(slot int32) {
	h := &e.hosts[e.addrs[slot].host]
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
		e.uncutAddr(&e.clients[h.client], &e.addrs[slot].addr)
		e.unsiftAddr(&e.clients[h.client], &e.addrs[slot].addr)
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
	e.addrIndex.put(*src, hash, s)
	h.addrs[place], h.last = s, s
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

// attempt returns the remembered attempt that opened the connection of p, or nil.
func (h *host) attempt(p *nfq.Packet) *syn {
	for i := uint32(0); i < min(h.nsyns, synsPerHost); i++ {
		s := &h.syns[(h.nsyns-1-i)%synsPerHost]
		if s.sport == p.SrcPort && s.dport == p.DstPort && s.dst == p.Dst {
			return s
		}
	}
	return nil
}

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
