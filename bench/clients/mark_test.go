// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

const (
	// lineRate is the rate of the line in these tests. slowRate is the share of packets
	// with the code point CS1 when the line is full. Both are in KiB/s. The tests do not
	// use LE, because Transmission sets LE by itself.
	lineRate = 600
	slowRate = lineRate / 20
	// beside is the size of the download beside the torrent, in bytes.
	beside = 3 << 20
)

// slowLine limits the rate into the LAN. Packets with CS1 get 5 % of a full line, as an
// owner may configure it.
func (e *env) slowLine() {
	e.T.Helper()
	kbit := func(kib int) string { return strconv.Itoa(kib*8) + "kibit" }
	for _, line := range []string{
		"qdisc add dev br-lan root handle 1: htb default 1",
		"class add dev br-lan parent 1: classid 1:9 htb rate " + kbit(lineRate),
		"class add dev br-lan parent 1:9 classid 1:1 htb rate " + kbit(lineRate-slowRate) + " ceil " + kbit(lineRate) + " prio 0",
		"class add dev br-lan parent 1:9 classid 1:2 htb rate " + kbit(slowRate) + " ceil " + kbit(lineRate) + " prio 7",
		"qdisc add dev br-lan parent 1:1 pfifo limit 100",
		"qdisc add dev br-lan parent 1:2 pfifo limit 100",
		// The mask selects the upper six bits of the second octet.
		"filter add dev br-lan parent 1: protocol ip u32 match ip tos 0x20 0xfc flowid 1:2",
	} {
		_, err := e.Lab.Router.Run("tc", strings.Fields(line)...)
		e.OK(err)
	}
}

// download downloads n bytes over HTTP on the client's host.
func (e *env) download(n int) {
	e.T.Helper()
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return e.Host.Dial(ctx, network, netip.AddrPort{}, netip.AddrPortFrom(server4, portHTTP))
	}}}
	r, err := c.Get(fmt.Sprintf("http://%s/%d", server4, n))
	e.OK(err)
	defer r.Body.Close()
	if got, err := io.Copy(io.Discard, r.Body); err != nil || got != int64(n) {
		e.T.Errorf("the download ended after %d bytes: %v", got, err)
	}
}

// startMarking starts the wall with a mode for BitTorrent and further options.
func (e *env) startMarking(mode string, main map[string]string) {
	e.T.Helper()
	e.StartWall(lab.WallConfig{
		Main: main,
		More: "config policy 'torrents'\n\toption mode '" + mode + "'\n\tlist protocol 'bittorrent'\n\tlist ip '192.168.1.0/24'\n",
	})
	e.T.Cleanup(func() {
		if e.T.Failed() {
			out, _ := e.Lab.Router.Run("tc", "-s", "class", "show", "dev", "br-lan")
			ct, _ := e.Lab.Router.Run("conntrack", "-L")
			e.T.Logf("classes:\n%s\nconnections:\n%s", out, ct)
		}
	})
}

// markKinds are the clients of these tests. They do not use uTP: it gives way to other
// traffic by itself, so it would prove nothing.
var markKinds = []situation{
	{name: "TCP", kind: transmission, swarm: swarmConfig{tracker: "http"}, opt: func(o *options) { o.by = onlyTCP }},
	{name: "encrypted", kind: qbittorrent, swarm: swarmConfig{tracker: "http", encrypted: true}, opt: func(o *options) { o.by, o.encrypted = onlyTCP, true }},
}

