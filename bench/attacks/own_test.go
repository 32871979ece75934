// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// sendFrom sends a datagram from a port of a host.
func (e *env) sendFrom(h *lab.Host, from, to netip.AddrPort, b []byte) {
	e.t.Helper()
	c, err := h.Dial(context.Background(), "udp", from, to)
	e.ok(err)
	defer c.Close()
	_, err = c.Write(b)
	e.ok(err)
}

// TestOneSign: an ordinary program of the host sends a client's message to one address,
// by chance or because somebody made it do so. This packet or connection may be lost, but
// nothing else.
//
// Fails on 8048849: each of these messages locks the host.
func TestOneSign(t *testing.T) {
	t.Parallel()
	udp4 := func(b []byte, p uint16) func(*env, *lab.Host) {
		return func(e *env, h *lab.Host) { e.sendFrom(h, port(h.Addr4, 40404), port(stranger4, p), b) }
	}
	udp6 := func(b []byte, p uint16) func(*env, *lab.Host) {
		return func(e *env, h *lab.Host) { e.sendFrom(h, port(h.Addr6, 40404), port(stranger6, p), b) }
	}
	tcp := func(text string, p uint16) func(*env, *lab.Host) {
		return func(e *env, h *lab.Host) { e.ask(h, port(stranger4, p), text) }
	}
	signs := map[string]func(*env, *lab.Host){
		"0x29 over IPv4": udp4([]byte(pongFull), 40405),
		"0x29 over IPv6": udp6([]byte(pongFull), 40405),
		"0x29 to two": func(e *env, h *lab.Host) {
			udp4([]byte(pongFull), 40405)(e, h)
			udp6([]byte(pongFull), 40405)(e, h)
		},
		"KRPC query":     udp4([]byte(krpcPing), 6881),
		"uTP SYN":        udp6(utpSYN, 6881),
		"FastTrack ping": udp4(lab.PingBytes(lab.EncGiFT, "KaZaA"), 1214),
		"Kad query":      udp4(kadFind, 4672),
		"Kad's look":     udp4(kadHidden, 40405),
		"handshake":      tcp(handshake, 6881),
		"hello":          tcp(string(lab.Hello), 1214),
		"GIVE":           tcp("GIVE 1\r\n", 1214),
		"Gnutella ping":  udp4([]byte(gnutellaPing), 6346),
		"ping of G2":     udp6([]byte(g2Ping), 6346),
		"result of ADC":  udp4([]byte(adcResult), 3412),
	}
	for _, x := range sessions {
		// The wall answers a login to a hub in the hub's name. A program that cannot reply
		// to that is no client.
		signs[x.name] = tcp(x.text, x.port)
	}
	for name, c := range signs {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, setup{})
			h := e.lab.Clients[0]
			v := e.victim(h)
			for range 2 { // a retransmission does not count as a second address
				c(e, h)
			}
			v.unharmed(stranger4, stranger6)
		})
	}
}

// ask opens a connection from a host, sends a text, and returns what comes back within a
// moment.
func (e *env) ask(h *lab.Host, to netip.AddrPort, text string) string {
	c, err := h.DialWithin(5*time.Second, "tcp", netip.AddrPort{}, to)
	if err != nil {
		return ""
	}
	return answer(c, text, 500*time.Millisecond)
}

// answer sends a text on a connection, returns what comes back within a time, and closes
// the connection.
func answer(c net.Conn, text string, within time.Duration) string {
	defer c.Close()
	c.SetDeadline(time.Now().Add(within))
	io.WriteString(c, text)
	b, _ := io.ReadAll(io.LimitReader(c, 4096))
	return string(b)
}

// TestSeveralSigns is the opposite of TestOneSign: a client's own conduct proves the
// client. For each protocol the host must be locked within the client's first packets.
//
// Passes on 8048849.
func TestSeveralSigns(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"FastTrack pings": lab.PingBytes(lab.EncGiFT, "KaZaA"), "KRPC queries": []byte(krpcPing), "uTP SYNs": utpSYN,
		"Kad queries":    kadFind,
		"Gnutella pings": []byte(gnutellaPing), "pings of G2": []byte(g2Ping), "results of ADC": []byte(adcResult),
	} {
		for _, six := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s IPv6 %v", name, six), func(t *testing.T) {
				e := newEnv(t, setup{})
				h := e.lab.Clients[0]
				from, to := h.Addr4, []netip.Addr{stranger4, stranger4b}
				if six {
					from, to = h.Addr6, []netip.Addr{stranger6, stranger6b}
				}
				for _, a := range to {
					e.sendFrom(h, port(from, 40404), port(a, 6881), b)
				}
				e.locked(h)
			})
		}
	}
}

