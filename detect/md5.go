// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "math/bits"

// md5Sine are the whole parts of 2^32 times |sin(i+1)| (RFC 1321).
var md5Sine = [64]uint32{
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
	0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
	0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
	0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
	0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
	0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
	0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
	0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
	0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
}

var md5Shift = [4][4]uint8{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}

// md5Sum writes the MD5 hash of b into sum. b has at most 119 bytes. eDonkey's keys need
// it. crypto/md5 would make the program larger than this does.
func md5Sum(b []byte, sum *[16]byte) {
	var padded [128]byte
	n := copy(padded[:119], b)
	padded[n] = 0x80
	end := 64
	if n > 55 {
		end = 128
	}
	padded[end-8], padded[end-7] = byte(n<<3), byte(n>>5)
	h := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	for at := 0; at < end; at += 64 {
		md5Block(&h, padded[at:at+64])
	}
	for i, v := range h {
		putLE32(sum[4*i:], v)
	}
}

func md5Block(h *[4]uint32, block []byte) {
	a, b, c, d := h[0], h[1], h[2], h[3]
	for i := range 64 {
		var f uint32
		j := i
		switch i >> 4 {
		case 0:
			f = b&c | ^b&d
		case 1:
			f, j = b&d|c&^d, 5*i+1
		case 2:
			f, j = b^c^d, 3*i+5
		default:
			f, j = c^(b|^d), 7*i
		}
		f += a + md5Sine[i] + le32(block[4*(j&15):])
		a, d, c = d, c, b
		b += bits.RotateLeft32(f, int(md5Shift[i>>4][i&3]))
	}
	h[0] += a
	h[1] += b
	h[2] += c
	h[3] += d
}
