// SPDX-License-Identifier: GPL-2.0-or-later

package directconnect

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestInnocent: a host has connections from before the wall, and some carry what hubs say or go to
// a port of hubs. No such program runs. The other ends are asked, and nothing is lost.
func TestInnocent(t *testing.T) {
	t.Parallel()
	e := &env{Trial: lab.NewTrial(t, "directconnect", timelock, lab.Config{NoServers: true, NAT: true})}
	addr := hubAddrs[0]
	e.OK(e.Lab.Inet.IPBatch(fmt.Sprintf("addr add %s/32 dev %s", addr, lab.HostDev)))
	var asked atomic.Int32
	type line struct {
		name       string
		port       uint16
		says, tick string // what the server and the host say, again and again
		conn       net.Conn
		heard      atomic.Int64
	}
	lines := []*line{
		{name: "a chat by telnet that quotes a hub", port: 5111, says: "$Search Hub:eve F?T?0?1?nothing|", tick: "hello\r\n"},
		{name: "IRC", port: 6668, says: ":eve!e@example.net PRIVMSG #dc :BINF AAAB HN1\r\n", tick: "PING 1\r\n"},
		{name: "a game", port: 8388, says: "\x05\x00\x00\x00\x10", tick: "\x09\x00\x00\x00\x11\x00\x01\x02\x03"},
		{name: "another program at a port of hubs", port: 1511, says: "\x02\x00\x00\x07", tick: "\x03\x00\x01\x09\x08"},
		{name: "the same, and nobody says anything", port: 411},
	}
	const every = 500 * time.Millisecond
	for _, x := range lines {
		at := netip.AddrPortFrom(addr, x.port)
		lab.Serve(t, e.Lab.Inet, at, func(c net.Conn) {
			go func() {
				b := make([]byte, 256)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					if strings.Contains(string(b[:n]), "CSUP") {
						asked.Add(1)
					}
				}
			}()
			for {
				if _, err := io.WriteString(c, x.says); err != nil {
					return
				}
				time.Sleep(every)
			}
		})
		var err error
		x.conn, err = e.Host.DialWithin(lab.Patience, "tcp", netip.AddrPort{}, at)
		e.OK(err)
		t.Cleanup(func() { x.conn.Close() })
		go func() {
			b := make([]byte, 256)
			for {
				n, err := x.conn.Read(b)
				if err != nil {
					x.heard.Store(-1 << 40)
					return
				}
				x.heard.Add(int64(n))
			}
		}()
	}
	e.StartWall(lab.WallConfig{})
	for range 40 {
		for _, x := range lines {
			if _, err := io.WriteString(x.conn, x.tick); err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
		}
		if e.Locked() {
			t.Fatal("the host is locked")
		}
		time.Sleep(every)
	}
	before := make([]int64, len(lines))
	for i, x := range lines {
		before[i] = x.heard.Load()
	}
	e.Until("all of them to go on", func() bool {
		for i, x := range lines {
			if n := x.heard.Load(); n < 0 {
				t.Fatalf("%s has ended", x.name)
			} else if n <= before[i] && x.says != "" {
				return false
			}
		}
		return true
	})
	if asked.Load() == 0 {
		t.Error("nobody was asked, so that this shows nothing")
	}
	for _, what := range []string{"cut", "found", "locked"} {
		for _, class := range []string{"peer", "client"} {
			if ev := e.Wall.About(e.Host, class, what); len(ev) != 0 {
				t.Errorf("%s %s: %+v", class, what, ev)
			}
		}
	}
}
