// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// segmentSize is how much of a stream fits into a segment, in bytes.
const segmentSize = 1448

// arrives feeds writes of a stream, cut into segments as TCP does, until there is a result
// other than More. It returns that and the bytes that came until then.
func (s *Pieces) arrives(seq uint32, writes [][]byte) (Match, int) {
	n := 0
	for _, b := range writes {
		for len(b) > 0 {
			part := b[:min(len(b), segmentSize)]
			b = b[len(part):]
			n += len(part)
			if m := s.Feed(seq, part, len(part), len(b) == 0); m != More {
				return m, n
			}
			seq += uint32(len(part))
		}
	}
	return More, n
}

// piece is a message with a block in clear, and more between it and the next one.
func piece(i int, more int) []byte {
	b := []byte("\x00\x00\x40\x09\x07")
	b = binary.BigEndian.AppendUint32(b, uint32(i/4))
	b = binary.BigEndian.AppendUint32(b, uint32(i%4)<<14)
	return append(append(b, sure(uint64(i), peerBlock)...), make([]byte, more)...)
}

func TestPieces(t *testing.T) {
	each := func(n int, f func(i int) []byte) (all [][]byte) {
		for i := range n {
			all = append(all, f(i))
		}
		return all
	}
	lengths := func(n int, f func(i int) int) [][]byte {
		return each(n, func(i int) []byte { return sure(uint64(i)+100, f(i)) })
	}
	random := rand.New(rand.NewPCG(7, 7))
	tls := func(n int) []byte {
		return append(binary.BigEndian.AppendUint16([]byte("\x17\x03\x03"), uint16(n)), sure(uint64(n), n)...)
	}
	text := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "a line of text\n"[i%15]
		}
		return b
	}
	// inText puts something at the end of every write, so that nothing looks random.
	inText := func(writes [][]byte, head []byte) [][]byte {
		out := [][]byte{}
		for _, b := range writes {
			out = append(out, append(text(2000), append(head, b...)...))
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		writes [][]byte
		want   Match
		most   int // bytes until then
	}{
		{"blocks in clear", each(4, func(i int) []byte { return piece(i, 0) }), Yes, 2 * pieceSize},
		{"blocks in clear, and other messages", each(4, func(i int) []byte { return piece(i, 9*i) }), Yes, 2 * pieceSize},
		{"blocks of text in clear", each(4, func(i int) []byte { return append(piece(i, 0)[:pieceHead], text(peerBlock)...) }), Yes, 2 * pieceSize},
		{"one block in a text", [][]byte{text(5000), piece(1, 0), text(90000)}, More, 0},
		{"blocks with much between them", inText(each(4, func(i int) []byte { return piece(i, 300) }), nil), More, 0},
		{"enciphered blocks, a write for each", lengths(9, func(int) int { return pieceSize }), Hint, pieceUsual + 2*segmentSize},
		{"enciphered blocks, two writes for each", lengths(9, func(i int) int { return []int{pieceHead, peerBlock}[i%2] }), Hint, pieceUsual + 2*segmentSize},
		{"TLS", each(20, func(int) []byte { return tls(16401) }), More, 0},
		{"TLS in small records", each(90, func(i int) []byte { return tls(1400) }), More, 0},
		{"text", each(20, func(int) []byte { return text(16384) }), More, 0},
		{"a file that is packed", lengths(9, func(int) int { return 16384 }), Hint, pieceUsual + 2*segmentSize},
		{"little", lengths(9, func(int) int { return 100 }), More, 0},
		{"sounds", lengths(2000, func(int) int { return 3 + random.IntN(900) }), More, 0},
	} {
		for _, seq := range []uint32{1000, 0xffff_f000} {
			var s Pieces
			m, n := s.arrives(seq, tt.writes)
			if m != tt.want || m != More && n > tt.most {
				t.Errorf("%s: %v after %d bytes, want %v", tt.name, m, n, tt.want)
			}
		}
	}
}

// TestPiecesByWrites: what was random is known, and the lengths of the writes decide.
func TestPiecesByWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for _, tt := range []struct {
		name   string
		length func(i int) int
		want   Match
	}{
		{"a write for each block", func(int) int { return pieceSize }, Yes},
		{"a write for two blocks", func(int) int { return 2 * pieceSize }, Yes},
		{"two writes for each block", func(i int) int { return []int{pieceHead, peerBlock}[i%2] }, Yes},
		{"four writes for each block", func(i int) int { return []int{pieceHead, 6000, 6000, 4384}[i%4] }, Yes},
		{"every third is something else", func(i int) int { return []int{pieceSize, pieceSize, 9}[i%3] }, Yes},
		{"blocks of a file by HTTP", func(int) int { return 16384 }, Hint},
		{"full records of TLS 1.2", func(int) int { return 16384 + 5 + 24 }, Hint},
		{"full records of TLS 1.3", func(int) int { return 16384 + 5 + 17 }, Hint},
		{"packets of SSH", func(int) int { return 32768 + 36 }, Hint},
		{"parts of 3000 bytes", func(int) int { return 3000 }, Hint},
		{"a length of its own each time", func(int) int { return 1000 + random.IntN(20000) }, Hint},
	} {
		var s Pieces
		s.random = pieceUsual
		got, seq := More, uint32(77)
		for i := range 400 {
			n := tt.length(i)
			if got = s.Feed(seq+uint32(n-1000), sure(uint64(i), 1000), 1000, true); got == Yes {
				break
			}
			seq += uint32(n)
		}
		if got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	// The same segments again and again have no distance.
	var s Pieces
	for range 50 {
		for _, seq := range []uint32{1000, 1000 + pieceSize, 1000 + 2*pieceSize} {
			if s.Feed(seq, nil, 10, true) == Yes {
				t.Fatal("what is sent again counts")
			}
		}
	}
}

func FuzzPieces(f *testing.F) {
	f.Add(piece(1, 0), uint32(5), uint16(16397), true)
	f.Add(sure(1, 1448), uint32(0xfffffff0), uint16(13), true)
	f.Fuzz(func(t *testing.T, b []byte, seq uint32, step uint16, ends bool) {
		var s Pieces
		for at := 0; at < len(b); at += segmentSize {
			s.Feed(seq, b[at:min(at+segmentSize, len(b))], segmentSize, ends)
			seq += uint32(step)
		}
		if a := testing.AllocsPerRun(10, func() { s.Feed(seq, b, len(b), ends) }); a != 0 {
			t.Errorf("%v allocations", a)
		}
	})
}
