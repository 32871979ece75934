// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// An obfuscated Kad datagram has this form (aMule's EncryptedDatagramSocket):
//
//	marker1 random2, then by RC4: magic4 padding-length1 padding
//	receiver-key4 sender-key4 message
//
// The RC4 key is the MD5 hash of the two random bytes and of either the receiver's node
// ID or the 4-byte key that the receiver gave to the sender. So only the receiver can
// read what a client sends, and we recognise it by its look alone. That makes the host a
// suspect. It answers a plain probe without encryption.
const (
	kadHiddenHead = 3 + 4 + 1
	kadHiddenKeys = 8
)

// kadMarker reports whether c can be the first byte of an obfuscated datagram: no plain
// message begins with it. The lowest bit is set only in obfuscated messages between
// clients.
func kadMarker(c byte) bool {
	switch c {
	case edonkeyEMule, edonkeyPacked, kadPlain, kadPacked, 0xa3, 0xb2:
		return false
	}
	return c&1 == 0
}

// kadShaped reports whether b has the look and the length of an obfuscated ping, boot or
// query for nodes, which are the first messages of a node. Other traffic may look the
// same.
func kadShaped(b []byte) bool {
	const short, find = kadHiddenHead + kadHiddenKeys + 2, kadHiddenHead + kadHiddenKeys + 3 + 2*kadID
	return (len(b) == short || len(b) == find) && kadMarker(b[0]) && random(b)
}

// kadFlow is eDonkey's Protocol.Flow. The first datagram of that look in a flow makes the
// host a suspect.
func kadFlow(s *FlowState, b []byte, _ uint32) Match {
	if s[0] != 0 || !kadShaped(b) {
		return No
	}
	s[0] = 1
	return Hint
}
