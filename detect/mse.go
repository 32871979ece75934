// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"encoding/binary"
)

// MSE (message stream encryption, also "protocol encryption") hides BitTorrent's
// connections over TCP. It begins with a Diffie-Hellman key exchange:
//
//	client -> Ya (96 bytes) and padding of 0 to 512 bytes
//	server -> Yb (96 bytes) and padding
//	client -> SHA-1("req1" S), ...
//
// Then both sides know the secret S, and neither has authenticated. So we can answer in
// the server's place. A client that then sends SHA-1("req1" S) certainly speaks MSE.
//
// Our own exponent need not be secret. An exponent of 17 bits costs a tenth of the usual
// work, and every client accepts the resulting key.

// mseNumber is a number of 768 bits, lowest part first. 32-bit MIPS has instructions for
// parts of 32 bits and products of 64 bits.
type mseNumber [mseKey / 4]uint32

// mseGroup is the prime of a key exchange, with the constants for calculating with it.
// The prime's highest bit is set. The generator is 2.
type mseGroup struct {
	prime mseNumber
	// square is 2^1536 modulo the prime. It converts a number to Montgomery form, in
	// which multiply works.
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

// MSEAnswer writes our key into dst. It returns the key's length, 96 bytes, or 0 when dst
// is shorter. The salt chooses the key. MSEProof needs the same salt.
func MSEAnswer(dst []byte, salt uint32) int {
	if len(dst) < mseKey {
		return 0
	}
	var y mseNumber
	msePrime.power2(&y, mseExponent(salt))
	y.put(dst)
	return mseKey
}

// MSEProof writes into want what a client must send after the answer of MSEAnswer with
// the same salt. ya is the beginning of the client's first data. MSEProof returns false
// when ya cannot begin with a client's key.
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

// MSEProved reports whether b, the client's data after the answer, contains want. Padding
// of up to 512 bytes may precede want.
func MSEProved(b []byte, want *[20]byte) bool {
	return bytes.Contains(b[:min(len(b), mseMax-mseKey+len(want))], want[:])
}

// mseExponent makes our exponent from the salt: 1000 to 66535.
func mseExponent(salt uint32) uint32 { return 1000 + (salt^salt>>16)&0xffff }

// power2 sets y to 2 to the power of x. x has at least 6 bits.
func (g *mseGroup) power2(y *mseNumber, x uint32) {
	// In Montgomery form, 1 is 2^768 - P. Doubling needs no division, so the first 6 bits
	// of the exponent are done by doubling alone.
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

// power replaces y, the other side's key, by the shared secret for the exponent x. It
// returns false if y is not in 2 to P-2: for other numbers everybody can tell the secret,
// and no client uses them.
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

// put writes a big-endian number of 96 bytes.
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

// subtract subtracts x from z, modulo 2^768.
func (z *mseNumber) subtract(x *mseNumber) {
	borrow := uint64(0)
	for i := range z {
		d := uint64(z[i]) - uint64(x[i]) - borrow
		z[i] = uint32(d)
		borrow = d >> 63
	}
}

// reduce reduces a number of 769 bits below 2P modulo the prime. over is the highest bit.
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

// multiply sets z to x times y, divided by 2^768, modulo the prime. Montgomery's method
// needs no division. x and y are below the prime. Either may be z.
func (g *mseGroup) multiply(z, x, y *mseNumber) {
	var t mseNumber
	over := uint32(0) // t has 769 bits
	for _, d := range x {
		// Add d*y to t, and the multiple of the prime that makes the lowest part 0. Then
		// drop that part.
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
