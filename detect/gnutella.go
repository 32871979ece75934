// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Gnutella stands for Gnutella and Gnutella2 (G2), which begins its connections in the
// same way. Programs such as Shareaza and gtk-gnutella use both at one port. Sources: the
// drafts of Gnutella 0.6, of its extensions and of G2 that the developers' forum has
// published, and captures of gtk-gnutella 1.2.2 and MLDonkey 3.2.1.
var Gnutella = Protocol{
	Name:     "gnutella",
	Title:    "Gnutella",
	Programs: "Shareaza, gtk-gnutella, WireShare, MLDonkey",
	Datagram: gnDatagram,
	First:    gnFirst,
	Begins:   "GP",
	Header:   gnHeader,
	Answer:   gnAnswer,
	Probes: []Probe{
		{Name: "ping", Build: gnPing, Answered: gnPinged},
		{Name: "g2", Build: g2Ping, Answered: g2Pinged},
		{Name: "handshake", TCP: true, Build: gnQuestion, Answered: gnAnswered},
	},
	Sift:  true,
	Mode:  ModeBlock,
	Ports: []uint16{6346, 6347, 6348},
	// Address caches.
	Names: []string{
		"*.gnutella.dyslexicfish.net", "*.uhc.gtk-gnutella.nl", "*.gtkgnutella.com",
		"cache.trillinux.org", "dkac.trillinux.org", "cache.ce3c.be", "cache.ibel.de", "ping.pongwar.com",
		"p2p.findclan.net", "p2p.findclan.org", "gwc.gallaxial.com", "gwc.centrump2p.com",
	},
}

// The header of a UDP message: a message ID of 16 bytes that answers repeat, the type,
// the TTL, the hops so far, and the length of the body, little-endian.
const (
	gnHead   = 23
	gnType   = 16
	gnTTL    = 17
	gnHops   = 18
	gnLength = 19
	// gnFar is the largest TTL and the largest number of hops that is accepted.
	gnFar = 15
)

// The types of messages.
const (
	gnTypePing   = 0x00
	gnTypePong   = 0x01 // port u16, address, files u32, kilobytes u32
	gnTypeBye    = 0x02
	gnTypeQRP    = 0x30
	gnTypeVendor = 0x31 // vendor of 4 letters, u16, version u16
	gnTypeStd    = 0x32
	gnTypePush   = 0x40 // target, file, address, port
	gnTypeDHT    = 0x44 // a version of two bytes in place of TTL and hops
	gnTypeQuery  = 0x80
	gnTypeHit    = 0x81
)

// gnLeast returns the least length of a message's body, or -1 if the type comes only by
// TCP.
func gnLeast(t byte) int {
	switch t {
	case gnTypePing:
		return 0
	case gnTypePong:
		return 14
	case gnTypeVendor, gnTypeStd:
		return 8
	case gnTypePush:
		return 26
	case gnTypeDHT:
		return 38 // opcode, vendor, its version, node ID, address
	case gnTypeQuery:
		return 3
	case gnTypeHit:
		return 27
	}
	return -1
}

func gnDatagram(b []byte, f *Finding) Kind {
	if len(b) > 0 && b[0] == 'G' {
		if k := gnBits(b, f); k != None {
			return k
		}
	}
	if !gnWhole(b) {
		return None
	}
	f.Conduct = true
	switch b[gnType] {
	case gnTypePing, gnTypeQuery:
		f.Reason = ReasonPing
		return Query
	case gnTypeDHT:
		if b[gnHead]&1 != 0 { // queries have odd opcodes, answers even ones
			f.Reason = ReasonPing
			return Query
		}
	}
	f.Reason = ReasonPong
	return Reply
}

// gnWhole reports whether b is a message as programs send it, with the length that its
// header says.
func gnWhole(b []byte) bool {
	if len(b) < gnHead || le32(b[gnLength:]) != uint32(len(b)-gnHead) {
		return false
	}
	if least := gnLeast(b[gnType]); least < 0 || len(b) < gnHead+least {
		return false
	}
	bits := byte(0)
	for _, c := range b[:gnType] {
		bits |= c
	}
	if bits == 0 {
		return false
	}
	if b[gnType] == gnTypeVendor || b[gnType] == gnTypeStd {
		for _, c := range b[gnHead : gnHead+4] {
			if c != 0 && !isAlnum(c) {
				return false
			}
		}
	}
	return b[gnType] == gnTypeDHT && b[gnTTL] <= 1 || b[gnTTL] <= gnFar && b[gnHops] <= gnFar
}

// gnPing builds a ping. As the drafts require, the ninth byte of its message ID is all
// ones and the last is zero.
func gnPing(dst, _ []byte, salt uint32) int {
	if len(dst) < gnHead {
		return 0
	}
	var none [16]byte
	g := randomFrom(&none, salt)
	b := dst[:gnHead]
	clear(b)
	g.fill(b[:gnType-1])
	b[8], b[gnTTL] = 0xff, 1
	return gnHead
}

// gnPinged reports whether b is a pong with the ping's message ID.
func gnPinged(b, probe []byte) bool {
	return gnWhole(b) && b[gnType] == gnTypePong && len(probe) >= gnType && string(b[:gnType]) == string(probe[:gnType])
}

// gnAnswer answers a ping with the pong of a peer that shares nothing. The client then
// tries to connect to that peer.
func gnAnswer(dst, query []byte, form Answer, a *Asked) int {
	const pong = gnHead + 14
	if form == AnswerNone || len(dst) < pong || !gnWhole(query) || query[gnType] != gnTypePing || !is4(&a.Peer) {
		return 0
	}
	b := dst[:pong]
	clear(b)
	copy(b, query[:gnType])
	b[gnType], b[gnTTL], b[gnLength] = gnTypePong, 1, pong-gnHead
	b[gnHead], b[gnHead+1] = byte(a.PeerPort), byte(a.PeerPort>>8)
	copy(b[gnHead+2:], a.Peer[12:])
	return pong
}
