// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// RTC is what one datagram from a LAN host says about a WebRTC session. WebTorrent
// programs exchange pieces over WebRTC data channels: ICE (RFC 8445) finds a path with
// STUN, then SCTP runs inside DTLS (RFC 8831). Calls and games in a browser look much the
// same, so nothing of this proves anything. It only tells which sessions are not a
// browser's, on a host that is proved to run such a program.
type RTC uint8

const (
	// RTCNone: not WebRTC, or an irrelevant part of it.
	RTCNone RTC = iota
	// RTCSTUN: a STUN message that tells nothing more.
	RTCSTUN
	// RTCProgram: STUN from a program with its own WebRTC library, not from a browser.
	RTCProgram
	// RTCCheck: an ICE connectivity check that a browser may have sent.
	RTCCheck
	// RTCHello: a DTLS ClientHello that is not a browser's. All browsers offer SRTP, even
	// for data channels alone. None offers encrypt_then_mac (RFC 7366), as OpenSSL,
	// GnuTLS and Mbed TLS do.
	RTCHello
	// RTCData: DTLS application data, which carries data channels. Voice and video use
	// SRTP, which is not DTLS.
	RTCData
	// RTCLikeData: possibly application data of DTLS 1.3, judged by its first byte.
	RTCLikeData
)

// The STUN message and attributes (RFC 8489) that are used here.
const (
	stunBindingRequest = 0x0001
	stunUsername       = 0x0006
	stunSoftware       = 0x8022
)

// pionUfrag is the length of the ICE user name fragment that pion makes, of letters only.
// Chromium and Safari use 4 characters, Firefox 8.
const pionUfrag = 16

// WebRTC says what the UDP payload b from a LAN host is in a WebRTC session.
//
// Sources: src/stun.c and src/ice.c of libjuice, which libdatachannel, libtorrent 2.1 and
// node-datachannel (WebTorrent) use: each of its messages has its name in SOFTWARE.
// rand.go of pion/ice, which anacrolix/torrent uses. Captures of both and of Chromium.
func WebRTC(b []byte) RTC {
	if len(b) < 13 {
		return RTCNone
	}
	switch c := b[0]; {
	case c&0xf0 == 0x40 && int(be16(b[2:]))+4 <= len(b): // within a TURN channel
		b = b[4:]
	case c >= 0x40:
		return RTCNone
	case isSTUN(b):
		return stunRTC(b)
	}
	if len(b) < 13 || b[0] < 20 || b[0] > 63 {
		return RTCNone
	}
	return dtlsRTC(b)
}

// stunRTC reads the attributes of a STUN message.
func stunRTC(b []byte) RTC {
	if len(b) < stunHeader || int(be16(b[2:]))+stunHeader != len(b) {
		return RTCNone
	}
	request := be16(b) == stunBindingRequest
	found := RTCSTUN
	for b = b[stunHeader:]; len(b) >= 4; {
		kind, n := be16(b), int(be16(b[2:]))
		padded := 4 + (n+3)&^3
		if padded > len(b) {
			return RTCNone
		}
		value := b[4 : 4+n]
		switch {
		case kind == stunSoftware && hasPrefix(value, []byte("libjuice")) == Yes:
			return RTCProgram
		case kind == stunUsername && request:
			// The user name fragment of the other side, a colon, and the LAN host's own.
			for i, c := range value {
				if c == ':' {
					found = RTCCheck
					if isPionUfrag(value[i+1:]) {
						found = RTCProgram
					}
				}
			}
		}
		b = b[padded:]
	}
	return found
}

func isPionUfrag(b []byte) bool {
	if len(b) != pionUfrag {
		return false
	}
	for _, c := range b {
		if c = lower(c); c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// The types of DTLS records, handshake messages (RFC 6347) and extensions.
const (
	dtlsData          = 23
	dtlsClientHello   = 1
	tlsUseSRTP        = 14
	tlsEncryptThenMAC = 22
)

const (
	dtlsRecord  = 13
	dtlsMessage = 12
)

// dtlsRTC reads the first record of a DTLS datagram.
func dtlsRTC(b []byte) RTC {
	if b[0]&0xe0 == 0x20 { // DTLS 1.3, encrypted (RFC 9147, 4)
		return RTCLikeData
	}
	if !isDTLS(b) {
		return RTCNone
	}
	encrypted := be16(b[3:]) != 0 // the epoch
	if b[0] == dtlsData && encrypted {
		return RTCData
	}
	b = b[dtlsRecord : dtlsRecord+int(be16(b[11:]))]
	if len(b) < dtlsMessage || encrypted {
		return RTCNone
	}
	// The type and length of the message, its number, and the offset and length of this
	// fragment.
	length := be32(b) & 0xffffff
	whole := be32(b[5:])&0xffffff == 0 && be32(b[8:])&0xffffff == length && dtlsMessage+int(length) == len(b)
	if b[0] != dtlsClientHello || !whole {
		return RTCNone
	}
	extensions, ok := helloExtensions(b[dtlsMessage:], true)
	if !ok {
		return RTCNone
	}
	_, mac, _ := extension(extensions, tlsEncryptThenMAC)
	_, srtp, ends := extension(extensions, tlsUseSRTP)
	if mac || !srtp && ends {
		return RTCHello
	}
	return RTCNone
}
