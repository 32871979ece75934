// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "math/bits"

// Soulseek is Nir Arbel's network: SoulseekQt, Nicotine+, slskd, Seeker, MLDonkey. A
// client logs in at the single server. The server tells it the addresses of peers, and
// the client talks to them by TCP. Sources: the protocol documentation of Nicotine+ and
// of aioslsk, and what Nicotine+ 3.2 and 3.3 and MLDonkey send. Numbers are
// little-endian. A string has its length before it.
//
// The server takes logins at the ports 2242, 2240 and 2416. By default clients listen at
// 2234, and at the next port for obfuscated connections.
var Soulseek = Protocol{
	Name:     "soulseek",
	Title:    "Soulseek",
	Programs: "SoulseekQt, Nicotine+, slskd, Seeker, MLDonkey",
	First:    soulseekFirst,
	Next:     soulseekNext,
	Middle:   soulseekMiddle,
	Probes: []Probe{
		{Name: "request", TCP: true, Alone: soulseekHello, Build: soulseekAsk, Answered: soulseekAnswered},
	},
	Sift:    true,
	Mode:    ModeBlock,
	Port:    2234,
	Ports:   []uint16{2234, 2235, 2236, 2237, 2238, 2239},
	Servers: []uint16{2242, 2240, 2416},
	Names:   []string{"server.slsknet.org", "vps.slsknet.org"},
}

// The message numbers. They have 32 bits in messages to the server and in sessions
// between peers, and 8 bits in messages that begin a connection between peers.
const (
	soulseekLogin    = 1
	soulseekListens  = 2
	soulseekRequest  = 40
	soulseekResponse = 41
	soulseekLastCode = 1003

	soulseekPierce = 0
	soulseekInit   = 1
)

const (
	soulseekWord = 30  // the longest user name, in bytes
	soulseekPass = 128 // the longest password that is accepted
	soulseekHash = 32  // an MD5 as text
)

// soulseekFirst recognises the login at the server, and the first message of a connection
// between peers, plain or obfuscated.
func soulseekFirst(b []byte, outbound bool, f *Finding) Match {
	if !outbound {
		return No
	}
	m := soulseekBegin(b, f)
	if m == No {
		m = soulseekHidden(b, f)
	}
	return m
}

// The least and the greatest lengths of these messages.
const (
	soulseekLeast = 5
	soulseekMost  = 4 + 4 + soulseekWord + 4 + soulseekPass + 4 + 4 + soulseekHash + 4
)

func soulseekBegin(b []byte, f *Finding) Match {
	n, m := soulseekLength(b, soulseekLeast, soulseekMost)
	switch {
	case m != Yes:
		return m
	case len(b) == 4:
		return More
	case b[4] == soulseekPierce && n == 5:
		if len(b) < 9 {
			return More
		}
		f.Reason = ReasonPeer
		return Hint
	case b[4] != soulseekInit:
		return No
	}
	// A login has the same number in 32 bits, and no name is 256 bytes long.
	if m = soulseekPeer(b[5:], n, f); m == No {
		m = soulseekServer(b, n, f)
	}
	return m
}

// soulseekLength reads the length of a message. It returns No if the length is out of
// bounds.
func soulseekLength(b []byte, least, most uint32) (uint32, Match) {
	var n uint32
	if len(b) >= 4 {
		n = le32(b)
	} else {
		var part [4]byte
		copy(part[:], b)
		n = le32(part[:])
	}
	switch {
	case n > most:
		return 0, No
	case len(b) < 4:
		return 0, More
	case n < least:
		return 0, No
	}
	return n, Yes
}

// soulseekString reads a printable string of at most most bytes. It returns the string,
// and the bytes after it.
func soulseekString(b []byte, most uint32) (s, rest []byte, m Match) {
	n, m := soulseekLength(b, 1, most)
	if m != Yes {
		return nil, nil, m
	}
	b = b[4:]
	for i, c := range b[:min(len(b), int(n))] {
		if c < ' ' || c == 0x7f || c == ' ' && i == 0 {
			return nil, nil, No
		}
	}
	if len(b) < int(n) {
		return nil, nil, More
	}
	return b[:n], b[n:], Yes
}

// soulseekServer reads a login: name, password, the program's number, and, except in very
// old programs, an MD5 and a version number. The next message tells where the client
// listens.
func soulseekServer(b []byte, n uint32, f *Finding) Match {
	const head, tail = 8, 4 + soulseekHash + 4
	if m := hasPrefix(b[4:], []byte{soulseekLogin, 0, 0, 0}); m != Yes {
		return m
	}
	rest := b[head:]
	_, rest, m := soulseekString(rest, soulseekWord)
	if m != Yes {
		return m
	}
	if _, rest, m = soulseekString(rest, soulseekPass); m != Yes {
		return m
	}
	if len(rest) < 4 {
		return More
	}
	major, minor := le32(rest), uint32(0)
	rest = rest[4:]
	switch left := int(n) + 4 - (len(b) - len(rest)); {
	case major == 0 || major > 999:
		return No
	case left == tail:
		if _, m = soulseekMD5(rest); m != Yes {
			return m
		}
		minor = le32(rest[tail-4:])
	case left != 0:
		return No
	}
	f.Reason, f.Conduct, f.Length, f.Wait = ReasonHello, true, int(n)+4, true
	f.Client.set(soulseekProgram(major, minor))
	return Yes
}

