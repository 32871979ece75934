// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// A datagram of Kad is obfuscated so (aMule's EncryptedDatagramSocket):
//
//	marker1 random2, then by RC4: magic4 padding-length1 padding
//	receiver-key4 sender-key4 message
//
// The key of RC4 is the MD5 hash of the receiver's number, or of the key of 4 bytes that
// the receiver gave the sender, and of the two random bytes. So nobody but the receiver
// reads what a client sends, and it is told by its look alone. That makes a suspect, which
// answers in clear when it is asked in clear.
const (
	kadHiddenHead = 3 + 4 + 1
	kadHiddenKeys = 8
)

// kadMarker reports whether the first byte of an obfuscated datagram can be c: it is none
// that a message in clear begins with. The lowest bit is of messages between clients.
func kadMarker(c byte) bool {
	switch c {
	case edonkeyEMule, edonkeyPacked, kadPlain, kadPacked, 0xa3, 0xb2:
		return false
	}
	return c&1 == 0
}

// kadShaped reports whether b has the look and the length of an obfuscated ping or boot, or
// of the question for nodes: what a node sends first. Others may look the same.
func kadShaped(b []byte) bool {
	const short, find = kadHiddenHead + kadHiddenKeys + 2, kadHiddenHead + kadHiddenKeys + 3 + 2*kadID
	return (len(b) == short || len(b) == find) && kadMarker(b[0]) && random(b)
}

// kadFlow is eDonkey's Protocol.Flow: the first datagram of that look makes its host a
// suspect.
func kadFlow(s *FlowState, b []byte, _ uint32) Match {
	if s[0] != 0 || !kadShaped(b) {
		return No
	}
	s[0] = 1
	return Hint
}
