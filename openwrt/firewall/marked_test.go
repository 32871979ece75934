// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"fmt"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/nfq"
)

// TestMarkedPackets: if a host is in mark4 or mark6, the packets that the sets match pass and
// are marked. Such packets of other hosts are still dropped.
func TestMarkedPackets(t *testing.T) {
	for _, b := range []struct {
		name, flavour string
		ipset         bool
	}{{"nft", "", false}, {"iptables-nft", "nft", false}, {"iptables-legacy", "legacy", false}, {"ipset", "nft", true}} {
		if b.flavour != "" {
			netns.Need(t, "iptables-"+b.flavour)
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			netns.Need(t, "conntrack")
			w := newWorld(t, b.flavour, b.ipset)
			w.load("option ct_mark 0x00010000/0x00ff0000\nconfig policy\noption mode mark\nlist ip 10.0.0.0/8\nlist ip fd00::/8\n")
			w.echo("s", 7000)
			for _, c := range []struct{ digit, ip, host, to string }{
				{"4", "ip", "10.1.0.2", serverFour}, {"6", "ip6", "fd01::2", serverSix},
			} {
				marked(t, w, c.digit, c.ip, c.host, c.to)
			}
		})
	}
}

func marked(t *testing.T, w *world, digit, ip, host, to string) {
	// out returns the number of packets from a port that the server gets with the code point,
	// and the number of answers.
	out := func(port int, more string) (n, answers int) {
		n = w.got("s", "udp", fmt.Sprintf("sport %d %s dscp 1%s", port, ip, more), func() {
			answers = w.refused().sayFrom(port, "c1", to, string(make([]byte, 500)), 1)
		})
		return n, answers
	}
	w.sh("r", "conntrack -F")
	w.set("add", "own"+digit, host+" . udp . 7005")
	if n, answers := out(7005, ""); n != 0 || answers != 0 {
		t.Errorf("IPv%s: of a host that is not marked only, %d packets pass, %d answers", digit, n, answers)
	}
	w.set("add", "mark"+digit, host)
	for range 2 { // a sampled packet, and one that is not sampled
		if n, answers := out(7005, ""); n != 1 || answers != 1 {
			t.Errorf("IPv%s: %d packets of its port come with the code point, %d answers", digit, n, answers)
		}
	}
	if n, answers := out(7006, ""); n != 0 || answers != 1 {
		t.Errorf("IPv%s: another port: %d with the code point, %d answers", digit, n, answers)
	}
	// The answers have the code point too.
	if n := w.got("c1", "udp", "dport 7005 "+ip+" dscp 1", func() { out(7005, "") }); n != 1 {
		t.Errorf("IPv%s: %d answers with the code point", digit, n)
	}
	want := fmt.Sprintf("mark=%d ", nfq.DefaultMarks().Marked|0x10000)
	for _, l := range strings.Split(w.sh("r", "conntrack -L -p udp -f ipv"+digit), "\n") {
		if strings.Contains(l, "sport=7005 dport=7000") != strings.Contains(l, want) && strings.Contains(l, "dport=7000") {
			t.Errorf("IPv%s: %s", digit, l)
		}
	}
	w.set("delete", "own"+digit, host+" . udp . 7005")
	w.set("add", "lock"+digit, host)
	if !w.tcp("c1", to, 1000) {
		t.Errorf("IPv%s: no connection of a locked host that is marked only", digit)
	}
	w.set("delete", "lock"+digit, host)
	w.set("delete", "mark"+digit, host)
}