// TestMarkedIsSlow: on a full line a marked torrent must get a small share and a download
// on the same computer the rest. Without marks the torrent must get more.
func TestMarkedIsSlow(t *testing.T) {
	lab.Need(t, "tc")
	for _, s := range markKinds {
		for _, mode := range []string{"mark", "monitor"} {
			t.Run(s.name+" "+s.kind.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, s)
				e.slowLine()
				e.startMarking(mode, map[string]string{"dscp": "cs1"})
				e.begin()
				if mode == "mark" {
					e.Until("the client is held", func() bool { return e.Locked() })
				}
				e.pieces(2) // the transfer runs now
				from := time.Now()
				e.download(beside)
				tcp, udp := e.swarm.moved(e.Host, from)
				have, err := e.have()
				e.OK(err)
				share := float64(tcp+udp) / float64(tcp+udp+beside)
				t.Logf("%d pieces; the torrent has %.1f %% of the line", have, 100*share)
				// Without a mark a torrent that was complete early had even more of the line
				// while it ran.
				if mode == "mark" && have >= e.swarm.torrent.total() {
					t.Error("the torrent was complete too early: this proves nothing")
				}
				if mode == "mark" && (share > 0.10 || tcp+udp == 0) || mode == "monitor" && share < 0.25 {
					t.Errorf("the torrent moved %d bytes, the download %d", tcp+udp, beside)
				}
				e.untouched()
			})
		}
	}
}

// untouched checks that the wall dropped nothing and sent nothing in another host's name.
func (e *env) untouched() {
	e.T.Helper()
	s, err := e.Wall.Status()
	e.OK(err)
	// The wall drops only the answers to its own probes.
	if c := s.Counters; c["dropped"] > c["answers"] || c["pongs"] != 0 || c["handshakes"] != 0 {
		e.T.Errorf("counters: %v", c)
	}
}

// secondUplink gives the router a second line and routes marked packets to it.
func (e *env) secondUplink() {
	e.T.Helper()
	r, i := e.Lab.Router, e.Lab.Inet
	err := r.IPBatch(
		"link add wan2 gso_max_segs 1 type veth peer name uplink2 gso_max_segs 1 netns "+i.Name,
		"addr add 100.65.0.2/30 dev wan2",
		"link set wan2 up",
	)
	if err == nil {
		err = i.IPBatch("addr add 100.65.0.1/30 dev uplink2", "link set uplink2 up")
	}
	if err == nil {
		err = r.IPBatch("route add default via 100.65.0.1 dev wan2 table 102", "rule add fwmark 0x10000/0xff0000 lookup 102")
	}
	e.OK(err)
	e.OK(r.Sysctl(map[string]string{"net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/wan2/rp_filter": "0", "net/ipv4/conf/wan/rp_filter": "0"}))
	_, err = r.Run("iptables", strings.Fields("-w -t nat -A POSTROUTING -o wan2 -j MASQUERADE")...)
	e.OK(err)
}

// received is the number of bytes received on a device of the router.
func (e *env) received(dev string) int {
	e.T.Helper()
	out, err := e.Lab.Router.Run("cat", "/sys/class/net/"+dev+"/statistics/rx_bytes")
	e.OK(err)
	n, err := strconv.Atoi(strings.TrimSpace(out))
	e.OK(err)
	return n
}

// TestMarkedTakesSecondUplink: marked packets leave by the second line, and a download on
// the same computer uses the first.
func TestMarkedTakesSecondUplink(t *testing.T) {
	t.Parallel()
	for _, s := range markKinds {
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			s.nat = true
			e := newEnv(t, s)
			e.secondUplink()
			e.startMarking("mark", map[string]string{"ct_mark": "0x00010000/0x00ff0000"})
			e.begin()
			e.Until("the client is held", func() bool { return e.Locked() })
			e.Until("pieces by the second line", func() bool { return e.received("wan2") > 4*pieceSize })
			first, second := e.received("wan"), e.received("wan2")
			e.Until("the half of the file", func() bool { return e.received("wan2")-second > 32*pieceSize })
			torrent, rest := e.received("wan2")-second, e.received("wan")-first
			t.Logf("%d bytes by the second line, %d by the first", torrent, rest)
			if rest > torrent/10 {
				t.Errorf("%d bytes by the first line, beside %d", rest, torrent)
			}
			first = e.received("wan")
			e.download(beside)
			if got := e.received("wan") - first; got < beside {
				t.Errorf("the download went by the wrong line: %d bytes by the first", got)
			}
			e.untouched()
		})
	}
}
