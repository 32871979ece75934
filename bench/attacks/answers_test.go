// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// kazaaServer is a web server on the internet. It answers every request as a FastTrack
// client does and names a name server as its supernode.
func (e *env) kazaaServer(p uint16, named netip.AddrPort) {
	e.t.Helper()
	lab.Serve(e.t, e.lab.Inet, lab.Any(p), func(c net.Conn) {
		r := bufio.NewReader(c)
		var err error
		for {
			for line := ""; strings.TrimSpace(line) != "" || line == ""; {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nServer: KazaaClient Jun  2 2003 20:00:00\r\nX-Kazaa-Username: x\r\nX-Kazaa-Network: KaZaA\r\n"+
				"X-Kazaa-IP: %s\r\nX-Kazaa-SupernodeIP: %s\r\nContent-Length: 5\r\n\r\nhello", named, named)
		}
	})
}

// The name server that is named has an address like 8.8.8.8. An ordinary server answers
// there.
var (
	resolver4 = netip.MustParseAddr("192.0.2.53")
	resolver6 = netip.MustParseAddr("2001:db8:ff::53")
)

// TestAnswerWithSupernode: a web server on the internet answers an ordinary request with
// the headers of a FastTrack client and names a name server as its supernode.
//
// Fails on 8048849: the host is locked, the name server is a peer for an hour, and each
// DNS query to it renews the lock (case fp_http_reply_kazaa_header).
func TestAnswerWithSupernode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		server, resolve netip.Addr
	}{{"IPv4", stranger4, resolver4}, {"IPv6", stranger6, resolver6}} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, setup{})
			h := e.lab.Clients[0]
			e.kazaaServer(8080, port(c.resolve, 53))
			v := e.user(h, true, lab.InnocentConfig{IPv6: true})
			named := lab.NewInnocent(h, lab.InnocentConfig{Server: c.resolve})
			stop := e.start(named.Run)
			for range 3 {
				answer := e.ask(h, port(c.server, 8080), "GET /ad.gif HTTP/1.1\r\nHost: ads.example\r\nUser-Agent: Mozilla/5.0 (X11)\r\nAccept-Language: en\r\n\r\n")
				if !strings.HasSuffix(answer, "hello") {
					t.Errorf("the answer was lost: %q", answer)
				}
			}
			v.goesOn()
			stop()
			if n, failed := named.Counts(); failed > 0 {
				t.Errorf("what the answer named is cut: %d of %d failed: %s", failed, n, strings.Join(named.Errors(), "; "))
			}
			v.stop()
			v.kept()
		})
	}
}

// TestNamedOfAClient: the same, and then the host runs a real FastTrack client for a
// while. A system port that somebody named must not become a peer. DNS queries to the
// name server must pass while the host is locked. They must not renew a lock or start
// one.
//
// Fails on 8048849: the name server is cut, and the lock does not end while somebody
// queries it.
func TestNamedOfAClient(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	e.kazaaServer(8080, port(resolver4, 53))
	ads, err := h.Dial(context.Background(), "tcp", netip.AddrPort{}, port(stranger4, 8080))
	e.ok(err)
	defer ads.Close()
	advert := func() {
		ads.SetDeadline(time.Now().Add(time.Second))
		io.WriteString(ads, "GET /ad.gif HTTP/1.1\r\nHost: ads.example\r\nUser-Agent: Mozilla/5.0 (X11)\r\nAccept-Language: en\r\n\r\n")
		ads.Read(make([]byte, 2048))
	}
	advert()
	names := e.names(h, port(resolver4, 53))
	stop := e.client("FastTrack", h)
	e.locked(h)
	advert() // on the connection from before
	time.Sleep(timelock)
	if s, err := e.wall.Client(h); err != nil || !s.Locked {
		t.Errorf("the client is let go while it runs: %+v, %v", s, err)
	}
	stop()
	e.released(h)
	last := e.wall.About(h, "client", "locked")
	time.Sleep(timelock)
	if failed := names(); failed > 0 {
		t.Errorf("%d questions to the name server were not answered", failed)
	}
	if n := len(e.wall.About(h, "client", "locked")); n > len(last) {
		t.Error("questions to a name server lock the host again")
	}
}

// names sends a DNS query ten times a second. end stops this and returns the number of
// queries without an answer.
func (e *env) names(h *lab.Host, server netip.AddrPort) (end func() (failed int)) {
	c, err := h.Dial(context.Background(), "udp", netip.AddrPort{}, server)
	e.ok(err)
	asked, answered := 0, 0
	stop := e.start(func(ctx context.Context) error {
		defer c.Close()
		b := make([]byte, 512)
		for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			asked++
			c.Write(lab.DNSQuery(uint16(asked), "www.example.net", lab.TypeA))
			c.SetReadDeadline(time.Now().Add(2 * time.Second))
			if n, err := c.Read(b); err == nil && n > 12 && b[1] == byte(asked) {
				answered++
			}
		}
		return nil
	})
	return func() int {
		stop()
		if asked < 5 {
			e.t.Errorf("the name server was asked only %d times", asked)
		}
		return asked - answered
	}
}

// krpcValues is a DHT node's answer that contains peers.
func krpcValues(tid string, peers ...netip.AddrPort) []byte {
	b := fmt.Appendf(nil, "d1:rd2:id20:abcdefghij01234567895:token4:abcd6:valuesl")
	for _, p := range peers {
		a := append(p.Addr().AsSlice(), byte(p.Port()>>8), byte(p.Port()))
		b = append(fmt.Appendf(b, "%d:", len(a)), a...)
	}
	return fmt.Appendf(b, "ee1:t%d:%s1:y1:re", len(tid), tid)
}

