// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Harmless is the bit of a Set that has streams show what is harmless.
const Harmless Set = 1 << 31

// HarmlessDatagram reports whether the UDP payload b shows that its flow is
// something known that is no file sharing. port is the port of the host outside.
func HarmlessDatagram(b []byte, port uint16, outbound bool) bool {
	return false
}

// Harmless reports whether the direction has shown that its connection is
// something known that is no file sharing.
func (s *Stream) Harmless() bool { return s.http && s.phase == phaseDone }

// WantPort tells the stream the port of the host outside, before its first data.
func (s *Stream) WantPort(port uint16) {}
