// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	endian "encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	xproxy "golang.org/x/net/proxy"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// portPing is the port where the server echoes what comes through a tunnel.
const portPing = 7

// pinger sends a datagram through a tunnel every 50 ms.
type pinger struct {
	session
	conn net.Conn

	mu      sync.Mutex
	last    time.Time     // when the last datagram came back
	longest time.Duration // the longest time between two that came back
	came    int
}

const pingEvery = 50 * time.Millisecond

// ping starts to send pings through a tunnel and to note the answers. c is a connection
// inside the tunnel. It ends with the lab.
func (p *programs) ping(through session, c net.Conn) *pinger {
	c.SetDeadline(time.Time{})
	g := &pinger{session: through, conn: c, last: time.Now()}
	p.lab.OnClose(func() { c.Close() })
	go func() {
		for n := uint64(0); ; n++ {
			// Write fails while the tunnel is down. The test measures that time, so it
			// continues.
			if _, err := c.Write(endian.BigEndian.AppendUint64(make([]byte, 48), n)); err != nil && g.closed() {
				return
			}
			time.Sleep(pingEvery)
		}
	}()
	go func() {
		b := make([]byte, 100)
		for !g.closed() {
			if n, _ := c.Read(b); n > 0 {
				g.note()
			}
		}
	}()
	return g
}

// pingIn sends pings inside the network of a tunnel.
func (p *programs) pingIn(through session, net int) (*pinger, error) {
	at := netip.AddrPortFrom(tunnelled(net, 1), portPing)
	lab.ServeUDP(p.t, p.lab.Inet, at)
	c, err := dial(p.host, "udp", at)
	if err != nil {
		return nil, err
	}
	return p.ping(through, c), nil
}

// pingBySOCKS sends pings in a connection through a SOCKS proxy on the host.
func (p *programs) pingBySOCKS(through session, local uint16) (*pinger, error) {
	at := netip.AddrPortFrom(besideAddrs[0], portPing)
	lab.Serve(p.t, p.lab.Inet, at, lab.Echo)
	socks, err := xproxy.SOCKS5("tcp", fmt.Sprint("127.0.0.1:", local), nil, hostDialer{p.host})
	if err != nil {
		return nil, err
	}
	c, err := socks.Dial("tcp", at.String())
	if err != nil {
		return nil, err
	}
	return p.ping(through, c), nil
}

// hostDialer opens connections from a host.
type hostDialer struct{ *lab.Host }

func (h hostDialer) Dial(network, addr string) (net.Conn, error) {
	return dial(h.Host, network, netip.MustParseAddrPort(addr))
}

// closed reports whether the connection is closed.
func (g *pinger) closed() bool { return g.conn.SetDeadline(time.Time{}) != nil }

func (g *pinger) note() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.longest, g.last = max(g.longest, now.Sub(g.last)), now
	g.came++
}

// phase ends a phase. It returns the longest time without an answer and the number of
// answers.
func (g *pinger) phase() (longest time.Duration, came int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.longest = max(g.longest, time.Since(g.last))
	longest, came = g.longest, g.came
	g.longest, g.came = 0, 0
	return longest, came
}

// session is a tunnel that stays up.
type session struct {
	vpn   string
	moves bool // it survives a change of the host's address
}

// sessions are the tunnels under test.
var sessions = []session{
	{"WireGuard, port 51820", false}, // wireguard-go keeps sending from the old address
	{"WireGuard, port 2408, IPv6", true},
	{"OpenVPN, UDP, port 1194", true},
	{"OpenVPN, UDP, port 31194, tls-crypt", true},
	{"OpenVPN, TCP, port 443, tls-crypt", false},
	{"OpenVPN, TCP, port 31194, tls-crypt", false},
	{"OpenVPN, TCP, port 11196, static key", false},
	{"fastd", false}, // fastd and tinc take a while to reconnect
	{"tinc", false},
}

// oneSecond is the longest gap that users do not notice.
const oneSecond = time.Second

// TestSessions: tunnels that existed before the wall must not pause for a second or more
// when a lock begins, when the daemon dies and restarts, and when the host's address
// changes. The test without the wall expects the same, and shows that it would notice a
// gap.
func TestSessions(t *testing.T) {
	for _, wall := range []bool{true, false} {
		t.Run(fmt.Sprintf("wall %v", wall), func(t *testing.T) {
			t.Parallel()
			p := newPrograms(t, scenario{lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "4"}}, wall)
			p.sessions()
			p.finish()
		})
	}
}

