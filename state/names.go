// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	// maxNamed is how many addresses are known by a listed name.
	maxNamed = 256
	// namedLeast and namedMost bound how long an address is; programs go on
	// using one for longer than its name's time to live.
	namedLeast = 10 * time.Minute
	namedMost  = 24 * time.Hour
	dnsPort    = 53
)

// named is what an address stands for.
type named struct {
	protocol uint8
	until    Time
}

// namedKey is such an address, and which host was told so: none in particular when
// it counts for all.
type namedKey struct {
	addr nfq.Addr
	host hostKey
}

// namedTable is the table of such addresses.
type namedTable struct {
	recent[namedKey]
	named []named // by slot
}

func newNamedTable() namedTable {
	return namedTable{newRecent[namedKey](maxNamed), make([]named, maxNamed)}
}

func (t *namedTable) put(k namedKey, hash uint32, protocol int, until Time) {
	slot, isNew := t.take(k, hash)
	if !isNew {
		until = max(until, t.named[slot].until)
	}
	t.named[slot] = named{uint8(protocol), until}
}

// protocol returns the protocol of the address, or none.
func (t *namedTable) protocol(k namedKey, hash uint32, now Time) int {
	if slot := t.get(k, hash); slot != none && now < t.named[slot].until {
		return int(t.named[slot].protocol)
	}
	return none
}

// nameReply reads what a name server answers a LAN host. What the router's own
// says counts for all hosts, because a name stands for the same addresses whoever
// asks. One outside is the choice of the host that asks it: what that says counts
// for this host alone, or it could cut its neighbours off from any address.
func (e *Engine) nameReply(p *nfq.Packet, now Time) {
	if !e.hasNames || !e.dns.Parse(p.Payload) {
		return
	}
	for i := range detect.All {
		cfg := &e.cfg.Protocols[i]
		if cfg.Mode == Off || !cfg.Names.Match(e.dns.Name[:e.dns.N]) {
			continue
		}
		h := e.hostAt(&p.Dst)
		if h != nil && e.exempt(&p.Dst, &h.via, now) {
			h = nil
		}
		var k namedKey
		var salt uint32
		if p.Hook != nfq.HookOutput {
			if h == nil {
				return
			}
			k.host, salt = h.key, h.hash
		}
		ttl := min(max(time.Duration(e.dns.TTL)*time.Second, namedLeast), namedMost)
		for j := range e.dns.Addrs[:e.dns.NAddrs] {
			k.addr = nfq.Addr(e.dns.Addrs[j])
			// An answer must not be able to name the LAN's own.
			if !detect.Plausible(detect.Endpoint{Addr: k.addr, Port: 1}) || e.ours(&k.addr) {
				e.Counters.IgnoredPeers++
				continue
			}
			e.named.put(k, e.hash.addr(&k.addr)^salt, i, now.After(ttl))
		}
		return
	}
}

// namedFor returns the protocol of whose names one stands for the address, as far
// as the host can know, or none.
func (e *Engine) namedFor(h *host, a *nfq.Addr, now Time) int {
	hash := e.hash.addr(a)
	if i := e.named.protocol(namedKey{addr: *a}, hash, now); i != none {
		return i
	}
	return e.named.protocol(namedKey{*a, h.key}, hash^h.hash, now)
}

// wentToNamed deals with a packet to an address that a listed name stands for. It
// reports whether the packet is to be dropped. Anybody can have a host look a name up and
// go there, so that the host is only suspected. And whose name server lies can give any
// address the name: what is served at a port below 1024 stays reachable.
func (e *Engine) wentToNamed(p *nfq.Packet, d *Device, h *host, now Time) bool {
	if e.named.used == 0 || p.DstPort < private {
		return false
	}
	protocol := e.namedFor(h, &p.Dst, now)
	if protocol == none || e.cfg.Protocols[protocol].Mode == Off {
		return false
	}
	e.suspect(h, protocol, detect.ReasonName, &p.Src, d, 0, 0, now)
	// A protocol that has more to be known by shows itself.
	return !detect.All[protocol].Sift && e.cfg.Protocols[protocol].Mode == Block
}
