// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// none stands for "no slot" in tables that are linked by slot number.
const none = table.None

// hasher mixes table keys. The seed stops outsiders from choosing addresses that collide.
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
