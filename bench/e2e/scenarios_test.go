// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// scenarios are the properties that must hold with a wall and must fail without one.
var scenarios = []scenario{
	{name: "kazaa three modes", without: "^leak 1 of", main: map[string]string{"timelock": "2"}, run: kazaaThreeModes},
	{name: "kazaa network KaZaA", without: "^leak 1 of", run: network("KaZaA")},
	{name: "kazaa network fileshare", without: "^leak 1 of", run: network("fileshare")},
	{name: "kazaa network Grokster", without: "^leak 1 of", run: network("Grokster")},
	{name: "kazaa network MusicCity", without: "^leak 1 of", run: network("MusicCity")},
	{name: "kazaa IPv6", without: "the host connected by IPv4 while locked", run: kazaaIPv6},
	{name: "kazaa deaf", without: "^leak 1 of", main: map[string]string{"timelock": "2"}, run: kazaaDeaf},
	{name: "kazaa behind NAT", without: "^leak 1 of", lab: lab.Config{NAT: true, Forward: 1214}, run: kazaaNAT},
	{name: "kazaa before the wall", without: "^leak 1 of", lab: lab.Config{NAT: true}, late: true, run: kazaaBefore},
	{name: "two clients", without: "^leak 1 of", lab: lab.Config{Clients: 2}, run: twoClients},
	{name: "gift", without: "a search was carried by", main: map[string]string{"timelock": "4"}, run: gift},
	{name: "mldonkey", without: "a search was carried by", main: map[string]string{"timelock": "4"}, run: mldonkey},
	{name: "transfer", without: "the host connected after its request", main: map[string]string{"timelock": "2"}, run: transfer},
	{name: "transfer in pieces", without: "the host connected after its request", main: map[string]string{"timelock": "2"}, run: transferPieces},
	{name: "push", without: "the peer got a request", main: map[string]string{"timelock": "2"}, run: push},
	{name: "browse", without: `the outside read "HTTP`, main: map[string]string{"timelock": "2"}, run: browse},
	{name: "session before", without: "the session with a peer goes on", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "30", "look_back": "0"}, run: sessionBefore},
	{name: "torrent", without: "came from peers$", main: map[string]string{"timelock": "4"}, run: torrent},
	{name: "torrent before the wall", without: "came from peers$", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "4"}, late: true, run: torrentBefore},
	{name: "marked", without: "^0 packets went to the internet with", main: map[string]string{"timelock": "4", "ct_mark": "0x00010000/0x00ff0000"}, late: true, run: marked},
	{name: "beside a torrent", without: "came from peers$", main: map[string]string{"timelock": "4"}, late: true, run: besideTorrent},
	{name: "giFT in session", without: "searches and [0-9]+ sessions after the end of all", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "4"}, late: true, run: standing(newGiFT, 1214, 0)},
	{name: "MLDonkey in session", without: "searches and [0-9]+ sessions after the end of all", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "120"}, late: true, run: standing(newMLDonkey, 1214, 0)},
	{name: "MLDonkey in session at a port of its own", without: "searches and [0-9]+ sessions after the end of all", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "120"}, late: true, run: standing(newMLDonkey, 6789, 0)},
	{name: "MLDonkey in session without an interface", without: "searches and [0-9]+ sessions after the end of all", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "120"}, late: true, run: standing(newShutMLDonkey, 1214, 0)},
	{name: "MLDonkey in session at a hidden port", without: "searches and [0-9]+ sessions after the end of all", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "120"}, late: true, run: standing(newShutMLDonkey, 6789, 0)},
	{name: "MLDonkey in session says nothing", without: "[0-9]+ sessions go on", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "120"}, late: true, run: standingSilent},
	{name: "an upload of messages", without: "was not ended$", lab: lab.Config{NAT: true}, late: true, run: anUpload},
	{name: "giFT after an outage", without: "searches and [0-9]+ sessions after the end of all", lab: lab.Config{NAT: true}, main: map[string]string{"timelock": "4"}, late: true, run: standing(newGiFT, 1214, 30*time.Second)},
	{name: "MLDonkey after an outage", without: "searches and [0-9]+ sessions after the end of all", main: map[string]string{"timelock": "120"}, late: true, run: standing(newMLDonkey, 1214, 30*time.Second)},
	{name: "a sign of FastTrack", without: "not all were ended once: 0, 0, 0, 0$", lab: lab.Config{NAT: true}, late: true, run: aSign},
	{name: "listed names", without: "^nobody noticed the question for .*", lab: lab.Config{Clients: 5}, run: listedNames},
	{name: "first packets", without: "the outside got .* at port (443|80|22)$", lab: lab.Config{Clients: 4}, run: firstPackets},
	{name: "forged source", without: "a forged ping left", lab: lab.Config{Clients: 2}, main: map[string]string{"timelock": "2"}, run: forged},
}

