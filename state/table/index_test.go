// SPDX-License-Identifier: GPL-2.0-or-later

package table

import (
	"math/rand/v2"
	"testing"
)

// TestIndexAsMap compares an index with a map, with hashes that often collide.
func TestIndexAsMap(t *testing.T) {
	const slots, hashes = 16, 5
	rng := rand.New(rand.NewPCG(1, 2))
	x, want := NewIndex[int](slots), map[int]int32{}
	hash := func(key int) uint32 { return uint32(key%hashes) * 7 }
	for step := range 5000 {
		slot := int32(rng.IntN(slots))
		key := -1
		for k, s := range want {
			if s == slot {
				key = k
			}
		}
		if key >= 0 {
			x.Remove(slot, hash(key))
			delete(want, key)
		} else if key = rng.IntN(100); x.Get(&key, hash(key)) == None {
			x.Put(&key, hash(key), slot)
			want[key] = slot
		}
		for k := range 100 {
			s, ok := want[k]
			if !ok {
				s = None
			}
			if got := x.Get(&k, hash(k)); got != s {
				t.Fatalf("step %d: key %d is at %d, want %d", step, k, got, s)
			}
		}
	}
}

// TestIndexChains fills an index to its last slot with keys that all have the same home, at
// the beginning, in the middle and at the end of the cells, where the search goes on at the
// first cell. Whichever keys are removed, the others are found.
func TestIndexChains(t *testing.T) {
	const slots = 5
	size := len(NewIndex[int](slots).cells)
	for _, home := range []int{0, size / 2, size - 2, size - 1} {
		for gone := range 1 << slots { // a bit for each key that is removed
			x := NewIndex[int](slots)
			// The hashes differ, but for their home.
			hash := func(key int) uint32 { return uint32(key/2*size + home) }
			for key := range slots {
				x.Put(&key, hash(key), int32(key))
			}
			for key := range slots {
				if gone>>key&1 == 1 {
					x.Remove(int32(key), hash(key))
				}
			}
			for key := range slots {
				want := int32(key)
				if gone>>key&1 == 1 {
					want = None
				}
				if got := x.Get(&key, hash(key)); got != want {
					t.Errorf("home %d, without %05b: key %d is at %d, want %d", home, gone, key, got, want)
				}
			}
			if strange := slots; x.Get(&strange, hash(0)) != None {
				t.Errorf("home %d, without %05b: a key is found that was never put", home, gone)
			}
		}
	}
}

// TestIndexMovesNoKeyBeforeItsHome: a key that lies in the run of others, but at its own
// home, stays there when one before it is removed.
func TestIndexMovesNoKeyBeforeItsHome(t *testing.T) {
	x := NewIndex[string](4) // 8 cells
	for slot, k := range []struct {
		key  string
		hash uint32
	}{{"a", 6}, {"b", 6}, {"c", 0}, {"d", 7}} { // at 6, 7, 0, 1
		x.Put(&k.key, k.hash, int32(slot))
	}
	x.Remove(0, 6) // b moves to 6, d to 7, and c stays at 0
	for _, k := range []struct {
		key  string
		hash uint32
		slot int32
		far  int
	}{{"a", 6, None, 4}, {"b", 6, 1, 1}, {"c", 0, 2, 1}, {"d", 7, 3, 1}} {
		if got := x.Get(&k.key, k.hash); got != k.slot {
			t.Errorf("%s is at %d, want %d", k.key, got, k.slot)
		}
		if got := x.Cells(&k.key, k.hash); got != k.far {
			t.Errorf("a search for %s visits %d cells, want %d", k.key, got, k.far)
		}
	}
}

// TestIndexRemoveNothing: removing a slot that no key has changes nothing, also when another
// key has the same hash.
func TestIndexRemoveNothing(t *testing.T) {
	x := NewIndex[int](4)
	one, two := 1, 2
	x.Put(&one, 3, 0)
	x.Put(&two, 3, 1)
	x.Remove(2, 3)
	x.Remove(0, 5)
	if a, b := x.Get(&one, 3), x.Get(&two, 3); a != 0 || b != 1 {
		t.Errorf("the keys are at %d and %d", a, b)
	}
}

// TestIndexHasRoom: there are at least two cells for each slot, or searches get long.
func TestIndexHasRoom(t *testing.T) {
	for slots := range 70 {
		if x := NewIndex[int](slots); len(x.cells) < 2*slots || len(x.cells) > max(4, 4*slots) || int(x.mask) != len(x.cells)-1 {
			t.Errorf("%d cells and mask %#x for %d slots", len(x.cells), x.mask, slots)
		}
	}
}
