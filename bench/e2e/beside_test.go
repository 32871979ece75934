// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	endian "encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// This file imitates what a host does besides BitTorrent, as it looks on the wire. None
// of it is file sharing.

// besideAddrs are a server's addresses.
var besideAddrs = [2]netip.Addr{netip.MustParseAddr("192.0.2.201"), netip.MustParseAddr("2001:db8:ff::201")}

// noise returns n random bytes, which look encrypted.
func noise(n int) []byte {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

// be16 puts the length before a message, as OpenVPN does over TCP.
func be16(b []byte) []byte { return append(endian.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// streams are TCP conversations. The server sends greeting, if there is one, and then
// echoes what it receives.
var streams = []struct {
	name, greeting string
	port           uint16
	first          func() []byte
	next           func() []byte
}{
	{"OpenVPN at any port", "", 11194, func() []byte { return be16(append([]byte{0x38}, noise(53)...)) }, func() []byte { return be16(append([]byte{0x48}, noise(1300)...)) }},
	{"Telegram", "", 5222, func() []byte { return noise(105) }, func() []byte { return noise(900) }},
	{"WhatsApp", "", 5222, func() []byte { return append([]byte("ED\x00\x01\x00\x00\x04\x08"), noise(100)...) }, func() []byte { return noise(300) }},
	{"RTMP", "", 1935, func() []byte { return append([]byte{3}, noise(1536)...) }, func() []byte { return noise(1400) }},
	{"SOCKS5", "", 1080, func() []byte { return []byte{5, 1, 0} }, func() []byte { return noise(700) }},
	{"telnet", "", 2323, func() []byte { return []byte("\xff\xfb\x1f\xff\xfb\x20") }, func() []byte { return []byte("ls\r\n") }},
	{"git", "", 9418, func() []byte { return []byte("003egit-upload-pack /x.git\x00host=a.b\x00") }, func() []byte { return noise(1000) }},
	{"rsync", "@RSYNCD: 31.0\n", 8730, func() []byte { return []byte("@RSYNCD: 31.0\n") }, func() []byte { return noise(1400) }},
	{"Redis", "", 6379, func() []byte { return []byte("*1\r\n$4\r\nPING\r\n") }, func() []byte { return []byte("*1\r\n$4\r\nPING\r\n") }},
	{"PostgreSQL", "", 5432, func() []byte { return []byte("\x00\x00\x00\x08\x04\xd2\x16\x2f") }, func() []byte { return append([]byte("\x17\x03\x03\x02\x00"), noise(512)...) }},
	{"MySQL", "\x4a\x00\x00\x00\x0a5.7.44\x00" + strings.Repeat("salt", 16), 3306, func() []byte { return append([]byte("\x54\x00\x00\x01\x8d\xa6\xff\x01"), noise(76)...) }, func() []byte { return []byte("\x09\x00\x00\x00\x03SELECT 1") }},
	{"IRC", ":irc.example.org NOTICE * :*** Looking up your hostname\r\n", 6667, func() []byte { return []byte("NICK a\r\n") }, func() []byte { return []byte("PRIVMSG #x :hullo\r\n") }},
	{"news", "200 news.example.org ready\r\n", 1190, func() []byte { return []byte("MODE READER\r\n") }, func() []byte { return []byte("GROUP x\r\n") }},
	{"Spotify", "", 4070, func() []byte {
		return []byte("\x00\x04\x00\x00\x01\x00\x52\x0e\x50\x02\xa0\x01\x01" + strings.Repeat("\x10\x20\x30\x40\x50\x60\x70\x01\x02\x03\x04", 24))
	}, func() []byte { return noise(400) }},
	{"Minecraft", "", 25565, func() []byte { return []byte("\x10\x00\xf4\x05\x09localhost\x63\xdd\x01") }, func() []byte { return noise(60) }},
	{"SSH at any port", "SSH-2.0-OpenSSH_9.2\r\n", 2222, func() []byte { return []byte("SSH-2.0-OpenSSH_9.2\r\n") }, func() []byte { return noise(1400) }},
	{"TLS at any port", "", 9443, func() []byte { return append([]byte("\x16\x03\x01\x01\x00"), noise(256)...) }, func() []byte { return append([]byte("\x17\x03\x03\x04\x00"), noise(1024)...) }},
	{"TeamViewer", "", 5938, func() []byte { return append([]byte("\x17\x24\x0a\x20\x00\x00\x00\x00\x00"), noise(30)...) }, func() []byte { return append([]byte("\x17\x24\x10\x04\x00\x00"), noise(500)...) }},
	{"AnyDesk", "", 7070, func() []byte { return append([]byte("\x16\x03\x01\x01\x00"), noise(256)...) }, func() []byte { return append([]byte("\x17\x03\x03\x04\x00"), noise(1024)...) }},
	{"Steam", "", 27017, func() []byte { return append([]byte("\x24\x00\x00\x00VT01\x17\x05\x00\x00"), noise(32)...) }, func() []byte { return append([]byte("\xa0\x00\x00\x00VT01"), noise(160)...) }},
	{"Delivery Optimization", "", 7680, func() []byte {
		return append([]byte("\x0eSwarm protocol\x00\x00\x00\x00\x02\x40\x00\x00"), noise(32+16+4)...)
	}, func() []byte {
		return []byte("\x00\x00\x00\x0d\x06\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00")
	}},
	{"something unknown", "", 7000, func() []byte { return []byte("hullo\n") }, func() []byte { return noise(500) }},
}

// datagrams are UDP conversations with servers that echo each datagram.
var datagrams = []struct {
	name string
	port uint16
	b    func() []byte
}{
	{"OpenVPN", 1194, func() []byte { return append([]byte{0x38}, noise(41)...) }},
	{"OpenVPN at any port", 4430, func() []byte { return append([]byte{0x48}, noise(1200)...) }},
	{"WireGuard", 51820, func() []byte { return append([]byte{4, 0, 0, 0}, noise(92)...) }},
	{"WARP", 2408, func() []byte { return append([]byte{1, 0x9a, 0x3c, 0x77}, noise(144)...) }},
	{"Tailscale's discovery", 41641, func() []byte { return append([]byte("TS\xf0\x9f\x92\xac"), noise(80)...) }},
	{"Nebula", 4242, func() []byte {
		return append([]byte("\x11\x00\x00\x00\x00\x00\x12\x34\x00\x00\x00\x00\x00\x00\x00"), noise(120)...)
	}},
	{"Resilio's tracker", 3000, func() []byte { return append([]byte("BSYNC\x00d2:la6:"), noise(90)...) }},
	{"ZeroTier", 9993, func() []byte { return noise(137) }},
	{"L2TP", 1701, func() []byte {
		return []byte("\xc8\x02\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x80\x08\x00\x00\x00\x00\x00\x01")
	}},
	{"RTP", 40000, func() []byte {
		return append([]byte("\x80\x00\x00\x01\x00\x00\x00\xa0\x11\x22\x33\x44"), noise(160)...)
	}},
	{"Source's games", 27020, func() []byte { return []byte("\xff\xff\xff\xffTSource Engine Query\x00") }},
	{"Steam", 27018, func() []byte { return append([]byte("VS01\x00\x00\x01\x00\x00\x02\x00\x00"), noise(24)...) }},
	{"Xbox", 3074, func() []byte { return append([]byte("\x00\x00\x00\x00\x0c\x58\x76\x00\x00\x00"), noise(40)...) }},
	{"Mumble", 64738, func() []byte { return noise(60 + rand.IntN(60)) }},
	{"SNMP", 16100, func() []byte {
		return []byte("\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x2a\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00")
	}},
	{"a game of its own", 7777, func() []byte { return noise(20 + rand.IntN(300)) }},
	{"mosh", 60001, func() []byte { return noise(70) }},
	{"Zoom", 8801, func() []byte { return append([]byte{5, 0x10, 1}, noise(300)...) }},
	{"DNSCrypt", 8443, func() []byte { return append([]byte("q6fnvWj8"), noise(504)...) }},
	{"Facebook's QUIC", 4433, func() []byte { return append([]byte("\xc0\xfa\xce\xb0\x02\x08"), noise(1200)...) }},
	{"time of Windows", 12300, func() []byte { return append([]byte{0xdb}, make([]byte, 47)...) }},
}

// besideServers starts the servers for all these conversations.
func (e *env) besideServers() {
	e.t.Helper()
	served := map[uint16]bool{}
	tcp := func(p uint16, serve func(net.Conn)) {
		if served[p] {
			return
		}
		served[p] = true
		for _, a := range besideAddrs {
			lab.Serve(e.t, e.lab.Inet, netip.AddrPortFrom(a, p), serve)
		}
	}
	for _, s := range streams {
		tcp(s.port, func(c net.Conn) {
			io.WriteString(c, s.greeting)
			io.Copy(c, c)
		})
	}
	tcp(8388, lab.Echo)           // Shadowsocks
	tcp(50123, func(c net.Conn) { // passive FTP's data connection: the server answers with the number of bytes
		n, _ := io.Copy(io.Discard, c)
		endian.Write(c, endian.BigEndian, n)
	})
	web := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			io.Copy(c, rw)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, n)
	})
	for _, a := range besideAddrs {
		lab.ServeHTTP(e.t, e.lab.Inet, netip.AddrPortFrom(a, 8000), web)
		for _, d := range datagrams {
			lab.ServeUDP(e.t, e.lab.Inet, netip.AddrPortFrom(a, d.port))
		}
	}
}