// randomFirst opens a connection with random first data, as Shadowsocks does, and expects
// all data back.
func randomFirst(h *lab.Host, to netip.AddrPort) error {
	c, err := h.DialWithin(10*time.Second, "tcp", netip.AddrPort{}, to)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 220)
	rand.Read(b)
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err = io.ReadFull(c, b)
	return err
}

// lostOf counts, for each server, the lost connections with random first data.
type lostOf map[netip.AddrPort]int

// random opens a connection, and a second one if the first is lost, as every program
// does.
func (l lostOf) random(h *lab.Host, to netip.AddrPort) {
	for range 2 {
		if randomFirst(h, to) == nil {
			return
		}
		l[to]++
	}
}

// judge checks that at most one connection to each server was lost. It returns the
// servers where one was: the wall may probe a host that uses several such servers.
func (l lostOf) judge(t *testing.T) (spent []netip.Addr) {
	t.Helper()
	for to, n := range l {
		if n > 1 {
			t.Errorf("%d connections to %s are lost", n, to)
		}
		spent = append(spent, to.Addr())
	}
	return spent
}

// mappings ask the router to open a port, in each of the three protocols.
var mappings = map[string]func(*env, *lab.Host){
	"NAT-PMP": func(e *env, h *lab.Host) {
		for _, tcp := range []byte{1, 2} {
			e.sendFrom(h, netip.AddrPort{}, port(lab.Router4, 5351), []byte{0, tcp, 0, 0, 0xa2, 0xb9, 0xa2, 0xb9, 0, 0, 0x1c, 0x20})
		}
	},
	"PCP": func(e *env, h *lab.Host) {
		b := make([]byte, 60)
		b[0], b[1], b[6], b[7] = 2, 1, 0x1c, 0x20
		a := h.Addr4.As16()
		copy(b[8:], a[:])
		copy(b[24:36], "mapping nonce")
		b[36] = 6 // TCP
		b[40], b[41], b[42], b[43] = 0xa2, 0xb9, 0xa2, 0xb9
		e.sendFrom(h, netip.AddrPort{}, port(lab.Router4, 5351), b)
	},
	"UPnP": func(e *env, h *lab.Host) {
		l, err := e.lab.Router.ListenTCP(port(lab.Router4, 5000))
		e.ok(err)
		defer l.Close()
		go http.Serve(l, http.NotFoundHandler())
		body := "<s:Envelope><s:Body><u:AddPortMapping><NewExternalPort>41657</NewExternalPort><NewProtocol>TCP</NewProtocol>" +
			"<NewInternalPort>41657</NewInternalPort><NewPortMappingDescription>console</NewPortMappingDescription></u:AddPortMapping></s:Body></s:Envelope>"
		e.ask(h, port(lab.Router4, 5000), fmt.Sprintf("POST /ctl/IPConn HTTP/1.1\r\nHost: 192.168.1.1:5000\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	},
}

// TestMappingAndRandom: a game console or a phone makes the router open a port. Another
// program on that host, for example a VPN, opens connections with random first data.
//
// Fails on 8048849: the random data is taken for BitTorrent (cases K1).
func TestMappingAndRandom(t *testing.T) {
	t.Parallel()
	for name, ask := range mappings {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, setup{})
			h := e.lab.Clients[0]
			lab.Serve(e.t, e.lab.Inet, lab.Any(8388), lab.Echo)
			v := e.victim(h)
			ask(e, h)
			lost := lostOf{}
			for _, to := range []netip.Addr{stranger4, stranger6, stranger4b, stranger6b, stranger4} {
				lost.random(h, port(to, 8388))
			}
			v.unharmed(lost.judge(t)...)
		})
	}
}

// TestMappingOfAnEcho: a program asks the router to open a port, and echoes what comes to
// that port. So it echoes the wall's probe. An echoed probe must not count as an answer.
//
// Passes on 8048849: it does not probe by TCP, and an echo of its UDP probes is no
// answer.
func TestMappingOfAnEcho(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	e.echo(h, 0xa2b9)
	v := e.victim(h)
	for range 3 {
		mappings["NAT-PMP"](e, h)
		mappings["PCP"](e, h)
		time.Sleep(500 * time.Millisecond)
	}
	v.unharmed()
	if e.counter("probes") == 0 {
		t.Error("the host was asked nothing")
	}
}

