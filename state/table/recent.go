// SPDX-License-Identifier: GPL-2.0-or-later

package table

// Recent is a table of fixed size that gives each key a slot. A key keeps its slot as long
// as it is among those used last.
type Recent[K comparable] struct {
	keys   []K
	hashes []uint32
	used   int // number of slots given so far
	index  Index[K]
	lru    LRU
}

// NewRecent returns an empty table with a number of slots.
//
//go:noinline
func NewRecent[K comparable](slots int) Recent[K] {
	return Recent[K]{
		keys: make([]K, slots), hashes: make([]uint32, slots),
		index: NewIndex[K](slots), lru: NewLRU(slots),
	}
}

// Get returns the key's slot, or None.
func (r *Recent[K]) Get(key *K, hash uint32) int32 { return r.index.Get(key, hash) }

// Take returns the key's slot. isNew says that the key had none before.
func (r *Recent[K]) Take(key *K, hash uint32) (slot int32, isNew bool) {
	if slot = r.index.Get(key, hash); slot != None {
		r.lru.Touch(slot)
		return slot, false
	}
	if r.used < len(r.keys) {
		slot = int32(r.used)
		r.used++
	} else {
		slot = r.lru.Oldest()
		r.lru.Remove(slot)
		r.index.Remove(slot, r.hashes[slot])
	}
	r.keys[slot], r.hashes[slot] = *key, hash
	r.index.Put(key, hash, slot)
	r.lru.Push(slot)
	return slot, true
}

// Touch makes a slot the newest.
func (r *Recent[K]) Touch(slot int32) { r.lru.Touch(slot) }

// Oldest returns the slot used longest ago, or None.
func (r *Recent[K]) Oldest() int32 { return r.lru.Oldest() }

// Newer returns the slot that was used next after slot, or None.
func (r *Recent[K]) Newer(slot int32) int32 { return r.lru.Newer(slot) }

// Len returns the number of slots given so far.
func (r *Recent[K]) Len() int { return r.used }

// Key returns the key of a slot that was given. The caller must not change it.
func (r *Recent[K]) Key(slot int32) *K { return &r.keys[slot] }