// TestWall runs every scenario with the wall. No fault may occur.
func TestWall(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s, os.Getenv(offEnv) != "off")
			s.run(e)
			e.finish()
		})
	}
}

// TestWithoutWall runs every scenario without the wall. The fault that the scenario tests
// for must occur.
func TestWithoutWall(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want := regexp.MustCompile(s.without)
			e := newEnv(t, s, false)
			s.run(e)
			if s.without == "" || !slices.ContainsFunc(e.faults, want.MatchString) {
				t.Errorf("no fault %q shows without a wall, so the scenario shows nothing; there are %q", s.without, e.faults)
			}
			for _, f := range e.faults {
				t.Log("as it should be:", f)
			}
		})
	}
}

// kazaaThreeModes is the main scenario. A client goes through its modes, its answers to
// probes keep the lock for more than ten lock times, and it is released after its end.
func kazaaThreeModes(e *env) {
	const timelock = 2 * time.Second
	h := e.lab.Clients[0]
	judge := e.innocent(lab.InnocentConfig{IPv6: true, Browser: true})
	k, stop := e.kazaa(h, lab.KazaaConfig{Speed: 10, Patience: time.Second, Gap: 10 * time.Hour})

	e.until("the cache pinged three times, 20 peers tried by TCP", func() bool {
		o := k.Seen()
		return o.Pings >= 600 && o.Attempts >= 20
	})
	if e.wall != nil {
		o := k.Seen()
		e.must(len(o.PongsFrom) >= 150, "the client heard pongs of only %d peers", len(o.PongsFrom))
		s, err := e.wall.Client(h)
		if e.must(err == nil, "the client is not known: %v", err) {
			e.must(s.Peers == len(e.lab.Peers), "%d of %d peers learned", s.Peers, len(e.lab.Peers))
			e.must(s.Protocol == "fasttrack", "protocol %q", s.Protocol)
			e.must(s.MAC == "02:00:00:00:01:32", "MAC %q", s.MAC)
		}
	}

	k.SetMode(2)
	before := k.Seen().Attempts
	e.until("60 connections at a time tried", func() bool { return k.Seen().Attempts >= before+60 })

	before = k.Seen().Attempts
	k.SetMode(3)
	e.until("the one connection of mode 3", func() bool { o := k.Seen(); return o.Mode == 3 && o.Attempts > before })
	time.Sleep(timelock) // for its last SYNs
	e.until("the lock", func() bool { return e.locked(h) })
	quiet, answers := time.Now(), k.Seen().Answers
	for time.Since(quiet) < 11*timelock {
		if !e.must(!e.canConnect(h, lab.Server4, 200*time.Millisecond), "the host connected while the client runs") ||
			!e.must(!e.canConnect(h, lab.Server6, 200*time.Millisecond), "the host connected by IPv6 while the client runs") {
			break
		}
	}
	for _, ev := range e.events(h, "released") {
		e.fault("released at %s while the client runs", ev.Got.Format("15:04:05.000"))
	}
	answers = k.Seen().Answers - answers
	e.must(answers >= 10, "only %d probes answered in eleven lock periods", answers)

	stop()
	ended, last := time.Now(), e.lab.Packets.Now()
	e.released(h, ended, timelock)
	e.until("the host to connect again", func() bool { return e.canConnect(h, lab.Server4, 5*time.Second) })
	judge()

	e.noLeak(h, 0)
	e.noSYNWhileLocked(h, last)
	o := k.Seen()
	e.must(len(o.Connected) == 0 && o.Sessions == 0, "%d peers connected, %d sessions", len(o.Connected), o.Sessions)
	e.must(e.lab.Internet.Pings(h.Addr4) == 0, "%d pings arrived", e.lab.Internet.Pings(h.Addr4))
}

