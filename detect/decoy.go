// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The addresses that our answers contain: benchmark networks (RFC 2544, RFC 5180). The
// Internet does not route them, but to a client they look public.
const (
	decoyHigh4 = 198
	decoyLow4  = 18 // and 19
)

var decoyPrefix6 = [6]byte{0x20, 0x01, 0x00, 0x02, 0x00, 0x00}

// IsDecoy reports whether our own answers contain the address. A client that goes there
// follows such an answer, and reveals no peer.
func IsDecoy(a *[16]byte) bool {
	if is4(a) {
		return a[12] == decoyHigh4 && a[13]&0xfe == decoyLow4
	}
	return [6]byte(a[:6]) == decoyPrefix6
}

// endpoint writes an address that leads nowhere, with a port, in compact form.
func (g *generator) endpoint(b []byte, six bool) int {
	n := 0
	if six {
		n = copy(b, decoyPrefix6[:])
		g.fill(b[n:16])
		n = 16
	} else {
		b[0], b[1] = decoyHigh4, decoyLow4|g.next()&1
		g.fill(b[2:4])
		n = 4
	}
	putBE16(b[n:], dhtPort+uint16(g.next())<<6)
	return n + 2
}
