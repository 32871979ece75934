// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// eDonkey connections can be obfuscated by RC4 (aMule's EncryptedStreamSocket). Their
// first byte differs from that of every plain message. With a server, a client makes a
// Diffie-Hellman key exchange, as with MSE:
//
//	client -> marker1, Ya (96 bytes), a length of 0 to 15, and so many bytes
//	server -> Yb (96 bytes), then by RC4: magic4 methods1 method1, a length, so many bytes
//	client -> by RC4: magic4 method1, a length, so many bytes, the login
//
// Then both sides know the secret S. The client's RC4 key is MD5(S, 34), the server's is
// MD5(S, 203). Both sides discard the first 1024 bytes of their streams. So we can answer
// in the server's place. A client that then sends the magic certainly speaks eDonkey.
//
// Between clients, the key is made from the user hash of the accepting client, which
// nobody else knows:
//
//	client -> marker1 random4, then by RC4: magic4 methods1 method1, a length, so many bytes
//
// That is 12 to 267 random bytes, so many other things look the same.
var edonkeyHidden = Handshake{
	First:  edonkeyServerKey,
	Alone:  true,
	Shaped: edonkeyShaped,
	Middle: edonkeyMiddle,
	// A client asks for 540 KB at once, and says nothing until they are there.
	Pieces: func(s *Pieces, _ uint32, b []byte, _ int, _ bool) Match { return s.looksRandom(b) },
	Answer: edonkeyKeyAnswer,
	Proof:  edonkeyKeyProof,
	Proved: func(b []byte, want *[20]byte) bool {
		return len(b) >= edonkeyProofSize && string(b[:edonkeyProofSize]) == string(want[:edonkeyProofSize])
	},
}

const (
	edonkeyMagic     = 0x835e6fc4
	edonkeySkipped   = 1024
	edonkeyToServer  = 34
	edonkeyToClient  = 203
	edonkeyProofSize = 4 + 1 // the magic, and the only existing method
	edonkeyMostPad   = 15
	edonkeyLeast     = 12
	edonkeyMost      = edonkeyLeast + 255
	// The length of a request for parts of a file, and of one for parts of a large file.
	edonkeyRequest   = 5 + 1 + edonkeyHash + 6*4
	edonkeyRequest64 = 5 + 1 + edonkeyHash + 6*8
)

// edonkeyPrime is the group of the key exchange with servers.
var edonkeyPrime = mseGroup{
	prime: mseNumber{
		0x6af70df3, 0x548b5f43, 0x8f05150f, 0x42fb4268, 0xf88b2891, 0x0f762387,
		0x28105f34, 0x7df77818, 0x5ad5e074, 0x1cceaed4, 0x5255d4f6, 0xb207cbaa,
		0x86da4a91, 0xce259f22, 0x66535bdb, 0x21fc2863, 0x43affce7, 0xc73a41a6,
		0xc34cb40d, 0x6217a33e, 0xe886eb3c, 0x5371a936, 0x5f587add, 0xf2bf52c5,
	},
	square: mseNumber{
		0x4d035c41, 0x62ffa80e, 0x03530afd, 0x437f8750, 0x17981bd9, 0x9d987742,
		0x837f312c, 0x28fb372b, 0x717463b6, 0x33b37612, 0x5537f96e, 0x51882d3c,
		0x55592449, 0xa1137cdd, 0x92abf3ce, 0xb3a893d6, 0x7e0cad6a, 0x9eee7719,
		0x0167ddd1, 0xfb1ada0b, 0xa378f69c, 0x369addcf, 0x6049d664, 0x4aed7b8b,
	},
	inverse: 0x9d31acc5,
}

// edonkeyMarker reports whether c can be the first byte of an obfuscated connection.
func edonkeyMarker(c byte) bool { return c != edonkeyPlain && c != edonkeyEMule && c != edonkeyPacked }

// edonkeyServerKey reports whether b can be the first message to a server. Of random data
// of the same length, one in 256 has the right length byte.
func edonkeyServerKey(b []byte) bool {
	const head = 1 + mseKey + 1
	return len(b) >= head && len(b) <= head+edonkeyMostPad && int(b[head-1]) == len(b)-head &&
		edonkeyMarker(b[0]) && random(b[1:head-1])
}

