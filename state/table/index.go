// SPDX-License-Identifier: GPL-2.0-or-later

package table

// Index maps keys to slot numbers by open addressing with linear probing. Its size is
// fixed. It has at least twice as many cells as slots, so that searches stay short. Keys
// come by pointer: MIPS copies an array of bytes one byte at a time.
type Index[K comparable] struct {
	mask  uint32
	cells []cell[K]
}

type cell[K comparable] struct {
	key  K
	hash uint32
	slot int32 // slot+1, or 0 when the cell is empty: unused cells take no memory
}

// NewIndex returns an empty index for a number of slots.
func NewIndex[K comparable](slots int) Index[K] {
	size := 4
	for size < 2*slots {
		size *= 2
	}
	return Index[K]{mask: uint32(size - 1), cells: make([]cell[K], size)}
}

// Get returns the key's slot, or None.
//
//go:noinline
func (x *Index[K]) Get(key *K, hash uint32) int32 {
	for i := hash & x.mask; ; i = (i + 1) & x.mask {
		c := &x.cells[i]
		if c.slot == 0 || c.hash == hash && c.key == *key {
			return c.slot - 1
		}
	}
}

// Put adds a key that is not in the index.
func (x *Index[K]) Put(key *K, hash uint32, slot int32) {
	i := hash & x.mask
	for x.cells[i].slot != 0 {
		i = (i + 1) & x.mask
	}
	c := &x.cells[i]
	c.key, c.hash, c.slot = *key, hash, slot+1
}

// Remove removes the key with the slot, and moves up later cells of its run, so that no
// tombstones are left. No other key may have the slot.
func (x *Index[K]) Remove(slot int32, hash uint32) {
	i := hash & x.mask
	for x.cells[i].slot != 0 && x.cells[i].slot != slot+1 {
		i = (i + 1) & x.mask
	}
	if x.cells[i].slot == 0 {
		return
	}
	for j := (i + 1) & x.mask; x.cells[j].slot != 0; j = (j + 1) & x.mask {
		// A cell may move to i if its home is not between i and j.
		if home := x.cells[j].hash & x.mask; (j-home)&x.mask >= (j-i)&x.mask {
			x.cells[i] = x.cells[j]
			i = j
		}
	}
	x.cells[i].slot = 0
}

// Cells returns how many cells a search for the key visits, for tests of the hash.
func (x *Index[K]) Cells(key *K, hash uint32) int {
	n := 1
	for i := hash & x.mask; ; i = (i + 1) & x.mask {
		if c := &x.cells[i]; c.slot == 0 || c.hash == hash && c.key == *key {
			return n
		}
		n++
	}
}
