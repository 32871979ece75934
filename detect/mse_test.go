// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The prime as written in the descriptions of MSE.
var testPrime, _ = new(big.Int).SetString(
	"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22"+
		"514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6"+
		"F44C42E9A63A36210000000000090563", 16)

// mseFill returns a number as a key of 96 bytes.
func mseFill(n *big.Int) []byte { return n.FillBytes(make([]byte, 96)) }

// mseWant returns SHA-1("req1" ya^x), calculated by the standard library.
func mseWant(ya *big.Int, x uint32) [20]byte {
	s := new(big.Int).Exp(ya, big.NewInt(int64(x)), testPrime)
	return sha1.Sum(append([]byte("req1"), mseFill(s)...))
}

// TestMSEKnown compares with another implementation (Python's pow and hashlib).
func TestMSEKnown(t *testing.T) {
	for _, tt := range []struct {
		salt, exponent uint32
		key            string
	}{
		{0, 1000, "48b61164cfcac5f17793b4b96dc36635fcc409ab74808a149f1146813b9ed4145e426f6524d8165214c158180c32f1e3" +
			"1d51d419c0f7208c1c7cbe10a5e1f7b66d5c0a46a786e798c3049b8580ac9e574c4df278ef7d7e9b109e64a7dfb230f4"},
		{0xffff, 66535, "3b429e46b5ebe5e9db22d9143b0d72cdf299fb6da4e3b09f22b5bcb59ee61b7edb86f5525c6dc61d61a3cb8d923422f0" +
			"6e55024ce4dc031bec25227611bcaa856fae5d99c2d3f4c818c4f86517a4cd9eb4dce9c8e4e4348bcf2346ae135986ae"},
	} {
		var key [96]byte
		if n := MSEAnswer(key[:], tt.salt); n != 96 || hex.EncodeToString(key[:]) != tt.key || mseExponent(tt.salt) != tt.exponent {
			t.Errorf("salt %#x: exponent %d, key % x", tt.salt, mseExponent(tt.salt), key[:n])
		}
	}
	ya, _ := hex.DecodeString("6fd4bc7aa649593205ec30348a3ccc737b61fa01e9e1762c2c53eb69033afecbdf7c13b8ac3643af78d0760b0f42db00" +
		"9f2b96c970f009d060faf617f117d0f1c221cea0561b9a86e852fc70a6f09ad0f82378603aa5e56b811deb3f534bf276")
	var want [20]byte
	if !MSEProof(ya, 0xdeadbeef, &want) || hex.EncodeToString(want[:]) != "78f1c72bbe011b4b6fc3575a0763928a82a56835" {
		t.Errorf("proof % x", want)
	}
}

// TestMSEArithmetic compares with math/big: random numbers, and numbers with the most
// carries and borrows.
func TestMSEArithmetic(t *testing.T) {
	t.Run("MSE", func(t *testing.T) { groupArithmetic(t, &msePrime, testPrime) })
	t.Run("eDonkey", func(t *testing.T) { groupArithmetic(t, &edonkeyPrime, testEDonkeyPrime) })
}

func groupArithmetic(t *testing.T, g *mseGroup, prime *big.Int) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := []*big.Int{big.NewInt(0), big.NewInt(1), big.NewInt(2), new(big.Int).Sub(prime, big.NewInt(1))}
	for range 300 {
		b := make([]byte, 96)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for range r.IntN(3) { // a run of zeros or ones
			from := r.IntN(len(b))
			for i := from; i < min(from+r.IntN(40), len(b)); i++ {
				b[i] = byte(-(r.IntN(50) & 1))
			}
		}
		numbers = append(numbers, new(big.Int).Mod(new(big.Int).SetBytes(b), prime))
	}
	radix := new(big.Int).Lsh(big.NewInt(1), 768)
	inverse := new(big.Int).ModInverse(radix, prime)
	want := new(big.Int)
	check := func(what string, z *mseNumber) {
		t.Helper()
		var got [96]byte
		z.put(got[:])
		if want.Mod(want, prime); !bytes.Equal(got[:], mseFill(want)) {
			t.Errorf("%s: got % x, want % x", what, got, mseFill(want))
		}
	}
	for _, a := range numbers {
		var x, y, z mseNumber
		x.set(mseFill(a))
		want.Set(a)
		check(fmt.Sprintf("%x", a), &x)
		z = x
		g.double(&z)
		want.Lsh(a, 1)
		check(fmt.Sprintf("2 * %x", a), &z)
		for _, b := range numbers {
			y.set(mseFill(b))
			g.multiply(&z, &x, &y)
			want.Mul(want.Mul(a, b), inverse)
			check(fmt.Sprintf("%x * %x", a, b), &z)
			if x.less(&y) != (a.Cmp(b) < 0) {
				t.Errorf("%x < %x: %v", a, b, x.less(&y))
			}
		}
		z = x
		g.multiply(&z, &z, &z) // the product may be one of the factors
		want.Mul(want.Mul(a, a), inverse)
		check(fmt.Sprintf("square of %x", a), &z)
	}
	want.Set(prime)
	var p [96]byte
	if g.prime.put(p[:]); !bytes.Equal(p[:], mseFill(want)) {
		t.Errorf("the prime: % x", p)
	}
	want.Mul(radix, radix)
	check("2^1536", &g.square)
	if m := g.inverse; m*g.prime[0] != ^uint32(0) {
		t.Errorf("-1/P: %#x", m)
	}
}