// edonkeyShaped reports whether b can be the first message to another client. The test for
// random bytes says little about a short message. Half of random bytes have their highest
// bit set, and of the bytes of a short message of another protocol few have. Of the shortest
// messages one in 300 is missed.
func edonkeyShaped(b []byte) bool {
	if len(b) < edonkeyLeast || len(b) > edonkeyMost || !edonkeyMarker(b[0]) || !random(b) || framed(b) {
		return false
	}
	high := 0
	for _, c := range b {
		high += int(c >> 7)
	}
	return 6*high >= len(b)
}

// edonkeyMiddle reads one more segment of a connection that is in its middle. A plain
// connection has messages whose length fits their opcode. An obfuscated one looks random.
func edonkeyMiddle(m *PeerMiddle, b []byte, ends bool) Match {
	if edonkeyMessage(b) {
		m.Sure = true
		return Yes
	}
	if peerMiddle(b) == Yes {
		return No
	}
	// A request for parts is a segment of its own, some 180 KB after the one before.
	if (len(b) == edonkeyRequest || len(b) == edonkeyRequest64) && random(b) && !framed(b) {
		return Yes
	}
	match := mseMiddle(m, b, ends)
	m.First, m.Likely, m.Sure = false, false, false // they would mean BitTorrent
	return match
}

// edonkeyMessage reports whether b begins with a request for parts of a file, with a part
// of a file, or with another message that consists of the file's hash.
func edonkeyMessage(b []byte) bool {
	if len(b) < edonkeyHead || b[0] != edonkeyPlain && b[0] != edonkeyEMule {
		return false
	}
	n, most := le32(b[1:]), uint32(64<<10)
	switch b[5] {
	case 0x47: // hash16, three start offsets, three end offsets
		return b[0] == edonkeyPlain && n == edonkeyRequest-5
	case 0xa3: // the same for large files
		return b[0] == edonkeyEMule && n == edonkeyRequest64-5
	case 0x46: // hash16, start offset, end offset, the bytes between
		return b[0] == edonkeyPlain && len(b) >= edonkeyHead+edonkeyHash+8 && n < most &&
			le32(b[edonkeyHead+edonkeyHash+4:])-le32(b[edonkeyHead+edonkeyHash:]) == n-1-edonkeyHash-8
	case 0x40: // hash16, start offset, total length, compressed bytes
		return b[0] == edonkeyEMule && n > 1+edonkeyHash+8 && n < most && len(b) >= edonkeyHead+edonkeyHash+8
	case 0x48, 0x4f, 0x51, 0x54, 0x58: // hash16
		return b[0] == edonkeyPlain && n == 1+edonkeyHash
	}
	return false
}

// edonkeyKeyAnswer writes our key into dst, and the RC4 data that follows it.
func edonkeyKeyAnswer(dst, first []byte, salt uint32) int {
	const rest = 4 + 1 + 1 + 1
	var key [16]byte
	if len(dst) < mseKey+rest || !edonkeySecret(first, salt, edonkeyToClient, &key) {
		return 0
	}
	var y mseNumber
	edonkeyPrime.power2(&y, mseExponent(salt))
	y.put(dst)
	end := dst[mseKey : mseKey+rest]
	clear(end)
	putLE32(end, edonkeyMagic)
	var r rc4
	r.start(key[:])
	r.skip(edonkeySkipped)
	r.crypt(end, end)
	return mseKey + rest
}

// edonkeyKeyProof writes into want what a client sends after that answer.
func edonkeyKeyProof(first []byte, salt uint32, want *[20]byte) bool {
	var key [16]byte
	if !edonkeySecret(first, salt, edonkeyToServer, &key) {
		return false
	}
	*want = [20]byte{}
	putLE32(want[:], edonkeyMagic)
	var r rc4
	r.start(key[:])
	r.skip(edonkeySkipped)
	r.crypt(want[:edonkeyProofSize], want[:edonkeyProofSize])
	return true
}

// edonkeySecret writes the RC4 key for the direction into key. first is the client's
// first message, and salt chooses our exponent.
func edonkeySecret(first []byte, salt uint32, direction byte, key *[16]byte) bool {
	if !edonkeyServerKey(first) {
		return false
	}
	var y mseNumber
	y.set(first[1:])
	if !edonkeyPrime.power(&y, mseExponent(salt)) {
		return false
	}
	var in [mseKey + 1]byte
	y.put(in[:])
	in[mseKey] = direction
	md5Sum(in[:], key)
	return true
}