// soulseekMD5 reads an MD5 in hexadecimal digits with four bytes after it.
func soulseekMD5(b []byte) ([]byte, Match) {
	s, rest, m := soulseekString(b, soulseekHash)
	if m != Yes {
		return nil, m
	}
	if len(s) != soulseekHash {
		return nil, No
	}
	for _, c := range s {
		if !(c >= '0' && c <= '9') && !(lower(c) >= 'a' && lower(c) <= 'f') {
			return nil, No
		}
	}
	if len(rest) < 4 {
		return nil, More
	}
	return s, Yes
}

// soulseekPrograms are the numbers that programs send at login. The second number is the
// version, 0 for any.
var soulseekPrograms = [...]struct {
	major, minor uint32
	name         string
}{
	{156, 0, "MLDonkey"},
	{157, 0, "SoulseekQt"},
	{160, 1, "Nicotine+ 3.2"},
	{160, 2, "Nicotine+ 3.3"},
	{160, 3, "Nicotine+ 3.4"},
	{160, 17, "slsk-client"},
	{160, 0, "Nicotine+"},
	{170, 760, "slskd"},
	{170, 0, "Soulseek.NET"},
	{175, 0, "aioslsk"},
	{176, 0, "soulseek-rs"},
	{178, 0, "Museek+"},
	{182, 0, "Museek+"},
}

func soulseekProgram(major, minor uint32) string {
	for i := range soulseekPrograms {
		if p := &soulseekPrograms[i]; p.major == major && (p.minor == minor || p.minor == 0) {
			return p.name
		}
	}
	return ""
}

// soulseekNext searches the messages after a login for the port at which the client
// listens.
func soulseekNext(b []byte, outbound bool, f *Finding) Match {
	if !outbound {
		return No
	}
	n, m := soulseekLength(b, 4, StreamLimit)
	switch {
	case m != Yes:
		return m
	case len(b) < 8:
		return More
	}
	switch code := le32(b[4:]); {
	case code > soulseekLastCode:
		return No
	case code != soulseekListens:
		f.Reason, f.Conduct, f.Length, f.Wait = ReasonHello, true, int(n)+4, true
		return Yes
	case n != 8 && n != 16: // the longer form also has the port for obfuscated connections
		return No
	case len(b) < int(n)+4:
		return More
	}
	port, hidden := le32(b[8:]), uint32(0)
	if n == 16 {
		hidden = le32(b[16:])
	}
	if port > 0xffff || hidden > 0xffff {
		return No
	}
	f.Reason, f.Conduct, f.TCPPort, f.OtherPort = ReasonHello, true, uint16(port), uint16(hidden)
	return Yes
}

// soulseekPeer reads the message that opens a connection between peers: the opener's
// name, the purpose (P for messages, F for a file, D for searches) and a number. b begins
// after the length n and the message number.
func soulseekPeer(b []byte, n uint32, f *Finding) Match {
	const rest = 1 + 4 + 4 + 1 + 4 // apart from the name
	name, b, m := soulseekString(b, soulseekWord)
	if m != Yes {
		return m
	}
	if int(n) != len(name)+rest {
		return No
	}
	if m = hasPrefix(b, []byte{1, 0, 0, 0}); m != Yes {
		return m
	}
	if len(b) < 5 {
		return More
	}
	reason := ReasonPeer
	switch b[4] {
	case 'F':
		reason = ReasonTransfer
	case 'P', 'D':
	default:
		return No
	}
	if len(b) < 9 {
		return More
	}
	f.Reason, f.Conduct = reason, true
	return Yes
}

// soulseekKey is the size of an obfuscated message's key, in bytes. The key precedes the
// message. It rotates by one bit for each four bytes.
const soulseekKey = 4

// soulseekHidden recognises the first message of an obfuscated connection between peers.
func soulseekHidden(b []byte, f *Finding) Match {
	const most = 1 + 4 + soulseekWord + 4 + 1 + 4
	if len(b) >= 2*soulseekKey && le32(b[soulseekKey:])^bits.RotateLeft32(le32(b), 1) > most {
		return No // its length, without the rest
	}
	var head [5]byte // the length and the message's number, to see whether to go on
	n := soulseekClear(head[:], b)
	if n < 0 {
		return No
	}
	if n > 4 && head[4] != soulseekPierce && head[4] != soulseekInit {
		return No
	}
	length, m := soulseekLength(head[:n], soulseekLeast, most)
	switch {
	case m != Yes:
		return m
	case n == 4:
		return More
	}
	var clear [64]byte
	n = soulseekClear(clear[:], b)
	switch {
	case clear[4] == soulseekInit:
		return soulseekPeer(clear[5:n], length, f)
	case length != 5:
		return No
	case n < 9:
		return More
	}
	f.Reason = ReasonPeer
	return Hint
}

// soulseekClear decodes the obfuscated b into dst, as far as there is room, and returns
// the length. It returns -1 if the key is zero, because then nothing is obfuscated.
func soulseekClear(dst, b []byte) int {
	if len(b) < soulseekKey {
		return 0
	}
	key := le32(b)
	if key == 0 {
		return -1
	}
	b = b[soulseekKey:]
	n := min(len(b), len(dst))
	for i := range n {
		if i%soulseekKey == 0 {
			key = key<<1 | key>>31
		}
		dst[i] = b[i] ^ byte(key>>(8*(i%soulseekKey)))
	}
	return n
}
