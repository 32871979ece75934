// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Ares is the network of Ares Galaxy and of giFT's plugin for it. Source: the packet types
// of that plugin. A packet has its length, a byte for its type, and data; numbers are
// little-endian. All that follows the first packet to a supernode is encrypted.
var Ares = Protocol{
	Name:     "ares",
	Title:    "Ares",
	Programs: "Ares Galaxy, giFT",
	First:    aresFirst,
	Begins:   "\x03",
	Sift:     true,
	Mode:     ModeMonitor,
	Old:      true,
}

// aresFirst matches the first packet to a supernode, which says how it may be encrypted:
// three bytes, of which the last is 5. The opener sends it alone and waits.
func aresFirst(b []byte, outbound bool, f *Finding) Match {
	const size = 6
	switch {
	case !outbound, len(b) > size,
		len(b) > 2 && b[2] != 0x5a && b[2] != 0x5d,
		len(b) == size && b[5] != 5:
		return No
	}
	switch m := hasPrefix(b, []byte{3, 0}); {
	case m == No:
		return No
	case len(b) < size:
		return More
	}
	f.Reason, f.Conduct = ReasonHello, true
	return Yes
}
