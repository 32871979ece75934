// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"fmt"
	"sort"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
)

// hints counts what may be the reason that no client is found in a capture.
type hints struct {
	ip        int // IP packets
	cut       int // packets cut short by the capture
	encrypted int // WLAN frames
	out, in   int // packets through the router
	inside    int // packets between hosts of the LAN
	tcp, syn  int // of the packets from the LAN to the outside
	tunnels   map[string]int
}

// tunnels are protocols that carry other packets: by IP protocol number and UDP port.
var tunnels = []struct {
	name  string
	proto uint8
	port  uint16
}{
	{"IP in IP", 4, 0},
	{"IPv6 in IPv4", 41, 0},
	{"GRE", 47, 0},
	{"IPsec", 50, 0},
	{"L2TP", nfq.ProtoUDP, 1701},
	{"GTP", nfq.ProtoUDP, 2152},
	{"VXLAN", nfq.ProtoUDP, 4789},
	{"VXLAN", nfq.ProtoUDP, 8472}, // Linux' own number
	{"Geneve", nfq.ProtoUDP, 6081},
	{"TZSP", nfq.ProtoUDP, 37008}, // packet copies that MikroTik routers send
}

// frame counts a frame without a readable IP packet.
func (h *hints) frame(f *Frame) {
	if f.Encrypted {
		h.encrypted++
	}
}

func (h *hints) packet(p *nfq.Packet, ip []byte, src, dst nfq.Addr, s *sides) {
	h.ip++
	if wireLength(ip) > len(ip) {
		h.cut++
	}
	for _, t := range tunnels {
		if p.Proto == t.proto && (t.port == 0 || p.DstPort == t.port) {
			h.tunnels[t.name]++
		}
	}
	switch s.direction(&src, &dst) {
	case outbound:
		h.out++
		if p.Proto == nfq.ProtoTCP {
			h.tcp++
		}
		if p.Proto == nfq.ProtoTCP && p.TCPFlags&(nfq.SYN|nfq.ACK) == nfq.SYN {
			h.syn++
		}
	case inbound:
		h.in++
	case elsewhere, toRouter:
		if s.isLAN(&src) && s.isLAN(&dst) {
			h.inside++
		}
	}
}

// lines returns the possible reasons why nothing was found. Frames is the number of
// frames in the capture.
func (h *hints) lines(frames int) []string {
	var out []string
	say := func(when bool, form string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(form, args...))
		}
	}
	say(frames == 0, "there is no packet in the capture")
	say(h.encrypted > 0, "%d WLAN frames are encrypted", h.encrypted)
	say(frames > 0 && h.ip == 0, "no frame holds an IP packet in a form that is known here")
	say(h.cut > 0, "%d of %d packets are cut short: capture them whole (tcpdump -s 0)", h.cut, h.ip)
	if len(h.tunnels) > 0 {
		names, n := make([]string, 0, len(h.tunnels)), 0
		for name, k := range h.tunnels {
			names = append(names, name)
			n += k
		}
		sort.Strings(names)
		say(true, "%d of %d packets are in a tunnel (%s), into which nothing looks: capture inside it",
			n, h.ip, strings.Join(names, ", "))
	}
	through := h.out + h.in
	say(through == 0 && h.inside > 0, "all packets stay in the LAN, and none goes through the router: "+
		"if one side of them is not your LAN, say with -lan what is")
	say(h.ip > 0 && through == 0 && h.inside == 0, "no packet has one end in the LAN: say with -lan what it is")
	say(h.in > 0 && h.out == 0, "nothing that the LAN sends is in the capture")
	say(h.tcp > 0 && h.syn == 0, "no connection begins in the capture: what is said first in each is missing")
	return out
}
