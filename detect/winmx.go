// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// WinMX is the network of the WinMX client from version 2 on, called WPNP. Its sessions
// are encrypted, by TCP and UDP. Only the request for a file is plain, as with Napster
// (see search_winmx of ipp2p). The client needs the caches that name peers:
// c3310.z1301.winmx.com and similar names, which were shut down in 2005, and since then
// the caches of the patches that keep the network up (hosts file of the MXpie patch 3.6;
// ftwall 2 blocked all of winmx.com).
var WinMX = Protocol{
	Name:      "winmx",
	Title:     "WinMX",
	Programs:  "WinMX",
	First:     mxFirst,
	Begins:    "GS",
	Exclusive: true,
	Strict:    true,
	Old:       true,
	Names:     []string{"*.winmx.com", "*.winmxgroup.com", "*.winmxgroup.net"},
}

func mxFirst(b []byte, _ bool, f *Finding) Match { return napTransfer(b, f) }
