// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

// touchedPeers counts the cells that a search for a client's peer visits. It walks as
// peerTable.get does.
func touchedPeers(t *peerTable, a *nfq.Addr, hash uint32) int {
	n := 1
	for i := hash & peerMask; ; i = (i + 1) & peerMask {
		if c := t.cells[i]; c == 0 || t.hashes[c-1] == hash && t.peers[c-1].addr == *a {
			return n
		}
		n++
	}
}

// walk adds up searches.
type walk struct{ searches, cells, longest int }

func (w *walk) add(cells int) {
	w.searches++
	w.cells += cells
	w.longest = max(w.longest, cells)
}

// check requires searches as short as in half-full tables with linear probing: on average
// 1.5 cells if the key is there and 2.5 if not (Knuth, volume 3, 6.4), with a margin.
func (w *walk) check(t *testing.T, what string, average float64, longest int) {
	t.Helper()
	mean := float64(w.cells) / float64(w.searches)
	if mean > average || w.longest > longest {
		t.Errorf("%s: %.2f cells on average and %d at most, in %d searches; want at most %.1f and %d",
			what, mean, w.longest, w.searches, average, longest)
	}
}

// TestFullTablesAreSearchedInAFewCells fills every table with consecutive addresses, as
// networks have them, and counts the cells that a search visits.
func TestFullTablesAreSearchedInAFewCells(t *testing.T) {
	e, now := benchEngine(DefaultMaxClients, MaxPeers)
	hosts := DefaultMaxClients * hostsPerClient
	for i := range hosts { // the other hosts, each with as many addresses as it may have
		for j := range addrsPerHost {
			p := benchTCP(i, 1, nfq.SYN, nil)
			p.Src = nfq.AddrFrom4([4]byte{192, 168, 1, byte(j)})
			if j > 0 {
				p.Src = nfq.Addr{0x20, 1, 0xd, 0xb8, 0, 1, 14: byte(i), 15: byte(j)}
			} else if i < DefaultMaxClients {
				p.Src = benchClient(i)
			} else {
				p.Src = nfq.Addr{0x20, 1, 0xd, 0xb8, 0, 1, 13: 1, 14: byte(i), 15: byte(j)}
			}
			e.Packet(p, now)
			now++
		}
	}
	if n, locked := e.Len(); n != DefaultMaxClients || locked != n || len(e.freeHosts) != 0 || len(e.freeAddrs) != 0 {
		t.Fatalf("%d clients, %d locked, %d hosts and %d addresses free: the tables are not full", n, locked, len(e.freeHosts), len(e.freeAddrs))
	}
	var host, addr, peer, noHost, noAddr, noPeer walk
	for i := range e.hosts {
		h := &e.hosts[i]
		host.add(e.hostIndex.Cells(&h.key, h.hash))
		k := hostKey{mac: nfq.MAC{2, 2, 0, 0, byte(i >> 8), byte(i)}}
		noHost.add(e.hostIndex.Cells(&k, e.hashKey(&k)))
	}
	for i := range e.addrs {
		a := &e.addrs[i]
		addr.add(e.addrIndex.Cells(&a.addr, a.hash))
		other := nfq.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		noAddr.add(e.addrIndex.Cells(&other, e.hash.addr(&other)))
	}
	for i := range e.clients {
		c := &e.clients[i]
		if c.peers.n != MaxPeers {
			t.Fatalf("client %d has %d peers", i, c.peers.n)
		}
		for j := range c.peers.peers {
			p := &c.peers.peers[j]
			peer.add(touchedPeers(&c.peers, &p.addr, e.hash.addr(&p.addr)))
			other := benchPeer(5000 + j)
			noPeer.add(touchedPeers(&c.peers, &other, e.hash.addr(&other)))
		}
	}
	host.check(t, "a host", 2, 16)
	addr.check(t, "an address", 2, 40)
	peer.check(t, "a peer", 2, 24)
	noHost.check(t, "a host that is not there", 3.5, 24)
	noAddr.check(t, "an address that is not there", 3.5, 60)
	noPeer.check(t, "a peer that is not there", 3.5, 40)
}