// TestRain: a program calls itself "Rain", as a weather widget does. An old BitTorrent
// client had that name.
//
// Fails on 8048849: the host is locked (case K15).
func TestRain(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	v := e.victim(h)
	for _, to := range []netip.Addr{stranger4, stranger6, stranger4b, stranger6b} {
		answer := e.ask(h, port(to, 80), "GET /10 HTTP/1.1\r\nHost: weather.example\r\nUser-Agent: Rain Alarm 5.1\r\nConnection: close\r\n\r\n")
		if answer == "" {
			t.Errorf("no answer from %s", to)
		}
	}
	v.unharmed()
}

// TestFastOpen: a client puts its first data into the SYN.
//
// Fails on 8048849, which does not read the data of a SYN.
func TestFastOpen(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"handshake": handshake, "hello": string(lab.Hello)} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, setup{})
			h := e.lab.Clients[0]
			v := e.victim(e.lab.Innocent)
			raw := e.raw(h)
			for i, to := range []netip.Addr{stranger4, stranger4b} {
				for range 2 {
					e.ok(raw.Send(lab.TCPPacket(port(h.Addr4, uint16(40000+i)), port(to, 6881), lab.FlagSYN, 1000, []byte(text))))
				}
			}
			for i, to := range []netip.Addr{stranger6, stranger6b} {
				e.ok(raw.Send(lab.TCPPacket(port(h.Addr6, uint16(40000+i)), port(to, 6881), lab.FlagSYN, 1000, []byte(text))))
			}
			e.comes(10*time.Second, func() bool { return e.wall.LastLock(h) == "locked" })
			if len(e.wall.About(h, "client", "locked")) == 0 {
				t.Error("the client was not found")
			}
			for _, c := range e.lab.Crossings(h) {
				if c.Proto == lab.TCP && c.Len > 0 {
					t.Errorf("data left in a SYN: %s", &c.Packet)
				}
			}
			v.unharmed()
		})
	}
}

// TestFastOpenHarmless: a browser or another program puts its request into the SYN.
//
// Passes on 8048849. The test is here because the wall now reads data in a SYN.
func TestFastOpenHarmless(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	v := e.victim(h)
	raw := e.raw(h)
	from := e.lab.Packets.Now()
	for i, text := range []string{"GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n", "\x16\x03\x01\x00\x05hello", "\x01\x02\x03\x04"} {
		e.ok(raw.Send(lab.TCPPacket(port(h.Addr4, uint16(40000+i)), port(stranger4, 8443), lab.FlagSYN, 1000, []byte(text))))
	}
	e.until("the three SYNs to leave", func() bool {
		n := 0
		for _, c := range e.lab.Crossings(h) {
			if c.Entered > from && c.IsSYN() && c.Len > 0 {
				n++
			}
		}
		return n == 3
	})
	v.unharmed()
}

// TestRepeater: two computers behind a repeater, which the router sees with one hardware
// address. One runs a FastTrack or BitTorrent client. The other must lose nothing.
//
// Fails on 8048849: both are locked (case K5).
func TestRepeater(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"FastTrack", "BitTorrent"} {
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t, setup{})
			one := e.lab.Clients[0]
			other := netip.MustParseAddr("192.168.1.150")
			_, err := one.Run("ip", "addr", "add", other.String()+"/24", "dev", lab.HostDev)
			e.ok(err)
			two := &lab.Host{Namespace: one.Namespace, Addr4: other, MAC: one.MAC}
			v := e.user(two, false, lab.InnocentConfig{From: other})
			lab.Serve(e.t, e.lab.Inet, lab.Any(8388), lab.Echo)
			e.client(kind, one)
			e.locked(one)
			v.unharmed()
			e.heldBack(one.Addr4, one, kind)
		})
	}
}

// client runs a simulated client on a host.
func (e *env) client(kind string, h *lab.Host) (stop func()) {
	if kind == "FastTrack" {
		k := lab.NewKazaa(h, lab.KazaaConfig{Peers: e.lab.Peers, Speed: 20, Mode: 1})
		return e.start(k.Run)
	}
	c := lab.NewTorrent(h, lab.TorrentConfig{Peers: []netip.Addr{stranger4, stranger4b}})
	return e.start(c.Run)
}

