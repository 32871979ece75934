// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"net"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestSearchInTheLAN: a client only searches for peers in its LAN. No packet of the
// search leaves or is sent to the router.
func TestSearchInTheLAN(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"239.192.152.143:6771", "[ff15::efc0:988f%eth0]:6771"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, scenario{lab: lab.Config{}, main: map[string]string{"timelock": "4"}}, true)
			h := e.lab.Clients[0]
			var c net.Conn
			e.ok(h.Do(func() (err error) { c, err = net.Dial("udp", to); return err }))
			defer c.Close()
			// A search is no proof. The wall sends a probe to the port that the search
			// names. The client answers from its address of the search's family.
			addr := h.Addr4
			if strings.HasPrefix(to, "[") {
				addr = h.Addr6
			}
			// The client contacts nobody else.
			client := lab.NewTorrent(h, lab.TorrentConfig{Listen: addr, Quiet: true})
			e.start(client.Run)
			e.until("the lock", func() bool {
				_, err := c.Write([]byte("BT-SEARCH * HTTP/1.1\r\nHost: " + to + "\r\nPort: 51413\r\n" +
					"Infohash: 0123456789abcdef0123456789abcdef01234567\r\n\r\n\r\n"))
				e.ok(err)
				return e.locked(h)
			})
			s, err := e.wall.Client(h)
			e.must(err == nil && s.Protocol == "bittorrent" && s.Reason == "probe" && s.Proof == "answer", "%+v, %v", s, err)
			e.finish()
		})
	}
}
