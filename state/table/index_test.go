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