// TestMSEExchange lets math/big do the client's part.
func TestMSEExchange(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	two := big.NewInt(2)
	low, high := uint32(1<<31), uint32(0)
	salts := []uint32{0, 1, 0xffff, 0x10000, 0xffff0000, 0xffffffff, 1048 - 1000, 65535 - 1000, 65536 - 1000}
	for range 500 {
		salts = append(salts, r.Uint32())
	}
	for _, salt := range salts {
		x := mseExponent(salt)
		low, high = min(low, x), max(high, x)
		secret := make([]byte, 20)
		for i := range secret {
			secret[i] = byte(r.Uint32())
		}
		a := new(big.Int).SetBytes(secret)
		ya := new(big.Int).Exp(two, a, testPrime)

		key := bytes.Repeat([]byte{0xaa}, 100)
		if n := MSEAnswer(key, salt); n != 96 || !bytes.Equal(key[96:], []byte{0xaa, 0xaa, 0xaa, 0xaa}) {
			t.Fatalf("salt %#x: %d bytes, % x behind them", salt, n, key[96:])
		}
		yb := new(big.Int).SetBytes(key[:96])
		if yb.Cmp(new(big.Int).Exp(two, big.NewInt(int64(x)), testPrime)) != 0 {
			t.Fatalf("salt %#x: key %x", salt, yb)
		}
		s := new(big.Int).Exp(yb, a, testPrime)
		says := sha1.Sum(append([]byte("req1"), mseFill(s)...))

		var want [20]byte
		first := append(mseFill(ya), secret...) // with padding
		if !MSEProof(first, salt, &want) || want != says {
			t.Fatalf("salt %#x: want % x, the client says % x", salt, want, says)
		}
		if MSEProof(first, salt^1, &want); want == says {
			t.Fatalf("salt %#x: the same proof for another salt", salt)
		}
	}
	if low != 1000 || high != 66535 {
		t.Errorf("exponents from %d to %d", low, high)
	}
}

func TestMSERefuses(t *testing.T) {
	if n := MSEAnswer(make([]byte, 95), 1); n != 0 {
		t.Errorf("an answer of %d bytes in 95", n)
	}
	less := func(n int64) []byte { return mseFill(new(big.Int).Sub(testPrime, big.NewInt(n))) }
	for _, tt := range []struct {
		name string
		ya   []byte
		want bool
	}{
		{"nothing", nil, false},
		{"95 bytes", bytes.Repeat([]byte{7}, 95), false},
		{"96 bytes", bytes.Repeat([]byte{7}, 96), true},
		{"0", make([]byte, 96), false},
		{"1", mseFill(big.NewInt(1)), false},
		{"2", mseFill(big.NewInt(2)), true},
		{"2^64", mseFill(new(big.Int).Lsh(big.NewInt(1), 64)), true},
		{"P-2", less(2), true},
		{"P-1", less(1), false},
		{"P", less(0), false},
		{"P+1", less(-1), false},
		{"2^768-1", bytes.Repeat([]byte{0xff}, 96), false},
	} {
		old := [20]byte{1, 2, 3}
		want := old
		if got := MSEProof(tt.ya, 5, &want); got != tt.want || (want != old) != tt.want {
			t.Errorf("%s: got %v, % x", tt.name, got, want)
		}
		if tt.want && want != mseWant(new(big.Int).SetBytes(tt.ya), mseExponent(5)) {
			t.Errorf("%s: proof % x", tt.name, want)
		}
	}
}

