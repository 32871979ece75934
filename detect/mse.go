// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"encoding/binary"
)

// MSE (message stream encryption, also "protocol encryption") hides BitTorrent's
// connections over TCP. It begins with an exchange of keys after Diffie and Hellman:
//
//	client -> Ya (96 bytes) and padding of 0 to 512 bytes
//	server -> Yb (96 bytes) and padding
//	client -> SHA-1("req1" S), ...
//
// Both know the secret S then, and nobody has to say who he is. So we can answer in
// the server's place; a client that now sends SHA-1("req1" S) speaks MSE for sure.
//
// Our own exponent needs no secrecy. With 17 bits it costs a tenth of what is usual
// and every client takes the key.

// mseNumber is a number of 768 bits, the lowest part first. Parts of 32 bits and
// products of 64 are what 32-bit MIPS has instructions for.
type mseNumber [mseKey / 4]uint32

// mseGroup is the prime of an exchange of keys, and what reckoning with it needs. Its
// highest bit is set. The generator is 2.
type mseGroup struct {
	prime mseNumber
	// square is 2^1536 modulo the prime: what brings a number into the form that multiply
	// works with.
	square mseNumber
	// inverse is -1/prime modulo 2^32.
	inverse uint32
}

// msePrime is the group of MSE.
var msePrime = mseGroup{
	prime: mseNumber{
		0x00090563, 0x00000000, 0xa63a3621, 0xf44c42e9, 0x625e7ec6, 0xe485b576,
		0x6d51c245, 0x4fe1356d, 0xf25f1437, 0x302b0a6d, 0xcd3a431b, 0xef9519b3,
		0x8e3404dd, 0x514a0879, 0x3b139b22, 0x020bbea6, 0x8a67cc74, 0x29024e08,
		0x80dc1cd1, 0xc4c6628b, 0x2168c234, 0xc90fdaa2, 0xffffffff, 0xffffffff,
	},
	square: mseNumber{
		0x46281a8e, 0x95f01940, 0xd838c985, 0xff0ca2a3, 0x93af6d83, 0x6d9f1759,
		0xa99a751f, 0xd4c85168, 0x2ddc6158, 0x3423ecee, 0xd4ace6dd, 0xd515b23c,
		0x82e51749, 0x112ce562, 0x3a35e04b, 0x3361bff3, 0x54e85ee3, 0xafbc0835,
		0xc5679266, 0xa95d0ecb, 0x8c6f28c7, 0x8d001cb9, 0x54da3d53, 0xa6130c9d,
	},
	inverse: 0x95075bb5,
}

// MSEAnswer writes our key into dst and returns its length, 96 bytes, or 0 when dst is
// shorter. The salt chooses the key: the same for MSEProof.
func MSEAnswer(dst []byte, salt uint32) int {
	if len(dst) < mseKey {
		return 0
	}
	var y mseNumber
	msePrime.power2(&y, mseExponent(salt))
	y.put(dst)
	return mseKey
}

// MSEProof writes into want what a client that sent ya, the beginning of its first
// data, must send after the answer that MSEAnswer makes of the same salt. It returns
// false when ya cannot begin with a client's key.
func MSEProof(ya []byte, salt uint32, want *[20]byte) bool {
	if len(ya) < mseKey {
		return false
	}
	var y mseNumber
	y.set(ya)
	if !msePrime.power(&y, mseExponent(salt)) {
		return false
	}
	message := [4 + mseKey]byte{'r', 'e', 'q', '1'}
	y.put(message[4:])
	sha1Sum(message[:], want)
	return true
}

// MSEProved reports whether b, what the client sent after the answer, shows what
// MSEProof wants. Padding of up to 512 bytes may be before it.
func MSEProved(b []byte, want *[20]byte) bool {
	return bytes.Contains(b[:min(len(b), mseMax-mseKey+len(want))], want[:])
}

// mseExponent makes our exponent of the salt: 1000 to 66535.
func mseExponent(salt uint32) uint32 { return 1000 + (salt^salt>>16)&0xffff }