// released checks that a host's lock ends after its client ended. The limit is one lock
// time plus enough for a busy machine.
func (e *env) released(h *lab.Host, ended time.Time, timelock time.Duration) {
	if !e.until("the release", func() bool { return e.lastLock(h) == "released" }) {
		return
	}
	all := e.events(h, "released")
	at := all[len(all)-1].Got
	e.must(at.Sub(ended) < timelock+5*time.Second, "released %v after the client's end", at.Sub(ended))
}

// network runs a client of another network through modes 1 and 2.
func network(name string) func(*env) {
	return func(e *env) {
		h := e.lab.Clients[0]
		k, stop := e.kazaa(h, lab.KazaaConfig{Network: name})
		e.until("the cache pinged twice", func() bool { return k.Seen().Pings >= 400 })
		k.SetMode(2)
		before := k.Seen().Attempts
		e.until("connections tried", func() bool { return k.Seen().Attempts >= before+20 })
		stop()
		e.noLeak(h, 0)
		e.noSYNWhileLocked(h, e.lab.Packets.Now())
		if e.wall != nil {
			s, err := e.wall.Client(h)
			e.must(err == nil && s.Peers == 200 && s.Reason != "", "%+v, %v", s, err)
		}
	}
}

// kazaaIPv6 is a client with IPv6 peers. No FastTrack client had those, but the wall must
// handle both families.
func kazaaIPv6(e *env) {
	h := e.lab.Clients[0]
	k, stop := e.kazaa(h, lab.KazaaConfig{Peers: e.lab.Peers6, Speed: 10})
	e.until("pings and connections", func() bool { o := k.Seen(); return o.Pings >= 60 && o.Attempts >= 10 })
	e.until("the lock", func() bool { return len(e.lab.Crossings(h)) > 0 || e.wall != nil && e.anyLocked() })
	e.must(!e.canConnect(h, lab.Server4, 300*time.Millisecond), "the host connected by IPv4 while locked")
	e.must(!e.canConnect(h, lab.Server6, 300*time.Millisecond), "the host connected by IPv6 while locked")
	if e.wall != nil {
		e.must(len(k.Seen().PongsFrom) > 10, "pongs of only %d peers", len(k.Seen().PongsFrom))
	}
	stop()
	e.noLeak(h, 0)
}

func (e *env) anyLocked() bool {
	s, err := e.wall.Status()
	return err == nil && s.Locked > 0
}

// kazaaDeaf does not answer probes and stops sending. It must be released when its lock
// time is over, and not earlier.
func kazaaDeaf(e *env) {
	const timelock = 2 * time.Second
	h := e.lab.Clients[0]
	k, stop := e.kazaa(h, lab.KazaaConfig{Deaf: true})
	e.until("pings and the lock", func() bool {
		return k.Seen().Pings >= 400 && (e.wall == nil || e.locked(h))
	})
	stop()
	last := k.Seen().Last
	e.released(h, last, timelock)
	if rel := e.events(h, "released"); len(rel) > 0 {
		// The program's clock may be coarse by a tick, and a slow machine notes the time
		// of a packet late.
		early := last.Add(timelock - 250*time.Millisecond - time.Duration(pace()-1)*10*time.Millisecond)
		e.must(!rel[0].Got.Before(early), "released %v after the last packet, before the lock was over", rel[0].Got.Sub(last))
	}
	e.noLeak(h, 0)
}

// kazaaNAT is the usual home network: masquerading, and a port forwarded to the client.
func kazaaNAT(e *env) {
	h := e.lab.Clients[0]
	k, stop := e.kazaa(h, lab.KazaaConfig{})
	e.until("pings and connections", func() bool { o := k.Seen(); return o.Pings >= 400 && o.Attempts >= 20 })
	stop()
	e.noLeak(h, 0)
	o := k.Seen()
	e.must(len(o.Connected) == 0, "%d peers connected", len(o.Connected))
}

