// SPDX-License-Identifier: GPL-2.0-or-later

package table

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// order returns the slots of a list, the oldest first. A list with more than most slots has
// a wrong link.
func order(t *testing.T, oldest int32, newer func(int32) int32, most int) []int32 {
	t.Helper()
	var out []int32
	for s := oldest; s != None; s = newer(s) {
		if out = append(out, s); len(out) > most {
			t.Fatalf("the order has no end: %v", out)
		}
	}
	return out
}

// TestLRUAsList compares the order of use with a plain list.
func TestLRUAsList(t *testing.T) {
	const slots, seed = 9, 3
	r := rand.New(rand.NewPCG(seed, 0))
	l := NewLRU(slots)
	var want []int32 // the oldest first
	for step := range 20_000 {
		s := int32(r.IntN(slots))
		at := slices.Index(want, s)
		switch r.IntN(3) {
		case 0:
			if at < 0 {
				l.Push(s)
				want = append(want, s)
			}
		case 1:
			if at >= 0 {
				l.Remove(s)
				want = slices.Delete(want, at, at+1)
			}
		case 2:
			if at >= 0 {
				l.Touch(s)
				want = append(slices.Delete(want, at, at+1), s)
			}
		}
		if got := order(t, l.Oldest(), l.Newer, slots); !slices.Equal(got, want) {
			t.Fatalf("seed %d, step %d, slot %d: order %v, want %v", seed, step, s, got, want)
		}
	}
}

// recentModel is a table of the same kind as Recent in its plainest form.
type recentModel struct {
	slots []int       // key by slot
	at    map[int]int // slot by key
	order []int       // keys, the one used longest ago first
	full  int
}

func (m *recentModel) use(key int) {
	if i := slices.Index(m.order, key); i >= 0 {
		m.order = slices.Delete(m.order, i, i+1)
	}
	m.order = append(m.order, key)
}

func (m *recentModel) take(key int) (slot int, isNew bool) {
	slot, known := m.at[key]
	if !known {
		if slot = len(m.slots); slot < m.full {
			m.slots = append(m.slots, key)
		} else {
			old := m.order[0]
			slot, m.order = m.at[old], m.order[1:]
			delete(m.at, old)
			m.slots[slot] = key
		}
		m.at[key] = slot
	}
	m.use(key)
	return slot, !known
}

// TestRecentAsModel: a table that is full, or almost so, gives and takes slots as the model
// does, with hashes that often collide.
func TestRecentAsModel(t *testing.T) {
	for _, c := range []struct{ slots, keys, hashes int }{
		{1, 3, 1}, {2, 5, 2}, {7, 8, 3}, {16, 100, 5}, {16, 17, 1 << 30}, {16, 12, 4},
	} {
		const seed = 4
		r := rand.New(rand.NewPCG(seed, uint64(c.slots)))
		x := NewRecent[int](c.slots)
		m := recentModel{at: map[int]int{}, full: c.slots}
		hash := func(key int) uint32 { return uint32(key%c.hashes) * 0x9e3779b9 }
		for step := range 3000 {
			key := r.IntN(c.keys)
			if known, ok := m.at[key]; ok && r.IntN(3) == 0 {
				x.Touch(int32(known))
				m.use(key)
			} else {
				slot, isNew := x.Take(&key, hash(key))
				if want, wantNew := m.take(key); int(slot) != want || isNew != wantNew {
					t.Fatalf("%+v, seed %d, step %d: key %d got slot %d (new: %v), want %d (%v)", c, seed, step, key, slot, isNew, want, wantNew)
				}
			}
			if x.Len() != len(m.slots) {
				t.Fatalf("%+v, seed %d, step %d: %d slots are given, want %d", c, seed, step, x.Len(), len(m.slots))
			}
			for key := range c.keys {
				want, ok := m.at[key]
				if !ok {
					want = None
				}
				if got := x.Get(&key, hash(key)); int(got) != want {
					t.Fatalf("%+v, seed %d, step %d: key %d is at %d, want %d", c, seed, step, key, got, want)
				}
			}
			var got []int
			for _, s := range order(t, x.Oldest(), x.Newer, c.slots) {
				got = append(got, *x.Key(s))
			}
			if !slices.Equal(got, m.order) {
				t.Fatalf("%+v, seed %d, step %d: order %v, want %v", c, seed, step, got, m.order)
			}
		}
	}
}

// TestRecentGetIsNoUse: only Take and Touch count as use. A key that is looked up leaves
// when its turn comes.
func TestRecentGetIsNoUse(t *testing.T) {
	x := NewRecent[string](2)
	a, b, c := "a", "b", "c"
	x.Take(&a, 1)
	x.Take(&b, 1)
	x.Get(&a, 1)
	if slot, isNew := x.Take(&c, 1); slot != 0 || !isNew {
		t.Errorf("c has slot %d (new: %v), want that of a", slot, isNew)
	}
	if x.Get(&a, 1) != None || x.Get(&b, 1) != 1 {
		t.Errorf("a is at %d, b at %d", x.Get(&a, 1), x.Get(&b, 1))
	}
}

// TestRecentEmpty: an empty table has no order.
func TestRecentEmpty(t *testing.T) {
	x := NewRecent[int](3)
	if key := 0; x.Oldest() != None || x.Len() != 0 || x.Get(&key, 0) != None {
		t.Errorf("oldest %d, %d slots, key 0 at %d", x.Oldest(), x.Len(), x.Get(&key, 0))
	}
}