// dial connects a host with a server. patience is the time that one action may take.
func dial(h *lab.Host, network string, to netip.AddrPort) (net.Conn, error) {
	return h.DialWithin(patience, network, netip.AddrPort{}, to)
}

// sendsBack sends b and expects it back.
func sendsBack(c net.Conn, b []byte) error {
	if _, err := c.Write(b); err != nil {
		return err
	}
	got := make([]byte, len(b))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, b) {
		return fmt.Errorf("%q came back of %q", got[:min(20, len(got))], b[:min(20, len(b))])
	}
	return nil
}

// stream has one conversation over TCP.
func stream(h *lab.Host, to netip.AddrPort, greeting string, first, next func() []byte) error {
	c, err := dial(h, "tcp", to)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.CopyN(io.Discard, c, int64(len(greeting))); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := sendsBack(c, first()); err != nil {
		return fmt.Errorf("first data: %w", err)
	}
	for i := range 60 { // more packets than the kernel shows of a connection
		if err := sendsBack(c, next()); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// besides are the actions of a host. to is the server's address, own is one of the host's
// addresses.
func (e *env) besides(h *lab.Host) map[string]func(to, own netip.Addr) error {
	all := map[string]func(to, own netip.Addr) error{}
	for _, s := range streams {
		all[s.name+" by TCP"] = func(to, _ netip.Addr) error {
			return stream(h, netip.AddrPortFrom(to, s.port), s.greeting, s.first, s.next)
		}
	}
	for _, d := range datagrams {
		all[d.name+" by UDP"] = func(to, _ netip.Addr) error {
			c, err := dial(h, "udp", netip.AddrPortFrom(to, d.port))
			if err != nil {
				return err
			}
			defer c.Close()
			for i := range 40 {
				b := d.b()
				if _, err := c.Write(b); err != nil {
					return err
				}
				if n, err := c.Read(make([]byte, 2048)); err != nil || n != len(b) {
					return fmt.Errorf("datagram %d: %d bytes came back, %w", i, n, err)
				}
			}
			return nil
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return h.Dial(ctx, network, netip.AddrPort{}, netip.MustParseAddrPort(addr))
	}}}
	request := func(method string, size int, chunked bool) func(to, _ netip.Addr) error {
		return func(to, _ netip.Addr) error {
			var body io.Reader = bytes.NewReader(noise(size))
			if chunked {
				body = io.MultiReader(body) // hides the length, so that HTTP sends the body in chunks
			}
			r, err := http.NewRequest(method, "http://"+netip.AddrPortFrom(to, 8000).String()+"/x", body)
			if err != nil {
				return err
			}
			reply, err := client.Do(r)
			if err != nil {
				return err
			}
			defer reply.Body.Close()
			if b, err := io.ReadAll(reply.Body); err != nil || string(b) != fmt.Sprint(size) {
				return fmt.Errorf("%s of %d bytes: %q, %w", method, size, b, err)
			}
			return nil
		}
	}
	for _, size := range []int{1 << 10, 100 << 10, 30 << 20 / min(pace(), 10)} {
		all[fmt.Sprintf("an upload of %d KiB", size>>10)] = request("POST", size, false)
	}
	all["an upload in chunks"] = request("POST", 500<<10, true)
	for _, method := range []string{"PROPFIND", "MKCOL", "PUT", "PATCH", "REPORT"} {
		all[method] = request(method, 5000, false)
	}
	all["CONNECT"] = func(to, _ netip.Addr) error {
		c, err := dial(h, "tcp", netip.AddrPortFrom(to, 8000))
		if err != nil {
			return err
		}
		defer c.Close()
		io.WriteString(c, "CONNECT www.example.org:443 HTTP/1.1\r\nHost: www.example.org:443\r\n\r\n")
		const reply = "HTTP/1.1 200 OK\r\n\r\n"
		if _, err := io.CopyN(io.Discard, c, int64(len(reply))); err != nil {
			return err
		}
		for range 60 { // the tunnel carries TLS
			if err := sendsBack(c, append([]byte{0x17, 3, 3, 2, 88}, noise(600)...)); err != nil {
				return err
			}
		}
		return nil
	}
	all["passive FTP, a file"] = func(to, _ netip.Addr) error {
		c, err := dial(h, "tcp", netip.AddrPortFrom(to, 50123))
		if err != nil {
			return err
		}
		defer c.Close()
		b := noise(1 << 20)
		if _, err := c.Write(b); err != nil {
			return err
		}
		c.(interface{ CloseWrite() error }).CloseWrite()
		n := int64(0)
		if err := endian.Read(bufio.NewReader(c), endian.BigEndian, &n); err != nil || n != int64(len(b)) {
			return fmt.Errorf("%d bytes arrived, %w", n, err)
		}
		return nil
	}
	// Here the server connects: active FTP, and a server on the host.
	all["active FTP, a file"] = func(to, own netip.Addr) error { return e.calledBack(h, to, own, 1<<20) }
	all["a server of the host's"] = func(to, own netip.Addr) error {
		for range 5 {
			if err := e.calledBack(h, to, own, 300); err != nil {
				return err
			}
		}
		return nil
	}
	return all
}

// calledBack makes a server connect to the host and checks that the host's data arrives.
func (e *env) calledBack(h *lab.Host, server, own netip.Addr, size int) error {
	l, err := h.ListenTCP(netip.AddrPortFrom(own, 0))
	if err != nil {
		return err
	}
	defer l.Close()
	sent := noise(size)
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Write(sent)
			c.Close()
		}
	}()
	c, err := e.lab.Internet.DialWithin(patience, server, l.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		return fmt.Errorf("%d of %d bytes came, %w", len(got), len(sent), err)
	}
	return nil
}

