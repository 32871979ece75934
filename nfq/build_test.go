// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

// appendTCP appends an IP packet with a TCP segment for the tests: sequence
// number 1000, acknowledgment number 2000.
func appendTCP(b []byte, src, dst *AddrPort, flags uint8, payload []byte) []byte {
	b = appendIP(b, &src.Addr, &dst.Addr, ProtoTCP, tcpHeaderLen+len(payload))
	at := len(b)
	b = be.AppendUint16(b, src.Port)
	b = be.AppendUint16(b, dst.Port)
	b = be.AppendUint32(b, 1000)
	b = be.AppendUint32(b, 2000)
	b = append(b, tcpHeaderLen/4<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	b = append(b, payload...)
	be.PutUint16(b[at+16:], transportChecksum(&src.Addr, &dst.Addr, ProtoTCP, b[at:]))
	return b
}
