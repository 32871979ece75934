// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// FastTrack is the network of Kazaa, Kazaa Lite, iMesh, Grokster, and of giFT and
// MLDonkey. Sources: Lowth, "Shutting down peer-to-peer" (Linux Journal, 2003), the
// giFT-FastTrack project's notes on the protocol, and captures of giFT 0.11.9 and
// MLDonkey 3.2.1. Integers are big-endian.
var FastTrack = Protocol{
	Name:      "fasttrack",
	Title:     "FastTrack",
	Programs:  "Kazaa, Kazaa Lite, iMesh, Grokster, giFT, MLDonkey",
	Datagram:  ftDatagram,
	First:     ftFirst,
	Begins:    "\xfaG",
	Header:    ftHeader,
	Answer:    ftAnswer,
	OnePort:   true,
	Port:      1214,
	Quiet:     true,
	Panel:     ftPanel,
	PanelPort: 4080,
	Word:      ftWord,
	Mode:      ModeBlock,
	Strict:    true,
	Old:       true,
	Full:      true,
	Exclusive: true,
	Probes: []Probe{
		{Name: "ping", Build: ftProbe},
		{Name: "http", TCP: true, Build: httpProbe},
	},
}

// The types of a datagram, in its first byte.
const (
	ftPing     = 0x27 // 27, u32 encryption type, 80, network, 00
	ftPong     = 0x28 // 28, u32 encryption type, 00, clock, u16, load, u8, network, 00
	ftPongFull = 0x29 // 29, u32 encryption type, 01|02, flag, u16 0, u32 id (+ u32, u16, u16 if flag)
	ftPongAck  = 0x2a // 2a, u32 id
	ftShortMin = 0xc0 // c0..c3: too short to be sure alone
	ftShortMax = 0xc3
)

const (
	ftPingHead = 6  // bytes of a ping before the network's name
	ftPongHead = 11 // bytes of a pong before the network's name
	// ftMaxName is the longest network name that is accepted. The longest one seen is
	// fileshare.
	ftMaxName = 32
)

func ftDatagram(b []byte, f *Finding) Kind {
	if len(b) < 2 {
		return None
	}
	switch b[0] {
	case ftPing:
		if ftIsPing(b) {
			f.Reason, f.Conduct = ReasonPing, true
			return Query
		}
	case ftPong:
		if len(b) > ftPongHead && b[5] == 0 && ftName(b[ftPongHead:]) {
			f.Reason = ReasonPong
			return Reply
		}
	case ftPongFull:
		if ftIsFull(b) {
			f.Reason = ReasonPong
			return Reply
		}
	case ftPongAck:
		if len(b) == 5 {
			return Weak
		}
	default:
		if b[0] >= ftShortMin && b[0] <= ftShortMax && len(b) <= MaxQuery {
			return Weak
		}
	}
	return None
}

// ftName reports whether b is a network's name with its closing zero, and nothing more:
// the name determines the datagram's length.
func ftName(b []byte) bool {
	n := len(b) - 1
	if n < 2 || n > ftMaxName || b[n] != 0 {
		return false
	}
	for _, c := range b[:n] {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// ftIsPing reports whether b is a ping.
func ftIsPing(b []byte) bool {
	return len(b) > ftPingHead && b[0] == ftPing && b[5] == 0x80 && ftName(b[ftPingHead:])
}

func ftIsFull(b []byte) bool {
	if len(b) < 13 || b[5] != 1 && b[5] != 2 || b[7]|b[8] != 0 {
		return false
	}
	return b[6] == 0 && len(b) == 13 || b[6] == 1 && len(b) == 21
}

// ftAnswer builds the pong for a ping. It repeats the ping's encryption type and network.
func ftAnswer(dst, query []byte, form Answer, a *Asked) int {
	salt := a.Salt
	if !ftIsPing(query) || len(dst) < MaxQuery {
		return 0
	}
	name := query[ftPingHead:]
	copy(dst[1:5], query[1:5])
	switch form {
	case AnswerWelcome:
		dst[0] = ftPong
		dst[5] = 0
		dst[6] = byte(salt) // clock
		dst[7], dst[8] = 0x3c, 0x13
		dst[9] = 20 + byte(salt>>8)%60 // load in percent
		dst[10] = 5
		return ftPongHead + copy(dst[ftPongHead:], name)
	case AnswerFull:
		dst[0] = ftPongFull
		dst[5] = 1
		dst[6], dst[7], dst[8] = 0, 0, 0
		dst[9], dst[10], dst[11], dst[12] = byte(salt>>24), byte(salt>>16), byte(salt>>8), byte(salt)
		return 13
	}
	return 0
}

// ftProbe sends the client's own ping back. A running client answers it.
func ftProbe(dst, query []byte, _ uint32) int {
	if !ftIsPing(query) {
		return 0
	}
	return copy(dst, query)
}

// httpProbe builds a request that a client answers with headers of its own.
func httpProbe(dst, _ []byte, _ uint32) int { return copy(dst, "GET / HTTP/1.1\r\n\r\n") }
