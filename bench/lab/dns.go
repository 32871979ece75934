// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// The record types that a name server can answer.
const (
	TypeA    = 1
	TypeAAAA = 28
)

// Names is the data of a name server: names in lower case and their addresses. The server
// answers with Else for any other name.
type Names struct {
	Addrs map[string][]netip.Addr
	Else  []netip.Addr
}

// StartDNS runs a name server on a host of the lab.
func (l *Lab) StartDNS(h *Host, at netip.AddrPort, names Names) error {
	c, err := h.ListenUDP(at)
	if err != nil {
		return err
	}
	l.OnClose(func() { c.Close() })
	go Datagrams(c, func(b []byte, _ netip.AddrPort) []byte { return names.answer(b) })
	return nil
}

// answer reads the one question of a query and ignores the rest. It answers with the
// addresses of the type that the query asks for.
func (names Names) answer(q []byte) []byte {
	if len(q) < 12 || q[2]&0x80 != 0 {
		return nil
	}
	var labels []string
	at := 12
	for {
		if at >= len(q) || at+1+int(q[at]) > len(q) {
			return nil
		}
		n := int(q[at])
		at++
		if n == 0 {
			break
		}
		labels = append(labels, strings.ToLower(string(q[at:at+n])))
		at += n
	}
	if at+4 > len(q) {
		return nil
	}
	kind := binary.BigEndian.Uint16(q[at:])
	addrs, ok := names.Addrs[strings.Join(labels, ".")]
	if !ok {
		addrs = names.Else
	}
	reply := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:at+4]...)
	for _, a := range addrs {
		if a.Is4() && kind == TypeA || a.Is6() && kind == TypeAAAA {
			reply[7]++
			reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(a.BitLen()/8))
			reply = append(reply, a.AsSlice()...)
		}
	}
	return reply
}

// DNSQuery makes a query for the address of a name.
func DNSQuery(id uint16, name string, kind uint16) []byte {
	b := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, l := range strings.Split(name, ".") {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0, byte(kind>>8), byte(kind), 0, 1)
}
