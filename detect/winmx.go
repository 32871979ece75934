// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// WinMX is the network of that client from version 2 on, WPNP. Its sessions are
// encrypted, in TCP and UDP; what is in clear is the request for a file, as with
// Napster (see ipp2p, search_winmx). What it cannot do without are the caches
// that name peers: c3310.z1301.winmx.com and its like, and since those were shut
// down in 2005 the ones of the patches that keep the network up (hosts file of the
// MXpie patch 3.6; ftwall 2 blocked all of winmx.com).
var WinMX = Protocol{
	Name:      "winmx",
	Title:     "WinMX",
	Programs:  "WinMX",
	First:     mxFirst,
	Exclusive: true,
	Strict:    true,
	Old:       true,
	Names:     []string{"*.winmx.com", "*.winmxgroup.com", "*.winmxgroup.net"},
}

func mxFirst(b []byte, _ bool, f *Finding) Match { return napTransfer(b, f) }
