// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// HarmlessDatagram reports whether the UDP payload b from a LAN host shows that its flow
// is something known other than file sharing. port is the port of the host outside. This
// saves work: the engine reads nothing more of the flow, and does not probe the host
// because of it. The caller passes only payloads that no protocol is sure of: a tracker's
// connection ID can be anything, so it can look like any form here.
//
// One datagram must be enough. So each form needs constants and lengths that random bytes
// do not have. Some forms begin with bytes that also fit BitTorrent:
//
//   - uTP begins with 01, 11, 21, 31 or 41. DNS and STUN can begin like this too. But they
//     have a constant where uTP has a time stamp. A uTP packet has the same value once in
//     65,536 packets (DNS, and the name after it must fit too) or once in 2^32 (STUN).
//     WireGuard's first message looks like uTP data on connection 0, which is one connection
//     in 65,536, with exactly 148 bytes. Symmetric NTP shares two bytes with uTP, so it does
//     not count as harmless.
//   - A DHT message is a dictionary, "d": no form here begins so.
//   - Vuze's DHT begins with a random number of 4 bytes whose highest bit is set, like QUIC.
//     So QUIC's version and two of its lengths must fit as well. The replies of Vuze's DHT
//     begin with 000004, flags that no DNS query has.
func HarmlessDatagram(b []byte, port uint16) bool {
	if len(b) < 12 {
		return false
	}
	switch port {
	case dnsPort:
		if isDNSQuery(b) {
			return true
		}
	case 123:
		if isNTP(b) {
			return true
		}
	case 500:
		return isIKE(b)
	case openVPNPort:
		if isOpenVPN(b) {
			return true
		}
	case 4500:
		// Encrypted packets come to this port too, and begin with their number.
		return be32(b) == 0 && isIKE(b[4:])
	}
	switch c := b[0]; {
	case c&0xc0 == 0xc0:
		return isQUIC(b)
	case c >= 'A':
		return isSIP(b)
	case c >= 20 && c <= 23:
		return isDTLS(b)
	}
	return isSTUN(b) && int(be16(b[2:]))+stunHeader == len(b) || isWireGuard(b)
}

// isNTP reports whether b is a client's NTP request (RFC 5905), perhaps with extensions.
func isNTP(b []byte) bool {
	const client = 3
	version := b[0] >> 3 & 7
	return len(b) >= 48 && len(b)%4 == 0 && b[0]&7 == client && version >= 1 && version <= 4 && b[1] <= 16
}

const openVPNPort = 1194

// isOpenVPN reports whether b is the reset that opens an OpenVPN session: opcode 7 or 10
// in the upper five bits, key 0 in the lower three. That is not much to recognise, so it
// counts only at OpenVPN's own port. No uTP packet begins so.
func isOpenVPN(b []byte) bool {
	op := b[0] >> 3
	return len(b) >= 14 && b[0]&7 == 0 && (op == 7 || op == 10)
}

// isIKE reports whether b is one complete IKE message (RFC 2409, RFC 7296).
func isIKE(b []byte) bool {
	const header = 28
	return len(b) >= header && (b[17] == 0x10 || b[17] == 0x20) &&
		be32(b)|be32(b[4:]) != 0 && be32(b[24:]) == uint32(len(b))
}

// isQUIC reports whether b begins with a QUIC long header (RFC 8999), as the first
// packets of both sides do.
func isQUIC(b []byte) bool {
	const most = 20 // bytes of a connection ID
	version := be32(b[1:])
	switch {
	case version == 1, version == 0x6b3343cf, // RFC 9000, RFC 9369
		version>>8 == 0xff0000 && version&0xff >= 22, // drafts
		version&0x0f0f0f0f == 0x0a0a0a0a:             // reserved, to test version negotiation
	case version>>24 == 'Q', version>>24 == 'T': // Google's own
		for _, c := range b[2:5] {
			if c < '0' || c > '9' {
				return false
			}
		}
		if version == 'Q'<<24|'0'<<16|'4'<<8|'6' {
			return b[5] == 0x50 // both lengths in one byte: 8 bytes to the server
		}
	default:
		return false
	}
	to := int(b[5])
	if to > most || 6+to >= len(b) {
		return false
	}
	from := int(b[6+to])
	return from <= most && 7+to+from < len(b)
}

const (
	stunHeader = 20
	stunMagic  = 0x2112a442
)

// isSTUN reports whether b begins with the header of a STUN or TURN message (RFC 8489).
func isSTUN(b []byte) bool {
	return len(b) >= 8 && b[0]&0xc0 == 0 && b[3]&3 == 0 && be32(b[4:]) == stunMagic
}

// isDTLS reports whether b is a sequence of complete DTLS records (RFC 6347), as calls,
// browsers and VPNs send them.
//
//go:noinline
func isDTLS(b []byte) bool {
	const header = 13
	for len(b) > 0 {
		if len(b) < header || b[0] < 20 || b[0] > 23 || b[1] != 0xfe ||
			b[2] != 0xfd && b[2] != 0xff && b[2] != 0xfc {
			return false
		}
		n := int(be16(b[11:]))
		if n == 0 || header+n > len(b) {
			return false
		}
		b = b[header+n:]
	}
	return true
}

// isWireGuard reports whether b is one of WireGuard's two handshake messages.
func isWireGuard(b []byte) bool {
	if b[1]|b[2]|b[3] != 0 {
		return false
	}
	return b[0] == 1 && len(b) == 148 || b[0] == 2 && len(b) == 92
}

// isSIP reports whether b begins with the first line of a SIP message (RFC 3261):
// "SIP/2.0 200 ", or method and scheme as in "INVITE sip:...".
func isSIP(b []byte) bool {
	if hasPrefix(b, []byte("SIP/2.0 ")) == Yes {
		return true
	}
	for _, method := range sipMethods {
		if hasPrefix(b, []byte(method)) != Yes {
			continue
		}
		for _, scheme := range [...]string{"sip:", "sips:", "tel:"} {
			if hasPrefix(b[len(method):], []byte(scheme)) == Yes {
				return true
			}
		}
	}
	return false
}

var sipMethods = [...]string{
	"REGISTER ", "INVITE ", "OPTIONS ", "ACK ", "BYE ", "CANCEL ", "SUBSCRIBE ", "NOTIFY ",
	"PUBLISH ", "MESSAGE ", "INFO ", "UPDATE ", "PRACK ", "REFER ",
}