// kazaaBefore starts long before the wall. The kernel already has conntrack entries for
// its flows.
func kazaaBefore(e *env) {
	h := e.lab.Clients[0]
	e.lab.Internet.Silent.Store(true)
	k, stop := e.kazaa(h, lab.KazaaConfig{Peers: e.lab.Peers[:8], Speed: 10})
	e.until("forty pings to each peer", func() bool { return k.Seen().Pings >= 8*40 })
	e.startWall()
	ready := e.lab.Packets.Now() + 1
	before := k.Seen().Pings
	e.until("twenty more pings to each", func() bool { return k.Seen().Pings >= before+8*20 })
	stop()
	e.noLeak(h, ready)
	if e.wall != nil {
		_, err := e.wall.Client(h)
		e.must(err == nil, "the client was not found: %v", err)
	}
}

// twoClients run at the same time. They also talk to each other and to the router over
// the LAN, which the wall must ignore.
func twoClients(e *env) {
	a, b := e.lab.Clients[0], e.lab.Clients[1]
	ka, stopA := e.kazaa(a, lab.KazaaConfig{})
	kb, stopB := e.kazaa(b, lab.KazaaConfig{Network: "fileshare"})
	e.until("pings of both", func() bool { return ka.Seen().Pings >= 400 && kb.Seen().Pings >= 400 })
	if e.wall != nil {
		e.until("both locked", func() bool { return e.locked(a) && e.locked(b) })
	}
	for _, h := range []*lab.Host{b, e.lab.Router} {
		l, err := h.ListenTCP(netip.AddrPortFrom(netip.Addr{}, 8080))
		e.ok(err)
		defer l.Close()
	}
	for _, to := range []netip.Addr{b.Addr4, b.Addr6, lab.Router4, lab.Router6} {
		e.must(a.Connects(netip.AddrPortFrom(to, 8080), 10*time.Second), "LAN to LAN: no connection to %s", to)
	}
	stopA()
	if e.wall != nil {
		e.until("the release of the first", func() bool { return e.lastLock(a) == "released" })
		e.must(e.locked(b), "the second was let go with the first")
	}
	stopB()
	e.noLeak(a, 0)
	e.noLeak(b, 0)
}

// openSpeed scales giFT and MLDonkey. The ratio of their rounds to a lock time of four
// seconds is that of the real ones to two minutes.
const openSpeed = 30

// gift sends SYNs before its first ping, completes every handshake that it can and never
// answers a UDP probe.
func gift(e *env) {
	h := e.lab.Clients[0]
	judge := e.innocent(lab.InnocentConfig{Browser: true})
	g := lab.NewGiFT(h, lab.OpenConfig{Peers: e.lab.Peers, Speed: openSpeed})
	stop := e.start(g.Run)
	time.Sleep(10 * time.Second) // SYNs are retransmitted for more than seven seconds
	o := g.Seen()
	stop()
	e.noSession(h, o)
	judge()
}

// mldonkey is the same scenario with MLDonkey.
func mldonkey(e *env) {
	h := e.lab.Clients[0]
	judge := e.innocent(lab.InnocentConfig{Browser: true})
	m := lab.NewMLDonkey(h, lab.OpenConfig{Peers: e.lab.Peers, Speed: openSpeed})
	stop := e.start(m.Run)
	time.Sleep(12 * time.Second)
	o := m.Seen()
	stop()
	e.noSession(h, o)
	judge()
}

