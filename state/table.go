// SPDX-License-Identifier: GPL-2.0-or-later

package state

import "github.com/p2pwall/p2pwall/nfq"

// none stands for "no slot" in tables that are linked by slot number.
const none = -1

// index maps keys to slot numbers by open addressing with linear probing. Its
// size is fixed: at least twice the number of slots, so that probes stay short.
type index[K comparable] struct {
	mask  uint32
	cells []cell[K]
}

type cell[K comparable] struct {
	key  K
	hash uint32
	slot int32 // none when the cell is empty
}

func newIndex[K comparable](slots int) index[K] {
	size := 4
	for size < 2*slots {
		size *= 2
	}
	x := index[K]{mask: uint32(size - 1), cells: make([]cell[K], size)}
	for i := range x.cells {
		x.cells[i].slot = none
	}
	return x
}

//go:noinline
func (x *index[K]) get(key K, hash uint32) int32 {
	for i := hash & x.mask; ; i = (i + 1) & x.mask {
		c := &x.cells[i]
		if c.slot == none || c.hash == hash && c.key == key {
			return c.slot
		}
	}
}

// put enters a key that is not in the index.
func (x *index[K]) put(key K, hash uint32, slot int32) {
	i := hash & x.mask
	for x.cells[i].slot != none {
		i = (i + 1) & x.mask
	}
	x.cells[i] = cell[K]{key: key, hash: hash, slot: slot}
}

// remove takes a key out and moves later cells of its run up, so that no
// tombstones gather.
func (x *index[K]) remove(key K, hash uint32) {
	i := hash & x.mask
	for x.cells[i].slot != none && (x.cells[i].hash != hash || x.cells[i].key != key) {
		i = (i + 1) & x.mask
	}
	if x.cells[i].slot == none {
		return
	}
	for j := (i + 1) & x.mask; x.cells[j].slot != none; j = (j + 1) & x.mask {
		// A cell may move to i when its home is not between i and j.
		if home := x.cells[j].hash & x.mask; (j-home)&x.mask >= (j-i)&x.mask {
			x.cells[i] = x.cells[j]
			i = j
		}
	}
	x.cells[i] = cell[K]{slot: none}
}

// lru orders slots by use in a ring of links; slot 0 of the links is the ends'
// meeting point, slot s is kept at s+1.
type lru struct {
	links []link
}

type link struct{ newer, older int32 }

func newLRU(slots int) lru {
	return lru{links: make([]link, slots+1)}
}

// push makes s, which is not in the list, the newest.
//
//go:noinline
func (l *lru) push(s int32) {
	n := s + 1
	top := l.links[0].older
	l.links[n] = link{newer: 0, older: top}
	l.links[top].newer = n
	l.links[0].older = n
}

//go:noinline
func (l *lru) remove(s int32) {
	k := l.links[s+1]
	l.links[k.newer].older = k.older
	l.links[k.older].newer = k.newer
}

// touch makes s the newest.
func (l *lru) touch(s int32) {
	if l.links[0].older != s+1 {
		l.remove(s)
		l.push(s)
	}
}

// oldest returns the slot used longest ago, or none.
func (l *lru) oldest() int32 { return l.links[0].newer - 1 }

// newer returns the slot that was used next after s, or none.
func (l *lru) newer(s int32) int32 { return l.links[s+1].newer - 1 }

// recent gives each key a slot of a table of fixed size, for as long as it is among
// those that were used last.
type recent[K comparable] struct {
	keys   []K
	hashes []uint32
	used   int // slots that were ever given
	index  index[K]
	lru    lru
}

//go:noinline
func newRecent[K comparable](slots int) recent[K] {
	return recent[K]{
		keys: make([]K, slots), hashes: make([]uint32, slots),
		index: newIndex[K](slots), lru: newLRU(slots),
	}
}

// get returns the key's slot, or none.
func (r *recent[K]) get(key K, hash uint32) int32 { return r.index.get(key, hash) }

// take returns the key's slot, given anew when isNew.
func (r *recent[K]) take(key K, hash uint32) (slot int32, isNew bool) {
	if slot = r.index.get(key, hash); slot != none {
		r.lru.touch(slot)
		return slot, false
	}
	if r.used < len(r.keys) {
		slot = int32(r.used)
		r.used++
	} else {
		slot = r.lru.oldest()
		r.lru.remove(slot)
		r.index.remove(r.keys[slot], r.hashes[slot])
	}
	r.keys[slot], r.hashes[slot] = key, hash
	r.index.put(key, hash, slot)
	r.lru.push(slot)
	return slot, true
}

// hasher mixes table keys. The seed keeps outsiders from choosing addresses
// that collide.
type hasher struct{ seed uint32 }

// word is one step of Murmur3: two 32-bit multiplications, cheap on MIPS.
func word(h, k uint32) uint32 {
	k *= 0xcc9e2d51
	k = k<<15 | k>>17
	h ^= k * 0x1b873593
	h = h<<13 | h>>19
	return h*5 + 0xe6546b64
}

func finish(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

func le32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (h hasher) addr(a *nfq.Addr) uint32 {
	if a.Is4() {
		return finish(word(h.seed, le32(a[12:])))
	}
	x := word(h.seed, le32(a[0:]))
	x = word(x, le32(a[4:]))
	x = word(x, le32(a[8:]))
	return finish(word(x, le32(a[12:])))
}

func (h hasher) mac(m *nfq.MAC) uint32 {
	x := word(h.seed, uint32(m[0])|uint32(m[1])<<8)
	return finish(word(x, le32(m[2:])))
}