// TestValues: a DHT answer names a public server as a peer. Another, harmless program of
// the host uses that server all the time. Its requests must pass while the client is
// locked. The lock must end one lock time after the client. Then connections of unknown
// protocols to the server must pass as well.
//
// Fails on 8048849: each connection to the server renews the lock, so that it never ends
// (case lock_never_ends_after_close_shadowsocks).
func TestValues(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	lab.Serve(e.t, e.lab.Inet, lab.Any(8388), lab.Echo)
	server := port(netip.MustParseAddr("192.0.2.111"), 8388)
	web := port(server.Addr(), 80)
	stop := e.client("BitTorrent", h)
	e.locked(h)
	raw := e.raw(e.lab.Inet)
	answer := func() {
		// The answers come from nodes that the client asked and from other nodes.
		for _, from := range []netip.AddrPort{port(stranger4, 6881), port(stranger4b, 6881), port(netip.MustParseAddr("203.0.113.253"), 6881)} {
			for _, tid := range []string{"aa", "ba", "ca"} {
				e.ok(raw.Send(lab.UDPPacket(from, port(h.Addr4, 51413), krpcValues(tid, server))))
			}
		}
	}
	known, failed := 0, 0
	use := e.start(func(ctx context.Context) error {
		for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			known++
			if e.ask(h, web, "GET /10 HTTP/1.0\r\nHost: www.example.net\r\nUser-Agent: x\r\n\r\n") == "" {
				failed++
			}
		}
		return nil
	})
	for range 5 {
		answer()
		time.Sleep(timelock / 8)
	}
	// The other program keeps trying, as programs do after a failure.
	tries := e.start(func(ctx context.Context) error {
		for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			if p, err := h.StartTCP(netip.AddrPort{}, server); err == nil {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				if c, err := p.Wait(ctx); err == nil {
					c.Write([]byte(strings.Repeat("\x9e\x33\xc1", 40)))
					c.Close()
				}
				cancel()
			}
		}
		return nil
	})
	stop()
	e.released(h)
	tries()
	use()
	if known < 5 || failed > 0 {
		t.Errorf("%d of %d requests to the server failed", failed, known)
	}
	lost := lostOf{}
	for range 20 {
		lost.random(h, server)
	}
	lost.judge(t)
	if n := len(e.wall.About(h, "client", "released")); e.wall.LastLock(h) != "released" || n == 0 {
		t.Error("the host is locked again, with no client on it")
	}
}

// TestListedName: the owner of a listed name makes it resolve to addresses that everybody
// uses. The answer comes from the router's name server or from one on the internet. All
// connections to these addresses must continue, from the host that asked and from others.
//
// Fails on 8048849: for the names of WinMX and OpenNAP, a connection to such an address
// locks the host. For those of BitTorrent, a connection with random first data does.
func TestListedName(t *testing.T) {
	t.Parallel()
	// Ordinary servers listen at these addresses and at all addresses near them.
	names := map[string][]netip.Addr{}
	var all []netip.Addr
	for i, n := range []string{"www.winmx.com", "server.napster.com", "router.bittorrent.com"} {
		four, six := resolver4.As4(), resolver6.As16()
		four[3], six[15] = byte(60+i), byte(60+i)
		names[n] = []netip.Addr{netip.AddrFrom4(four), netip.AddrFrom16(six)}
		all = append(all, names[n]...)
	}
	for _, where := range []string{"outside", "router"} {
		t.Run(where, func(t *testing.T) {
			block := map[string]string{"mode": "block"}
			e := newEnv(t, setup{lab: lab.Config{Clients: 2}, protocols: map[string]map[string]string{"winmx": block, "opennap": block}})
			lab.Serve(e.t, e.lab.Inet, lab.Any(8388), lab.Echo)
			asks, other := e.lab.Clients[0], e.lab.Clients[1]
			server := port(resolver4, 53)
			if where == "router" {
				server = port(lab.Router4, 53)
				e.ok(e.lab.StartDNS(e.lab.Router, server, lab.Names{Addrs: names}))
			}
			e.lab.Internet.SetNames(names)
			a, b := e.victim(asks), e.victim(other)
			for name := range names {
				for _, kind := range []uint16{lab.TypeA, lab.TypeAAAA} {
					c, err := asks.Dial(context.Background(), "udp", netip.AddrPort{}, server)
					e.ok(err)
					c.SetDeadline(time.Now().Add(5 * time.Second))
					c.Write(lab.DNSQuery(7, name, kind))
					if n, err := c.Read(make([]byte, 512)); err != nil || n < 40 {
						t.Errorf("%s is not answered: %d, %v", name, n, err)
					}
					c.Close()
				}
			}
			var spent []netip.Addr
			for _, h := range []*lab.Host{asks, other} {
				lost := lostOf{}
				for _, to := range all {
					for _, p := range []uint16{22, 80, 443} {
						if !h.Connects(port(to, p), 10*time.Second) {
							t.Errorf("%s does not reach %s", h.Name, port(to, p))
						}
					}
					lost.random(h, port(to, 8388))
				}
				spent = append(spent, lost.judge(t)...)
			}
			a.unharmed(spent...)
			b.unharmed(spent...)
		})
	}
}