// sessionsUp starts all tunnels, side by side, and pings through them.
func (p *programs) sessionsUp() []*pinger {
	p.t.Helper()
	pingers, errs := make([]*pinger, len(sessions)), make([]error, len(sessions))
	var all sync.WaitGroup
	for i := range sessions {
		n := slices.IndexFunc(vpns, func(v tunnel) bool { return v.name == sessions[i].vpn })
		up, err := vpns[n].begin(p, n)
		if err != nil {
			p.t.Fatalf("%s: %v", sessions[i].vpn, err)
		}
		all.Go(func() {
			var r *lab.Process
			if r, errs[i] = up(); errs[i] == nil {
				errs[i] = p.reaches(r, n)
			}
			if errs[i] == nil {
				pingers[i], errs[i] = p.pingIn(sessions[i], n)
			}
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			p.t.Fatalf("%s: %v", sessions[i].vpn, err)
		}
	}
	return pingers
}

func (p *programs) sessions() {
	const timelock = 4 * time.Second
	pingers := p.sessionsUp()
	// phase checks the time since the last phase.
	phase := func(what string, moved bool) {
		said := ""
		for _, g := range pingers {
			gap, came := g.phase()
			if moved && !g.moves {
				continue
			}
			said += fmt.Sprintf("\n%5d ms, %3d pings: %s", gap.Milliseconds(), came, g.vpn)
			p.must(gap < oneSecond, "%s: %s: a gap of %v", what, g.vpn, gap)
		}
		p.t.Logf("longest gaps %s:%s", what, said)
	}
	host := *p.host
	lock := func() { p.until("the lock", func() bool { return p.wall == nil || p.locked(&host) }) }
	time.Sleep(timelock / 4)
	phase("before", false)

	torrent := func(at netip.Addr) (c *lab.Torrent, stop func()) {
		c = lab.NewTorrent(p.host, lab.TorrentConfig{Peers: torrentPeers, Listen: at})
		stop = p.start(c.Run)
		p.until("queries", func() bool { return c.Seen().Queries >= 10 })
		return c, stop
	}
	_, stop := torrent(p.host.Addr4)
	p.startWall()
	lock()
	time.Sleep(timelock)
	phase("as the lock begins", false)
	if p.wall != nil {
		p.wall.Kill()
	}
	time.Sleep(timelock / 4)
	p.startWall()
	lock()
	time.Sleep(timelock)
	phase("as the daemon is killed and comes back", false)
	// A connection that begins as BitTorrent's does is cut once. Then its server is
	// known, also to the next daemon.
	if begun, err := downloads(shadowsocks("aes-256-gcm", besideAddrs[0], 10443, 1082))(p); err == nil {
		// On a busy machine its first segment may hold the address alone. That is too short to
		// look like BitTorrent. Then its connection passes, and a later one is cut.
		for n := 0; begun() == nil && p.wall != nil && n < 5; n++ {
		}
	}
	g, err := p.pingBySOCKS(session{"Shadowsocks", false}, 1082)
	p.ok(err)
	pingers = append(pingers, g)
	time.Sleep(timelock / 4)
	phase("as Shadowsocks is begun", false)
	if p.wall != nil {
		p.must(p.wall.Stop() == nil, "it does not stop")
		p.startWall()
		lock()
	}
	time.Sleep(timelock)
	phase("as it is restarted", false)

	stop()
	other := netip.MustParseAddr("192.168.1.177")
	// The kernel answers who asks for a new IPv6 address only when it has joined the address's
	// group, a moment after the command. Before that the router would ask in vain, and again
	// after a second.
	_, err = p.host.Run("sh", "-ec", fmt.Sprintf(`ip addr del %s/24 dev %[2]s
ip addr add %s/24 dev %[2]s
ip route replace default via %[4]s
ip addr add 2001:db8:1::177/64 dev %[2]s nodad
for i in $(seq 500); do ! ip -6 maddr show dev %[2]s | grep -q ff02::1:ff00:177 || break; sleep 0.01; done
ip addr del %[5]s/64 dev %[2]s`, p.host.Addr4, lab.HostDev, other, lab.Router4, p.host.Addr6))
	p.ok(err)
	// The wall cannot know that this is the same host. It finds the client there again.
	host.Addr4 = other
	c, _ := torrent(other)
	lock()
	time.Sleep(timelock)
	phase("as the host's address changes", true)
	before := c.Seen()
	time.Sleep(timelock)
	phase("at the other address", true)
	if after := c.Seen(); p.wall != nil {
		p.must(after.TCPIn == before.TCPIn && after.UDPIn == before.UDPIn, "the torrent client got through")
		p.must(p.locked(&host), "the host was let go while its client ran")
	} else {
		p.must(after.UDPIn > before.UDPIn, "the torrent client does nothing")
		// Negative control: a gap is noticed.
		p.dropUDP("-I")
		time.Sleep(oneSecond * 3 / 2)
		p.dropUDP("-D")
		for _, g := range pingers {
			if gap, _ := g.phase(); g.moves && gap < oneSecond {
				p.fault("%s: all UDP was dropped, and the longest gap is %v", g.vpn, gap)
			}
		}
	}
}