// power2 makes y 2 to the power of x, which has at least 6 bits.
func (g *mseGroup) power2(y *mseNumber, x uint32) {
	// 1 in the form that multiply works with is 2^768 - P, and doublings need no division.
	// The exponent's first 6 bits are that many.
	rest := 0
	for x>>rest > 63 {
		rest++
	}
	*y = mseNumber{}
	y.subtract(&g.prime)
	for range x >> rest {
		g.double(y)
	}
	for rest--; rest >= 0; rest-- {
		g.multiply(y, y, y)
		if x>>rest&1 != 0 {
			g.double(y)
		}
	}
	g.multiply(y, y, &mseNumber{1})
}

// power makes y, somebody's key, the secret that it gives with the exponent x. It returns
// false for what is no key: of other numbers than 2 to P-2 everybody knows the secret, and
// no client has them.
func (g *mseGroup) power(y *mseNumber, x uint32) bool {
	last := g.prime
	last[0]--
	if !y.less(&last) || y.less(&mseNumber{2}) {
		return false
	}
	g.multiply(y, y, &g.square)
	s := *y
	rest := 0
	for x>>rest > 1 {
		rest++
	}
	for rest--; rest >= 0; rest-- {
		g.multiply(&s, &s, &s)
		if x>>rest&1 != 0 {
			g.multiply(&s, &s, y)
		}
	}
	g.multiply(y, &s, &mseNumber{1})
	return true
}

// set reads a big-endian number of 96 bytes.
func (z *mseNumber) set(b []byte) {
	for i := range z {
		z[len(z)-1-i] = binary.BigEndian.Uint32(b[4*i:])
	}
}

// put writes it.
func (z *mseNumber) put(b []byte) {
	for i := range z {
		binary.BigEndian.PutUint32(b[4*i:], z[len(z)-1-i])
	}
}

// less reports whether z < x.
func (z *mseNumber) less(x *mseNumber) bool {
	for i := len(z) - 1; i >= 0; i-- {
		if z[i] != x[i] {
			return z[i] < x[i]
		}
	}
	return false
}

// subtract takes x from z, modulo 2^768.
func (z *mseNumber) subtract(x *mseNumber) {
	borrow := uint64(0)
	for i := range z {
		d := uint64(z[i]) - uint64(x[i]) - borrow
		z[i] = uint32(d)
		borrow = d >> 63
	}
}

// reduce finishes a number below 2P of 769 bits, of which over is the highest.
func (g *mseGroup) reduce(z *mseNumber, over uint32) {
	if over != 0 || !z.less(&g.prime) {
		z.subtract(&g.prime)
	}
}

// double doubles z modulo the prime.
func (g *mseGroup) double(z *mseNumber) {
	over := uint32(0)
	for i, d := range z {
		z[i] = d<<1 | over
		over = d >> 31
	}
	g.reduce(z, over)
}

// multiply makes z the product of x and y, divided by 2^768, modulo the prime
// (Montgomery's way: no division). Both are below the prime, and may be z.
func (g *mseGroup) multiply(z, x, y *mseNumber) {
	var t mseNumber
	over := uint32(0) // t has 769 bits
	for _, d := range x {
		// To t comes d*y, and as much of the prime as makes the lowest part 0. That
		// part is left out.
		a := uint64(d)*uint64(y[0]) + uint64(t[0])
		m := uint32(a) * g.inverse
		b := uint64(m)*uint64(g.prime[0]) + uint64(uint32(a))
		for j := 1; j < len(t); j++ {
			a = uint64(d)*uint64(y[j]) + uint64(t[j]) + a>>32
			b = uint64(m)*uint64(g.prime[j]) + uint64(uint32(a)) + b>>32
			t[j-1] = uint32(b)
		}
		a = a>>32 + b>>32 + uint64(over)
		t[len(t)-1] = uint32(a)
		over = uint32(a >> 32)
	}
	g.reduce(&t, over)
	*z = t
}
