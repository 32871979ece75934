// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// HarmlessMiddle reports whether b, data from the middle of a connection whose
// beginning was not seen, shows that it is something known: a TLS record of
// application data (RFC 8446, 5.2). Random bytes look like one once in 2^26 times.
func HarmlessMiddle(b []byte) bool {
	const most = 1<<14 + 256
	if len(b) < 5+17 || b[0] != 0x17 || b[1] != 3 || b[2] == 0 || b[2] > 3 {
		return false
	}
	n := int(be16(b[3:]))
	return n >= 17 && n <= most
}
