// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

// TestPacketLog: each kind of packet event comes if it is asked for, and no other.
func TestPacketLog(t *testing.T) {
	const peer, other = "203.0.113.9", "198.51.100.80"
	for _, tt := range []struct {
		log  PacketLog
		want string
	}{
		{0, ""},
		{LogDroppedUDP, "dropped udp"},
		{LogAcceptedUDP, "accepted udp"},
		{LogDroppedTCP, "dropped tcp"},
		{LogAcceptedTCP, "accepted tcp"},
		{LogDroppedUDP | LogAcceptedTCP, "dropped udp, accepted tcp"},
		{LogDroppedUDP | LogAcceptedUDP | LogDroppedTCP | LogAcceptedTCP, "dropped udp, accepted udp, dropped tcp, accepted tcp"},
	} {
		w := newWorld(t, func(c *Config) { c.LogPackets = tt.log })
		w.prove()
		w.expect("a ping", w.ping(peer), nfq.Drop)
		var got []string
		w.e.OnEvent = func(ev *Event) {
			if ev.Class != ClassPacket {
				return
			}
			if ev.Client != ip("192.168.1.50") || ev.MAC != macA {
				t.Errorf("the event is about %v (%v)", ev.Client, ev.MAC)
			}
			got = append(got, map[What]string{EventAccepted: "accepted ", EventDropped: "dropped "}[ev.What]+map[bool]string{false: "udp", true: "tcp"}[ev.TCP])
		}
		w.expect("another ping", w.ping(peer), nfq.Drop)
		w.expect("a datagram", udp(macA, "192.168.1.50", 5000, other, 5000, []byte("hello")), nfq.Accept)
		w.expect("a SYN to the peer", w.syn(peer), nfq.Drop)
		w.expect("an answer", tcp(macA, "192.168.1.50", 80, other, 6000, nfq.SYN|nfq.ACK, nil), nfq.Accept)
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("log %d: %q, want %q", tt.log, s, tt.want)
		}
	}
}