// allBesides performs all actions side by side, over IPv4 and IPv6.
func (e *env) allBesides(when string, h *lab.Host) {
	var all sync.WaitGroup
	gate := make(chan struct{}, 8)
	for name, do := range e.besides(h) {
		for i, own := range [2]netip.Addr{h.Addr4, h.Addr6} {
			all.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				if err := do(besideAddrs[i], own); err != nil {
					e.fault("%s: %s with %s: %v", when, name, besideAddrs[i], err)
				}
			})
		}
	}
	all.Wait()
}

// tunnel is a lasting WireGuard session over IPv6. judge checks that each datagram came
// back.
func (e *env) tunnel(h *lab.Host) (judge func()) {
	c, err := dial(h, "udp", netip.AddrPortFrom(besideAddrs[1], 51820))
	e.ok(err)
	c.SetDeadline(time.Time{})
	var mu sync.Mutex
	sent, came := 0, 0
	go func() {
		b := make([]byte, 2048)
		for {
			if _, err := c.Read(b); err != nil {
				return
			}
			mu.Lock()
			came++
			mu.Unlock()
		}
	}()
	stop := e.start(func(ctx context.Context) error {
		for ctx.Err() == nil {
			if _, err := c.Write(append([]byte{4, 0, 0, 0}, noise(92)...)); err != nil {
				return err
			}
			mu.Lock()
			sent++
			mu.Unlock()
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	})
	return func() {
		stop()
		defer c.Close()
		e.until("all of the tunnel", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return came == sent
		})
		e.must(came == sent && sent > 100, "%d of %d datagrams of the tunnel came back", came, sent)
	}
}