func TestMSEProved(t *testing.T) {
	var want [20]byte
	r := rand.New(rand.NewPCG(5, 6))
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	for _, at := range []int{0, 1, 19, 20, 96, 511, 512, 513, 600} {
		b := make([]byte, 1000)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		copy(b[at:], want[:])
		for _, n := range []int{0, at, at + 19, at + 20, at + 21, 1000} {
			if got := MSEProved(b[:n], &want); got != (at <= 512 && n >= at+20) {
				t.Errorf("at %d of %d: %v", at, n, got)
			}
		}
		b[at+7] ^= 1
		if MSEProved(b, &want) {
			t.Errorf("at %d: proved with one bit wrong", at)
		}
	}
}

func TestSHA1(t *testing.T) {
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(i*i + i>>4)
	}
	for n := range len(b) {
		var sum [20]byte
		if sha1Sum(b[:n], &sum); sum != sha1.Sum(b[:n]) {
			t.Errorf("%d bytes: % x, want % x", n, sum, sha1.Sum(b[:n]))
		}
	}
}

func TestMSEAllocs(t *testing.T) {
	first, key := bytes.Repeat([]byte{7}, 200), make([]byte, 96)
	var want [20]byte
	if n := testing.AllocsPerRun(20, func() {
		if MSEAnswer(key, 1) == 0 || !MSEProof(first, 1, &want) || MSEProved(first, &want) {
			t.Fatal("no")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzMSE(f *testing.F) {
	f.Add(bytes.Repeat([]byte{7}, 96), []byte("and what follows"), uint32(1))
	f.Add(mseFill(new(big.Int).Sub(testPrime, big.NewInt(2))), make([]byte, 600), uint32(0xffff))
	f.Add(bytes.Repeat([]byte{0xff}, 100), []byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, ya, b []byte, salt uint32) {
		ya, b = ya[:len(ya):len(ya)], b[:len(b):len(b)]
		var want [20]byte
		ok := MSEProof(ya, salt, &want)
		if len(ya) < 96 {
			if ok {
				t.Fatalf("a key of %d bytes", len(ya))
			}
			return
		}
		y := new(big.Int).SetBytes(ya[:96])
		last := new(big.Int).Sub(testPrime, big.NewInt(2))
		if ok != (y.Cmp(big.NewInt(2)) >= 0 && y.Cmp(last) <= 0) {
			t.Fatalf("key %x: %v", y, ok)
		}
		if ok && want != mseWant(y, mseExponent(salt)) {
			t.Fatalf("key %x, salt %#x: proof % x", y, salt, want)
		}
		// The client's data: any padding, and perhaps the proof at its end.
		says := append(bytes.Clone(b), want[:]...)
		if got := MSEProved(says, &want); got != (bytes.Index(says, want[:]) <= 512) {
			t.Fatalf("% x in % x: %v", want, says, got)
		}
		if MSEProved(b, &want) && !bytes.Contains(b, want[:]) {
			t.Fatalf("% x in % x", want, b)
		}
	})
}

// benchSalt makes an exponent of 16 bits with 9 ones, as costly as most salts.
const benchSalt = 0xd555 - 1000

func BenchmarkMSEAnswer(b *testing.B) {
	var key [96]byte
	b.ReportAllocs()
	for b.Loop() {
		MSEAnswer(key[:], benchSalt)
	}
}

func BenchmarkMSEProof(b *testing.B) {
	ya := bytes.Repeat([]byte{0x9c, 0x5a, 0x77}, 32)
	var want [20]byte
	b.ReportAllocs()
	for b.Loop() {
		MSEProof(ya, benchSalt, &want)
	}
}

// BenchmarkMSEProved searches the longest possible data, in vain.
func BenchmarkMSEProved(b *testing.B) {
	want := [20]byte{0x9c, 0x5a, 0x77}
	says := bytes.Repeat(want[:2], 300)
	b.ReportAllocs()
	for b.Loop() {
		MSEProved(says, &want)
	}
}
