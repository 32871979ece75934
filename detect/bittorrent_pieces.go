// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// Peers send a file in blocks of 16 KiB, each in a message with a head of 13 bytes:
//
//	u32 length (9 + 16384), 7, u32 number of the piece, u32 offset of the block, the block
//
// A connection whose beginning nobody saw shows that in the data that comes in, also when
// the LAN host sends nothing for a while. In clear, the heads are there, at the distance of
// a message. Encryption hides the heads, but not the lengths: a program that writes block
// by block ends a message with TCP's flag PSH.

const (
	pieceSize = 4 + 9 + peerBlock // of a message with a block, in bytes
	pieceHead = 4 + 9
	// pieceMore is how many bytes of other messages may be between two blocks. A recorded
	// session (a capture in a file) has the headers of all its packets there.
	pieceMore = 255
	// pieceEnds is how many of the last ends of a write are compared. A sender with a rate
	// limit writes less than a block at a time.
	pieceEnds = 6
	// pieceSteps is how many times the distance of two ends must be a whole number of
	// messages, up to pieceMost. By chance, one end in 2700 has such a distance. After
	// pieceMisses ends without one, counting begins anew.
	pieceSteps  = 3
	pieceMost   = 16
	pieceMisses = 32
	// pieceUsual is how many random bytes must have come from a port where peers listen.
	// With TLS, so many bytes contain the header of a record.
	pieceUsual = middleRecord
)

// pieceStart is how a message with a block begins.
var pieceStart = []byte{0, 0, (9 + peerBlock) >> 8, (9 + peerBlock) & 0xff, peerPiece}

// Pieces is what was seen of the data that came in on a connection. The zero value is
// ready.
type Pieces struct {
	_      [0]func()         // not comparable: code to compare it costs flash
	head   uint32            // where the last head in clear was
	ends   [pieceEnds]uint32 // where the last writes ended, in a ring
	nends  uint8
	steps  uint8 // distances of a whole number of messages
	misses uint8 // ends since the last of these
	clear  bool  // there was a head in clear
	plain  bool  // there was something that is not random
	random uint32
}

// Feed reads a segment that came in: its sequence number, its data as far as it can be
// seen, its length, and whether a write ended with it. Yes says that the connection carries
// blocks of a file in the way of peers. Hint is that of looksRandom: so it is between peers.
func (s *Pieces) Feed(seq uint32, b []byte, length int, ends bool) Match {
	for at := 0; ; {
		i := bytes.Index(b[at:], pieceStart)
		if i < 0 {
			break
		}
		at += i
		if len(b)-at < pieceHead {
			break
		}
		if be32(b[at+9:])%peerBlock == 0 {
			here := seq + uint32(at)
			d := here - s.head
			if s.clear && d >= pieceSize && d < pieceMost*pieceSize && d%pieceSize <= pieceMore {
				return Yes
			}
			if !s.clear || int32(d) > 0 {
				s.head, s.clear = here, true
			}
		}
		at += len(pieceStart)
	}
	if ends && s.ended(seq+uint32(length)) {
		return Yes
	}
	return s.looksRandom(b)
}

// looksRandom returns Hint when all that came in looks random, and is enough to tell it from
// TLS.
func (s *Pieces) looksRandom(b []byte) Match {
	if len(b) < middleLong || s.plain {
		return More
	}
	if s.plain = bytes.Contains(b, tlsData) || !random(b[:middleLong/2]); s.plain {
		return More
	}
	if s.random = min(s.random, pieceUsual) + uint32(len(b)); s.random > pieceUsual {
		return Hint
	}
	return More
}

// ended notes where a write ended, and reports whether the ends show messages with blocks.
func (s *Pieces) ended(end uint32) bool {
	step := false
	for _, e := range s.ends[:min(s.nends, pieceEnds)] {
		d := end - e
		if d == 0 || int32(d) < 0 {
			return false // it was sent again
		}
		step = step || d%pieceSize == 0 && d <= pieceMost*pieceSize
	}
	s.ends[s.nends%pieceEnds] = end
	if s.nends++; s.nends == 2*pieceEnds {
		s.nends = pieceEnds
	}
	switch {
	case step:
		s.steps, s.misses = s.steps+1, 0
	case s.misses == pieceMisses:
		s.steps = 0
	default:
		s.misses++
	}
	return s.steps >= pieceSteps
}
