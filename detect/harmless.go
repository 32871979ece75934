// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Harmless is the bit of a Set that has streams show what is harmless.
const Harmless Set = 1 << 31

// Harmless reports whether the direction has shown that its connection is
// something known that is no file sharing.
func (s *Stream) Harmless() bool { return s.http && s.phase == phaseDone }

// WantPort tells the stream the port of the host outside, before its first data.
func (s *Stream) WantPort(port uint16) {}