// proxy uses a Shadowsocks server n times and returns the number of failures.
func proxy(h *lab.Host, n int) (lost int) {
	for range n {
		to := netip.AddrPortFrom(besideAddrs[0], 8388)
		if stream(h, to, "", func() []byte { return noise(220) }, func() []byte { return noise(900) }) != nil {
			lost++
		}
	}
	return lost
}

// besideTorrent: while a host is locked for BitTorrent, its other traffic continues. A
// tunnel that existed before the wall never stops, even when the daemon dies or restarts
// and when the host gets other addresses.
func besideTorrent(e *env) {
	const timelock = 4 * time.Second
	h := e.lab.Clients[0]
	e.besideServers()
	judge := e.tunnel(h)
	c := lab.NewTorrent(h, lab.TorrentConfig{Peers: torrentPeers})
	stop := e.start(c.Run)
	e.until("queries", func() bool { return c.Seen().Queries >= 20 })
	e.startWall()
	lock := func(when string) {
		e.until("the lock "+when, func() bool { return e.wall == nil || e.locked(h) })
	}
	lock("at first")
	e.allBesides("while locked", h)
	lost := proxy(h, 20)
	e.must(lost <= 1, "the proxy lost %d of 20 connections", lost)
	e.must(e.wall == nil || e.locked(h), "the client was let go while it ran")
	if e.wall != nil {
		e.wall.Kill()
		e.startWall()
		lock("after a kill")
		e.must(e.wall.Stop() == nil, "it does not stop")
		e.startWall()
		lock("after a restart")
	}
	for _, a := range []string{"192.168.1.177/24", "2001:db8:1::177/64"} {
		_, err := h.Run("ip", "addr", "add", a, "dev", lab.HostDev, "nodad")
		e.ok(err)
		other, _ := netip.ParsePrefix(a)
		to := besideAddrs[0]
		if other.Addr().Is6() {
			to = besideAddrs[1]
		}
		for range 3 {
			u, err := h.ListenUDP(netip.AddrPortFrom(other.Addr(), 0))
			e.ok(err)
			u.WriteToUDPAddrPort(noise(40), netip.AddrPortFrom(to, 7777))
			u.Close()
		}
	}
	e.allBesides("with other addresses", h)
	lost = proxy(h, 20)
	e.must(lost <= 1, "the proxy lost %d of 20 connections with other addresses", lost)
	e.cutOff(h, c, timelock)
	stop()
	e.released(h, time.Now(), timelock)
	e.must(proxy(h, 5) == 0, "the proxy lost a connection after the release")
	e.allBesides("after the release", h)
	judge()
}
