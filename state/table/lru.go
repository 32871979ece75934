// SPDX-License-Identifier: GPL-2.0-or-later

package table

// LRU keeps slots in the order of use, in a ring of links. Link 0 joins both ends; slot s
// has link s+1.
type LRU struct {
	links []link
}

type link struct{ newer, older int32 }

// NewLRU returns an empty list for a number of slots.
func NewLRU(slots int) LRU {
	return LRU{links: make([]link, slots+1)}
}

// Push adds s as the newest. s must not be in the list.
//
//go:noinline
func (l *LRU) Push(s int32) {
	n := s + 1
	top := l.links[0].older
	l.links[n] = link{newer: 0, older: top}
	l.links[top].newer = n
	l.links[0].older = n
}

// Remove removes s, which must be in the list.
//
//go:noinline
func (l *LRU) Remove(s int32) {
	k := l.links[s+1]
	l.links[k.newer].older = k.older
	l.links[k.older].newer = k.newer
}

// Touch makes s the newest.
func (l *LRU) Touch(s int32) {
	if l.links[0].older != s+1 {
		l.Remove(s)
		l.Push(s)
	}
}

// Oldest returns the slot used longest ago, or None.
func (l *LRU) Oldest() int32 { return l.links[0].newer - 1 }

// Newer returns the slot that was used next after s, or None.
func (l *LRU) Newer(s int32) int32 { return l.links[s+1].newer - 1 }