// noSession checks that a client gained nothing by sending SYNs before it could be
// recognised. SYNs that the router received before the ping that proves the client may
// leave, and their handshakes may complete. But no byte of a session may follow. On a busy
// machine, SYNs that the client sent earlier come to the router after its first ping, when
// they were sent on another processor.
func (e *env) noSession(h *lab.Host, o lab.Observations) {
	e.must(o.Pings > 0 && o.Attempts > 0, "the client did nothing: %+v", o)
	e.must(o.Searches == 0, "%d searches answered", o.Searches)
	e.must(o.Open == 0, "%d sessions are up", o.Open)
	e.must(o.Longest < time.Second, "a session lived %v", o.Longest)
	for _, s := range e.lab.Internet.Sessions() {
		if s.Client.Addr() != h.Addr4 {
			continue
		}
		e.must(!s.Up, "%s: a session was completed with %s", h.Addr4, s.Server)
		e.must(s.Searches == 0, "%s: a search was carried by %s", h.Addr4, s.Server)
	}
	first, ok := e.lab.FirstPing(h)
	if !e.must(ok, "no ping came to the router") {
		return
	}
	proof, ok := e.lab.ProvingPing(h)
	if !e.must(ok, "no second ping came to the router") {
		return
	}
	left := slices.DeleteFunc(e.lab.Leaks(h, first), func(c lab.Crossing) bool {
		if c.IsSYN() {
			return c.Entered < proof
		}
		return c.Proto != lab.UDP && (c.Proto != lab.TCP || c.Len == 0)
	})
	for i := range left[:min(len(left), 5)] {
		e.fault("%d of %d left after the first ping (%d): packet %d, entered as %d: %s",
			i+1, len(left), first, left[i].At, left[i].Entered, &left[i].Packet)
	}
	e.lab.Packets.Complete(e.t)
	if e.wall != nil {
		s, err := e.wall.Client(h)
		e.must(err == nil && s.Locked, "not locked: %+v, %v", s, err)
	}
}

// transfer is a client with UDP disabled. Its first request is cut. Afterwards the target
// and the supernode are blocked for it.
func transfer(e *env) { download(e, lab.TransferConfig{Speed: 10}) }

// transferPieces sends the request in segments of twenty bytes.
func transferPieces(e *env) { download(e, lab.TransferConfig{Speed: 10, Split: 20}) }

func download(e *env, cfg lab.TransferConfig) {
	h := e.lab.Clients[0]
	judge := e.innocent(lab.InnocentConfig{Browser: true})
	c := lab.NewTransfer(h, cfg)
	stop := e.start(c.Run)
	e.until("the client to be found", func() bool {
		if e.wall == nil {
			return c.Seen().Transfers > 0
		}
		_, err := e.wall.Client(h)
		return err == nil
	})
	e.must(!e.canConnect(h, lab.Server4, 300*time.Millisecond), "the host connected after its request")
	time.Sleep(3 * time.Second)
	stop()
	o := c.Seen()
	e.must(o.Transfers == 0 && o.BytesIn == 0, "%d transfers, %d bytes", o.Transfers, o.BytesIn)
	if e.wall != nil {
		e.peer(h, lab.TransferPeer.Addr())
	}
	judge()
}

// peer checks that an address is among the peers of a host.
func (e *env) peer(h *lab.Host, a netip.Addr) {
	peers, err := e.wall.Peers(h.Addr4.String())
	if !e.must(err == nil, "peers: %v", err) {
		return
	}
	for _, p := range peers {
		if p.Address == a.String() {
			return
		}
	}
	e.fault("%s is not among the %d peers of %s", a, len(peers), h.Addr4)
}

