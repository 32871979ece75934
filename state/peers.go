// SPDX-License-Identifier: GPL-2.0-or-later

package state

import "github.com/p2pwall/p2pwall/nfq"

// MaxPeers is how many peers are known for one client. A FastTrack client's cache holds
// 200.
const MaxPeers = 256

// peer is an address that a client revealed. It counts for that client only. Otherwise a
// host could cut its neighbours off from an address by naming it.
type peer struct {
	_        [0]func() // not comparable: code to compare it costs flash
	addr     nfq.Addr
	port     uint16
	protocol uint8
	// suspect: the client only contacted this address in the same burst as its first ping.
	// It counts while the client is locked.
	suspect      bool
	told         bool // the event "found" was emitted
	first, last  seconds
	cutUntil     seconds // when the pair's element in the kernel's set ends
	dropped      uint32
	newer, older uint16 // links of the order of use, slot+1; 0 is the end
}

// peerTable is a fixed table of peers with a hash index and the order of use. clear must be
// called before its first use.
type peerTable struct {
	_              [0]func() // not comparable: code to compare it costs flash
	n              int
	newest, oldest uint16 // slot+1
	cells          [2 * MaxPeers]uint16
	hashes         [MaxPeers]uint32
	peers          [MaxPeers]peer
}

const peerMask = 2*MaxPeers - 1

func (t *peerTable) clear() {
	t.n, t.newest, t.oldest = 0, 0, 0
	t.cells = [2 * MaxPeers]uint16{}
}

// get returns the peer at the address, or nil.
//
//go:noinline
func (t *peerTable) get(a *nfq.Addr, hash uint32) *peer {
	for i := hash & peerMask; ; i = (i + 1) & peerMask {
		c := t.cells[i]
		if c == 0 {
			return nil
		}
		if t.hashes[c-1] == hash && t.peers[c-1].addr == *a {
			return &t.peers[c-1]
		}
	}
}

// add enters a peer that is not in the table. When the table is full, the peer used longest
// ago gives way; add returns a copy of it.
func (t *peerTable) add(a *nfq.Addr, hash uint32) (p *peer, evicted peer, full bool) {
	var s uint16 // slot+1
	if t.n < MaxPeers {
		t.n++
		s = uint16(t.n)
	} else {
		s = t.oldest
		full, evicted = true, t.peers[s-1]
		t.unlink(s)
		t.unindex(s)
	}
	t.peers[s-1] = peer{addr: *a}
	t.hashes[s-1] = hash
	i := hash & peerMask
	for t.cells[i] != 0 {
		i = (i + 1) & peerMask
	}
	t.cells[i] = s
	t.push(s)
	return &t.peers[s-1], evicted, full
}

// touch makes p the newest peer. p must be in this table.
func (t *peerTable) touch(p *peer) {
	if p.newer == 0 { // already
		return
	}
	s := t.slot(p)
	t.unlink(s)
	t.push(s)
}

// remove takes p out. The last peer of the array moves to its slot.
func (t *peerTable) remove(p *peer) {
	s := t.slot(p)
	t.unlink(s)
	t.unindex(s)
	if last := uint16(t.n); s != last {
		i := t.hashes[last-1] & peerMask
		for t.cells[i] != last {
			i = (i + 1) & peerMask
		}
		t.cells[i] = s
		t.hashes[s-1] = t.hashes[last-1]
		t.peers[s-1] = t.peers[last-1]
		m := &t.peers[s-1]
		if m.newer != 0 {
			t.peers[m.newer-1].older = s
		} else {
			t.newest = s
		}
		if m.older != 0 {
			t.peers[m.older-1].newer = s
		} else {
			t.oldest = s
		}
	}
	t.n--
}

func (t *peerTable) slot(p *peer) uint16 {
	if p.newer != 0 {
		return t.peers[p.newer-1].older
	}
	return t.newest
}

func (t *peerTable) push(s uint16) {
	p := &t.peers[s-1]
	p.newer, p.older = 0, t.newest
	if t.newest != 0 {
		t.peers[t.newest-1].newer = s
	} else {
		t.oldest = s
	}
	t.newest = s
}

func (t *peerTable) unlink(s uint16) {
	p := &t.peers[s-1]
	if p.newer != 0 {
		t.peers[p.newer-1].older = p.older
	} else {
		t.newest = p.older
	}
	if p.older != 0 {
		t.peers[p.older-1].newer = p.newer
	} else {
		t.oldest = p.newer
	}
}

func (t *peerTable) unindex(s uint16) {
	i := t.hashes[s-1] & peerMask
	for t.cells[i] != s {
		i = (i + 1) & peerMask
	}
	for j := (i + 1) & peerMask; t.cells[j] != 0; j = (j + 1) & peerMask {
		if home := t.hashes[t.cells[j]-1] & peerMask; (j-home)&peerMask >= (j-i)&peerMask {
			t.cells[i] = t.cells[j]
			i = j
		}
	}
	t.cells[i] = 0
}
