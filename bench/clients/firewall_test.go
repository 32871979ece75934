// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"testing"
	"time"
)

// TestFirewalled: a host's own firewall drops what it did not ask for, the wall's questions
// too. Its client is found and held by what it does. (rTorrent without a DHT is not found:
// its announce is cut, so that it has no peers, and says nothing more.)
func TestFirewalled(t *testing.T) {
	if !*all {
		t.Log("only with -all")
		return
	}
	for _, s := range []situation{
		{kind: qbittorrent, swarm: swarmConfig{tracker: "http"}},
		{kind: transmission, swarm: swarmConfig{tracker: "http"}},
		{kind: aria2, swarm: swarmConfig{tracker: "http"}},
	} {
		t.Run(s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			for _, family := range []string{"iptables", "ip6tables"} {
				for _, rule := range [][]string{
					{"-i", "lo", "-j", "ACCEPT"},
					{"-p", "ipv6-icmp", "-j", "ACCEPT"},
					{"-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"},
					{"-j", "DROP"},
				} {
					if rule[1] == "ipv6-icmp" && family == "iptables" {
						continue
					}
					if _, err := e.host.Run(family, append([]string{"-w", "-A", "INPUT"}, rule...)...); err != nil {
						t.Fatal(err)
					}
				}
			}
			e.prepare()
			w := e.startWall()
			first := e.begin()
			found := e.found(w, first)
			polls, off := 0, 0
			for ; time.Since(found) < holdTime; time.Sleep(160 * time.Millisecond) {
				polls++
				if !e.locked(w) {
					off++
				}
			}
			tcp, udp := e.swarm.received(e.host, first.Add(grace))
			t.Logf("locked in %d of %d polls; %d bytes by TCP, %d by uTP", polls-off, polls, tcp, udp)
			if off > polls/50 || tcp+udp >= blockSize {
				t.Error("that is too little of the one, or too much of the other")
			}
		})
	}
}