// push: a peer on the internet connects, and the client's request goes out on that
// connection.
func push(e *env) {
	h := e.lab.Clients[0]
	c := lab.NewTransfer(h, lab.TransferConfig{Gap: -1})
	e.start(c.Run)
	addr := netip.AddrPortFrom(h.Addr4, 1214)
	e.until("the client's port", func() bool {
		conn, err := e.lab.Internet.DialWithin(time.Second, lab.Server4, addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		s, _ := e.lab.Internet.Push(ctx, addr)
		cancel()
		e.must(s.BytesIn == 0 && !s.Up, "the peer got a request of %d bytes", s.BytesIn)
	}
	o := c.Seen()
	e.must(o.Transfers == 0 && o.BytesIn == 0, "%d transfers, %d bytes", o.Transfers, o.BytesIn)
	if e.wall != nil {
		e.until("the client to be found", func() bool { _, err := e.wall.Client(h); return err == nil })
		e.peer(h, lab.TransferPeer.Addr())
	}
}

// browse: a peer on the internet asks giFT for its files. The reply names giFT and its
// supernode, and must not leave.
func browse(e *env) {
	h := e.lab.Clients[0]
	// The peers do not exist, so that only the reply can give the client away.
	g := lab.NewGiFT(h, lab.OpenConfig{Peers: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.200:9")}})
	e.start(g.Run)
	addr := netip.AddrPortFrom(h.Addr4, 1214)
	e.until("the request", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		answer, _ := e.lab.Internet.Browse(ctx, addr)
		e.must(answer == "", "the outside read %q", answer)
		return g.Seen().Answers > 0
	})
	if e.wall != nil {
		e.until("the client to be found", func() bool { _, err := e.wall.Client(h); return err == nil })
	}
}

// firstPackets: the first packets that hosts ever send are a FastTrack ping, and sessions of
// BitTorrent with two peers at the ports of services. The kernel shows the SYN of the first
// session only.
func firstPackets(e *env) {
	const session = "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x05aaaaaaaaaaaaaaaaaaaa-TR3000-bbbbbbbbbbbb"
	for i, port := range []uint16{443, 80, 22} {
		h := e.lab.Clients[i]
		for _, text := range []string{"198.51.100.20", "198.51.100.21"} {
			to := netip.AddrPortFrom(netip.MustParseAddr(text), port)
			// The lab may have a server there already.
			if l, err := e.lab.Inet.ListenTCP(to); err == nil {
				defer l.Close()
			}
			c, err := h.DialWithin(5*time.Second, "tcp", netip.AddrPort{}, to)
			if !e.must(err == nil, "no connection to %v: %v", to, err) {
				continue
			}
			_, _ = c.Write([]byte(session))
			_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			_, _ = c.Read(make([]byte, 1))
			c.Close()
		}
		for _, c := range e.lab.Crossings(h) {
			if c.Proto == lab.TCP && c.Len > 0 && string(c.Head[:4]) == session[:4] {
				e.fault("the outside got %d bytes of a session at port %d", c.Len, c.Dst.Port())
			}
		}
	}
	h := e.lab.Clients[3]
	raw := e.raw(h)
	for _, p := range e.lab.Peers[:5] {
		raw.Send(lab.UDPPacket(netip.AddrPortFrom(h.Addr4, 1214), p, lab.PingBytes(lab.EncGiFT, "KaZaA")))
	}
	if e.wall != nil {
		for i, h := range e.lab.Clients {
			e.until(fmt.Sprintf("client %d to be found", i), func() bool { _, err := e.wall.Client(h); return err == nil })
		}
	}
	for _, c := range e.lab.Crossings(h) {
		// The host has no program at the port, and answers the wall's pongs with ICMP errors.
		if c.Proto == lab.UDP && e.lab.IsPeer(c.Dst.Addr()) {
			e.fault("a ping left: %s", &c.Packet)
		}
	}
}

// forged: pings with a neighbour's source address do not lock the neighbour.
func forged(e *env) {
	liar, victim := e.lab.Clients[0], e.lab.Clients[1]
	// The wall first sees the victim with its own MAC.
	e.until("the victim to connect", func() bool { return e.canConnect(victim, lab.Server4, 5*time.Second) })
	raw := e.raw(liar)
	ping := lab.PingBytes(lab.EncGiFT, "KaZaA")
	for range 3 {
		for _, p := range e.lab.Peers[:20] {
			raw.Send(lab.UDPPacket(netip.AddrPortFrom(victim.Addr4, 1214), p, ping))
		}
		time.Sleep(50 * time.Millisecond)
	}
	e.until("the victim to connect after the forged pings", func() bool { return e.canConnect(victim, lab.Server4, 5*time.Second) })
	for _, c := range e.lab.Crossings(liar) {
		if e.lab.IsPeer(c.Dst.Addr()) {
			e.fault("a forged ping left: %s", &c.Packet)
			break
		}
	}
	if e.wall != nil {
		e.must(!e.locked(victim), "the victim was locked")
		e.must(e.counter("forged") > 0, "forged packets were not counted")
	}
}