// heldBack checks that a locked client's traffic from an address of its host does not
// pass. For FastTrack that is a new TCP connection, for BitTorrent a datagram from the
// client's port.
func (e *env) heldBack(from netip.Addr, h *lab.Host, kind string) {
	e.t.Helper()
	to := stranger4
	if from.Is6() {
		to = stranger6
	}
	if kind == "BitTorrent" {
		e.heldPort(port(from, 51413), port(to, 27016), h)
		return
	}
	c, err := h.DialWithin(time.Second, "tcp", netip.AddrPortFrom(from, 0), port(to, 8388))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	if err == nil {
		c.Close()
	}
	e.t.Errorf("%s reaches %s: %v", from, to, err)
}

// heldPort checks that a datagram of an unknown protocol does not pass.
func (e *env) heldPort(from, to netip.AddrPort, h *lab.Host) {
	e.t.Helper()
	junk := make([]byte, 133)
	rand.Read(junk)
	junk[0] = 0x9e
	start := e.lab.Packets.Now()
	mine := func(p *lab.Packet) bool {
		return p.At > start && p.Proto == lab.UDP && p.Len == len(junk) && p.Dst == to
	}
	e.ok(e.raw(h).Send(lab.UDPPacket(from, to, junk)))
	e.until("the datagram from inside", func() bool {
		return len(e.lab.Packets.All(func(p *lab.Packet) bool { return mine(p) && !p.WAN })) > 0
	})
	time.Sleep(300 * time.Millisecond)
	if len(e.lab.Packets.All(func(p *lab.Packet) bool { return mine(p) && p.WAN })) > 0 {
		e.t.Errorf("what %s says to %s passes", from, to)
	}
}

