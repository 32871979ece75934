// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"crypto/md5"
	stdrc4 "crypto/rc4"
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"testing"
)

// testEDonkeyPrime is the prime as written in eMule's sources.
var testEDonkeyPrime, _ = new(big.Int).SetString(""+
	"f2bf52c55f587add5371a936e886eb3c6217a33ec34cb40dc73a41a643affce7"+
	"21fc286366535bdbce259f2286da4a91b207cbaa5255d4f61cceaed45ad5e074"+
	"7df7781828105f340f762387f88b289142fb42688f05150f548b5f436af70df3", 16)

// TestEDonkeyExchange lets math/big do the client's part.
func TestEDonkeyExchange(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		salt := r.Uint32()
		private := new(big.Int).SetUint64(r.Uint64() | 1<<63)
		pad := r.IntN(16)
		first := append([]byte{0x11}, new(big.Int).Exp(big.NewInt(2), private, testEDonkeyPrime).FillBytes(make([]byte, 96))...)
		first = append(first, byte(pad))
		for range pad {
			first = append(first, byte(r.Uint32()))
		}
		if !edonkeyHidden.First(first) {
			t.Fatalf("not taken for a client's key: %x", first)
		}
		var dst [MaxAnswer]byte
		var want [20]byte
		n := edonkeyHidden.Answer(dst[:], first, salt)
		if n != 103 || !edonkeyHidden.Proof(first, salt, &want) {
			t.Fatalf("an answer of %d bytes", n)
		}
		shared := append(new(big.Int).Exp(new(big.Int).SetBytes(dst[:96]), private, testEDonkeyPrime).FillBytes(make([]byte, 96)), 0)
		stream := func(direction byte) *stdrc4.Cipher {
			shared[96] = direction
			key := md5.Sum(shared)
			c, _ := stdrc4.NewCipher(key[:])
			skipped := make([]byte, 1024)
			c.XORKeyStream(skipped, skipped)
			return c
		}
		stream(203).XORKeyStream(dst[96:n], dst[96:n])
		if got := hex.EncodeToString(dst[96:n]); got != "c46f5e83000000" {
			t.Errorf("the client reads %s", got)
		}
		back := append([]byte{0xc4, 0x6f, 0x5e, 0x83, 0, 0}, "login"...)
		stream(34).XORKeyStream(back, back)
		if !edonkeyHidden.Proved(back, &want) {
			t.Error("the client's answer proves nothing")
		}
		back[2] ^= 1
		if edonkeyHidden.Proved(back, &want) || edonkeyHidden.Proved(back[:4], &want) || edonkeyHidden.Proved(dst[:n], &want) {
			t.Error("another answer proves it")
		}
		if a := testing.AllocsPerRun(2, func() { edonkeyHidden.Answer(dst[:], first, salt); edonkeyHidden.Proof(first, salt, &want) }); a != 0 {
			t.Errorf("%v allocations", a)
		}
		first[97]++
		if edonkeyHidden.First(first) || edonkeyHidden.Answer(dst[:], first, salt) != 0 {
			t.Error("a wrong length of the padding is taken")
		}
	}
}

func TestEDonkeyShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	missed := 0
	for range 10000 {
		b := make([]byte, 12)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		b[0] = 0x42
		if !edonkeyHidden.Shaped(b) {
			missed++
		}
	}
	if missed > 800 {
		t.Errorf("%d of 10000 random messages of the least length are missed", missed)
	}
	fill := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		b[0] = 0x42
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"196 random bytes", fill(196), true},
		{"a byte too many", fill(268), false},
		{"too few", fill(11), false},
		{"a message", unhex(t, donkeyLogin), false},
		{"text", []byte("GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n"), false},
		{"TLS", append([]byte{0x16, 3, 1, 0, 190, 1, 0, 0, 186}, fill(186)...), false},
		{"a command of Redis", []byte("*1\r\n$4\r\nping\r\n"), false},
		{"a player of Minecraft", []byte("\x10\x00\xf4\x05\x09localhost\x63\xdd\x02"), false},
	} {
		if got := edonkeyHidden.Shaped(tt.b); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	for _, tt := range []struct {
		name, hex string
		want      bool
	}{
		{"request", "e329000000 47 cc169151435e5da294b3385a3144f58b 000000000000000000000000 009c00000000000000000000", true},
		{"request, wrong length", "e328000000 47 cc169151435e5da294b3385a3144f58b 000000000000000000000000 009c00000000000000000000", false},
		{"part", "e31d280000 46 cc169151435e5da294b3385a3144f58b 00000000 04280000 0102030405", true},
		{"part, another length", "e31d280000 46 cc169151435e5da294b3385a3144f58b 00000000 05280000 0102030405", false},
		{"a file's name?", "e311000000 58 cc169151435e5da294b3385a3144f58b", true},
		{"a login", donkeyLogin, false},
		{"nothing", "", false},
	} {
		if got := edonkeyMessage(unhex(t, tt.hex)); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestCiphers(t *testing.T) {
	for n := range 119 {
		b := bytes.Repeat([]byte{byte(n), 0xa5}, 60)[:n]
		var sum [16]byte
		if md5Sum(b, &sum); sum != md5.Sum(b) {
			t.Fatalf("the hash of %d bytes is %x, want %x", n, sum, md5.Sum(b))
		}
		var r rc4
		r.start(sum[:])
		r.skip(n)
		got, want := make([]byte, 64+n), make([]byte, 64+n)
		r.crypt(got[n:], got[n:])
		c, err := stdrc4.NewCipher(sum[:])
		if err != nil {
			t.Fatal(err)
		}
		if c.XORKeyStream(want, want); !bytes.Equal(got[n:], want[n:]) {
			t.Fatalf("the stream differs behind %d bytes", n)
		}
	}
}

func FuzzEDonkeyHidden(f *testing.F) {
	f.Add(append(bytes.Repeat([]byte{0x5a}, 97), 3, 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		var dst [MaxAnswer]byte
		var want [20]byte
		if n := edonkeyHidden.Answer(dst[:], b, 7); (n > 0) != edonkeyHidden.Proof(b, 7, &want) || n > 0 && !edonkeyHidden.First(b) {
			t.Errorf("an answer of %d bytes", n)
		}
		edonkeyHidden.Shaped(b)
		edonkeyMiddle(new(PeerMiddle), b, true)
	})
}
