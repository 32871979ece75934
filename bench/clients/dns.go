// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// The record types that the name server has answers for.
const (
	typeA    = 1
	typeAAAA = 28
)

// startDNS answers for the names given, with those addresses that are of the type
// asked for, and for every other name with the ordinary server's.
func startDNS(l *lab.Lab, at netip.AddrPort, names map[string][]netip.Addr) error {
	c, err := l.Inet.ListenUDP(at)
	if err != nil {
		return err
	}
	l.OnClose(func() { c.Close() })
	go serveDNS(c, names)
	return nil
}

func serveDNS(c *net.UDPConn, names map[string][]netip.Addr) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if reply := dnsAnswer(buf[:n], names); reply != nil {
			c.WriteToUDPAddrPort(reply, from)
		}
	}
}

// dnsAnswer takes the one question of a query and leaves out what follows it.
func dnsAnswer(q []byte, names map[string][]netip.Addr) []byte {
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
	addrs, ok := names[strings.Join(labels, ".")]
	if !ok {
		addrs = []netip.Addr{server4, server6}
	}
	reply := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:at+4]...)
	for _, a := range addrs {
		if a.Is4() && kind == typeA || a.Is6() && kind == typeAAAA {
			reply[7]++
			reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(a.BitLen()/8))
			reply = append(reply, a.AsSlice()...)
		}
	}
	return reply
}

// dnsQuery asks for the address of a name.
func dnsQuery(id uint16, name string, kind uint16) []byte {
	b := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, l := range strings.Split(name, ".") {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0, byte(kind>>8), byte(kind), 0, 1)
}