// TestManyAddresses: a host has twelve IPv6 addresses, like a host with privacy
// extensions. A client uses all of them, each in an older flow of an unknown protocol.
// The lock must stop all of these flows in both directions.
//
// Fails on 8048849: it stores only eight addresses of a host. The others are not in the
// kernel's sets.
func TestManyAddresses(t *testing.T) {
	e := newEnv(t, setup{main: map[string]string{"timelock": "20"}})
	h := e.lab.Clients[0]
	lab.Serve(e.t, e.lab.Inet, lab.Any(8388), lab.Echo)
	junk := make([]byte, 120)
	rand.Read(junk)
	junk[0] = 0x9e
	outside := port(stranger6, 27015) // echoes
	var flows []*net.UDPConn
	for i := range 12 {
		b := h.Addr6.As16()
		b[8], b[15] = 0xaa, byte(i+1)
		a := netip.AddrFrom16(b)
		_, err := h.Run("ip", "addr", "add", a.String()+"/64", "dev", lab.HostDev, "nodad")
		e.ok(err)
		u, err := h.ListenUDP(port(a, 51413))
		e.ok(err)
		t.Cleanup(func() { u.Close() })
		flows = append(flows, u)
		u.SetDeadline(time.Now().Add(patience))
		for range 3 {
			_, err = u.WriteToUDPAddrPort(junk, outside)
			e.ok(err)
			_, _, err = u.ReadFromUDPAddrPort(make([]byte, 200))
			e.ok(err)
		}
	}
	for _, u := range flows {
		for _, to := range []netip.Addr{stranger6, stranger6b} {
			_, err := u.WriteToUDPAddrPort([]byte(krpcPing), port(to, 6881))
			e.ok(err)
		}
	}
	e.locked(h)
	time.Sleep(time.Second)
	from := e.lab.Packets.Now()
	mine := func(p *lab.Packet) bool { return p.At > from && p.Proto == lab.UDP && p.Len == len(junk) }
	raw := e.raw(e.lab.Inet)
	for _, u := range flows { // before the host sends on any of them again
		e.ok(raw.Send(lab.UDPPacket(outside, u.LocalAddr().(*net.UDPAddr).AddrPort(), junk)))
	}
	e.until("the datagrams from outside", func() bool {
		return len(e.lab.Packets.All(func(p *lab.Packet) bool { return mine(p) && p.WAN && !p.Out })) == len(flows)
	})
	for _, u := range flows {
		_, err := u.WriteToUDPAddrPort(junk, outside)
		e.ok(err)
	}
	e.until("the datagrams from inside", func() bool {
		return len(e.lab.Packets.All(func(p *lab.Packet) bool { return mine(p) && !p.WAN && !p.Out })) == len(flows)
	})
	// Large datagrams in new flows must not pass either.
	long := append(junk, make([]byte, 1080)...)
	for _, u := range flows {
		for range 30 {
			_, err := u.WriteToUDPAddrPort(long, port(stranger6b, 6999))
			e.ok(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	for _, p := range e.lab.Packets.All(func(p *lab.Packet) bool {
		return p.Out && (mine(p) || p.Proto == lab.UDP && p.Len == len(long) && p.Dst.Addr() == stranger6b)
	}) {
		t.Errorf("a datagram of the client's passes: %s", &p)
	}
}

// TestTwoQueues: a host that is locked for its IPv4 traffic must be locked over IPv6 too,
// even if the other queue handles its IPv6 traffic.
//
// Fails on 8048849 if the program and not the kernel keeps the locks: each queue has its
// own locks.
func TestTwoQueues(t *testing.T) {
	t.Parallel()
	for _, sets := range []string{"auto", "off"} {
		t.Run("sets "+sets, func(t *testing.T) {
			e := newEnv(t, setup{lab: lab.Config{Clients: 6}, main: map[string]string{"queues": "2", "sets": sets, "timelock": "30"}})
			v := e.victim(e.lab.Innocent)
			// The last bits of an address choose the queue. These addresses go to the
			// other queue.
			other := make([]netip.Addr, len(e.lab.Clients))
			for i, h := range e.lab.Clients {
				b := h.Addr6.As16()
				b[8], b[15] = 0xbb, b[15]^1
				other[i] = netip.AddrFrom16(b)
				_, err := h.Run("ip", "addr", "add", other[i].String()+"/64", "dev", lab.HostDev, "nodad")
				e.ok(err)
			}
			kinds := [2]string{"FastTrack", "BitTorrent"}
			for i, h := range e.lab.Clients {
				e.client(kinds[i%2], h)
			}
			lab.Serve(e.t, e.lab.Inet, lab.Any(8388), lab.Echo)
			for _, h := range e.lab.Clients {
				e.locked(h)
			}
			for i, h := range e.lab.Clients {
				e.heldBack(other[i], h, kinds[i%2])
				e.heldBack(h.Addr6, h, kinds[i%2])
				e.heldBack(h.Addr4, h, kinds[i%2])
			}
			clients, err := e.wall.Clients()
			e.ok(err)
			if len(clients) != len(e.lab.Clients) {
				t.Errorf("%d clients are listed, there are %d", len(clients), len(e.lab.Clients))
			}
			v.unharmed()
		})
	}
}

// TestLinkLocal: a client sends only in the LAN, from its link-local IPv6 address. The
// wall must probe it there.
//
// Fails on 8048849: the host is locked for the search and never probed.
func TestLinkLocal(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	var own netip.Addr
	var search, listen net.PacketConn
	e.ok(h.Do(func() error {
		ifi, err := net.InterfaceByName(lab.HostDev)
		if err != nil {
			return err
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				own = p.Addr()
			}
		}
		if !own.IsValid() {
			return errors.New("the host has no link-local address")
		}
		at := "[" + own.String() + "%" + lab.HostDev + "]:"
		if listen, err = net.ListenPacket("udp6", at+"51413"); err != nil {
			return err
		}
		search, err = net.ListenPacket("udp6", at+"0")
		return err
	}))
	defer listen.Close()
	defer search.Close()
	v := e.victim(h)
	v.addr = append(v.addr, own)
	asked := make(chan []byte, 10)
	go func() {
		for {
			b := make([]byte, 2048)
			n, _, err := listen.ReadFrom(b)
			if err != nil {
				return
			}
			select {
			case asked <- b[:n]:
			default:
			}
		}
	}()
	to := &net.UDPAddr{IP: net.ParseIP("ff15::efc0:988f"), Port: 6771, Zone: lab.HostDev}
	text := "BT-SEARCH * HTTP/1.1\r\nHost: [ff15::efc0:988f]:6771\r\nPort: 51413\r\nInfohash: 0123456789abcdef0123456789abcdef01234567\r\n\r\n\r\n"
	got := false
	for range 20 {
		_, err := search.WriteTo([]byte(text), to)
		e.ok(err)
		select {
		case <-asked:
			got = true
		case <-time.After(500 * time.Millisecond):
			continue
		}
		break
	}
	if !got {
		t.Errorf("no question came to %s", own)
	}
	v.unharmed()
}
