// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"encoding/binary"
	"math/bits"
)

// sha1Sum writes the SHA-1 hash of b (FIPS 180-4) into sum. It only has to hash a few
// hundred bytes now and then. crypto/sha1 would add 192 KiB to the program.
func sha1Sum(b []byte, sum *[20]byte) {
	h := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	length := len(b)
	for ; len(b) >= 64; b = b[64:] {
		sha1Block(&h, b)
	}
	// The remaining bytes, a bit that is 1, zeros, and in the last 8 bytes of a block the
	// length in bits.
	var end [128]byte
	n := copy(end[:], b)
	end[n] = 0x80
	n = (n + 1 + 8 + 63) &^ 63
	binary.BigEndian.PutUint64(end[n-8:], uint64(length)*8)
	for b = end[:n]; len(b) > 0; b = b[64:] {
		sha1Block(&h, b)
	}
	for i, v := range h {
		binary.BigEndian.PutUint32(sum[4*i:], v)
	}
}

// sha1Block adds a block of 64 bytes to the hash.
func sha1Block(h *[5]uint32, block []byte) {
	var w [16]uint32
	for i := range w {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	a, b, c, d, e := h[0], h[1], h[2], h[3], h[4]
	for i := range 80 {
		j := i & 15
		if i >= 16 {
			w[j] = bits.RotateLeft32(w[(i-3)&15]^w[(i-8)&15]^w[(i-14)&15]^w[j], 1)
		}
		var f, k uint32
		switch i / 20 {
		case 0:
			f, k = b&c|^b&d, 0x5a827999
		case 1:
			f, k = b^c^d, 0x6ed9eba1
		case 2:
			f, k = b&c|b&d|c&d, 0x8f1bbcdc
		default:
			f, k = b^c^d, 0xca62c1d6
		}
		a, b, c, d, e = bits.RotateLeft32(a, 5)+f+e+k+w[j], a, bits.RotateLeft32(b, 30), c, d
	}
	h[0] += a
	h[1] += b
	h[2] += c
	h[3] += d
	h[4] += e
}
