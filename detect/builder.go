// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// builder appends to a slice of fixed length. Its methods are not inlined: they have many
// calls, and inlining would cost 3 KB of flash.
type builder struct {
	b    []byte
	n    int
	full bool
}

//go:noinline
func (w *builder) text(s string) {
	n := copy(w.b[w.n:], s)
	w.n += n
	w.full = w.full || n < len(s)
}

//go:noinline
func (w *builder) bytes(s []byte) {
	n := copy(w.b[w.n:], s)
	w.n += n
	w.full = w.full || n < len(s)
}

//go:noinline
func (w *builder) fill(g *generator, n int) {
	if w.n+n > len(w.b) {
		w.full = true
		return
	}
	g.fill(w.b[w.n : w.n+n])
	w.n += n
}

// number writes a length of at most two digits.
func (w *builder) number(v int) {
	if v >= 10 {
		w.bytes([]byte{'0' + byte(v/10%10)})
	}
	w.bytes([]byte{'0' + byte(v%10)})
}

// generator is a small pseudo-random generator (xorshift), for values that must vary but
// need not be secret.
type generator struct{ x uint32 }

//go:noinline
func randomFrom(seed *[16]byte, salt uint32) generator {
	x := salt ^ 0x9e3779b9
	for i := 0; i < 16; i += 4 {
		x = (x ^ be32(seed[i:])) * 0x85ebca6b
		x ^= x >> 15
	}
	return generator{x | 1}
}

func (g *generator) next() byte {
	g.x ^= g.x << 13
	g.x ^= g.x >> 17
	g.x ^= g.x << 5
	return byte(g.x * 0x9e3779b9 >> 24)
}

func (g *generator) fill(b []byte) {
	for i := range b {
		b[i] = g.next()
	}
}
