// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "slices"

// The ports of services that are not file sharing.
var (
	wellKnownTCP = [...]uint16{
		21, 22, 25, 53, 80, 110, 143, 443, 465, 554, 587, 853, 993, 995, 1194, 1935,
		3389, 5060, 5061, 5222, 5223, 5228, 8080, 8443, 8883,
	}
	wellKnownUDP = [...]uint16{
		53, 123, 443, 500, 1194, 3478, 3479, 3480, 3481, 4500, 5060, 51820,
		19302, 19303, 19304, 19305, 19306, 19307, 19308, 19309, // STUN
	}
)

// WellKnown reports whether a well-known service that is not file sharing uses the port.
// proto is an IP protocol number. Everything that is not TCP counts as UDP.
//
//go:noinline
func WellKnown(proto uint8, port uint16) bool {
	const tcp = 6
	ports := wellKnownUDP[:]
	if proto == tcp {
		ports = wellKnownTCP[:]
	}
	return slices.Contains(ports, port) // protocols without ports have port 0
}
