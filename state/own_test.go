// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// ownPorts returns the ports of the host's client, the newest first.
func (w *world) ownPorts(a string) (out []uint16) {
	addr := ip(a)
	slot := w.e.clientAt(&addr)
	if slot == none {
		return nil
	}
	for _, port := range w.e.clients[slot].own {
		if port != 0 {
			out = append(out, port)
		}
	}
	return out
}

func (w *world) wantOwn(a string, want ...uint16) {
	w.t.Helper()
	if got := w.ownPorts(a); !slices.Equal(got, want) {
		w.t.Errorf("own ports %v, want %v", got, want)
	}
}

// saysFrom returns a datagram of the host from a port.
func saysFrom(port uint16, b string) action {
	return func(w *world, dst string) *nfq.Packet {
		p := says(b)(w, dst)
		p.SrcPort = port
		return p
	}
}

// TestOwnPortsAreLearned: from the source of queries and of answers to ours, from what the
// client's own data names, and from where it answers the outside; from nothing else.
func TestOwnPortsAreLearned(t *testing.T) {
	const other = "203.0.113.9"
	extended := "\x00\x00\x00\x1a\x14\x00d1:pi6999e1:v4:Test1:mdeee"
	extended = "\x00\x00\x00" + string(rune(len(extended)-4)) + extended[4:]
	for _, tt := range []struct {
		name string
		do   action
		want []uint16
	}{
		{"a query of the DHT", saysFrom(6999, dhtPing), []uint16{6999, 51413}},
		{"the beginning of uTP", saysFrom(6999, utpSYN), []uint16{6999, 51413}},
		{"the port from before", saysFrom(51413, dhtPing), []uint16{51413}},
		{"an answer of the DHT", saysFrom(6999, "d1:rd2:id20:"+nodeID+"e1:t2:aa1:y1:re"), []uint16{51413}}, // may echo what came in
		{"a tracker by UDP", saysFrom(6999, trackerAsks), []uint16{51413}},                                 // trackers are asked from another port
		{"the system's ports", saysFrom(1023, dhtPing), []uint16{51413}},
		{"the lowest that counts", saysFrom(1024, dhtPing), []uint16{1024, 51413}},
		{"an announce by HTTP", sends(announceLine + "User-Agent: Transmission/3.00\r\n\r\n"), []uint16{6890, 51413}},
		{"the same of a browser", sends(announceLine + "User-Agent: Mozilla/5.0\r\n\r\n"), []uint16{51413}},
		{"an announce that names the system's port", sends("GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&peer_id=-lt0D60-abcdefghijkl&port=80 HTTP/1.1\r\nUser-Agent: Transmission/3.00\r\n\r\n"), []uint16{51413}},
		{"a handshake that names it", sends(handshake + extended), []uint16{6999, 51413}},
		{"a handshake on a connection from outside", replies(handshake), []uint16{8080, 51413}},
		{"what the outside says", func(_ *world, dst string) *nfq.Packet { return hears(dst, 6881, dhtPing) }, []uint16{51413}},
		{"what the outside says by TCP", func(_ *world, dst string) *nfq.Packet { return reply(dst, 30000, 8080, 5000, handshake) }, []uint16{51413}},
		{"a mapping", func(*world, string) *nfq.Packet { return mapping() }, []uint16{51413}},
		{"a search in the LAN", func(*world, string) *nfq.Packet {
			p := udp(macA, hostA, 6771, "239.192.152.143", 6771, []byte("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n"+
				"Port: 6999\r\nInfohash: 0123456789abcdef0123456789abcdef01234567\r\n\r\n\r\n"))
			p.Hook, p.OutDev = nfq.HookInput, 0
			return p
		}, []uint16{51413}},
		{"another host's query", func(_ *world, dst string) *nfq.Packet { return udp(macB, hostB, 6999, dst, 6881, []byte(dhtPing)) }, []uint16{51413}},
		{"anything else", saysFrom(6999, "hullo"), []uint16{51413}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := lockedTorrent(t, nil)
			w.e.Packet(tt.do(w, other), w.now)
			w.e.Advance(w.now)
			w.wantOwn(hostA, tt.want...)
			consistentOwn(t, w.e, w.sets)
			if want := 2 * len(tt.want); len(w.sets.own) != want {
				t.Errorf("%d elements, want %d: %v", len(w.sets.own), want, w.sets.own)
			}
		})
	}
	t.Run("an answer to our question", func(t *testing.T) {
		w := newWorld(t, nil)
		w.expect("a mapping", mapping(), nfq.Accept)
		w.expect("the answer", toRouter(51413, krpcAnswer(w.asked("krpc"))), nfq.Drop)
		w.wantOwn(hostA, 51413)
		if w.sets.own[ownName(ip(hostA), nfq.ProtoUDP, 51413)] == 0 || w.sets.own[ownName(ip(hostA), nfq.ProtoTCP, 51413)] == 0 {
			t.Errorf("the kernel was not told: %v", w.sets.own)
		}
	})
}

// TestOwnPortsAreCut: for both protocols and at all addresses of the host, new ones
// included, until the lock ends. Nothing else of the host is cut.
func TestOwnPortsAreCut(t *testing.T) {
	const v6 = "2001:db8:1::50"
	w := lockedTorrent(t, nil)
	from := func(proto uint8, src string, port uint16, b string) *nfq.Packet {
		p := udp(macA, src, port, "203.0.113.60", 7777, []byte(b))
		if p.Proto = proto; proto == nfq.ProtoTCP {
			p.TCPFlags, p.Seq = nfq.ACK|nfq.PSH, 1000
		}
		if !p.Src.Is4() {
			p.Version, p.Dst = 6, ip("2001:db8:ff::60")
		}
		return p
	}
	check := func(own bool) {
		t.Helper()
		want := nfq.Accept
		if own {
			want = nfq.Drop
		}
		for _, src := range []string{hostA, v6} {
			w.expect("a datagram from the own port of "+src, from(nfq.ProtoUDP, src, 51413, "hullo"), want)
			w.expect("a game's datagram from "+src, from(nfq.ProtoUDP, src, 50000, random(60)), nfq.Accept)
			syn := from(nfq.ProtoTCP, src, 51413, "")
			syn.TCPFlags = nfq.SYN
			w.expect("a SYN from the own port of "+src, syn, want)
			answer := from(nfq.ProtoTCP, src, 51413, "")
			answer.TCPFlags = nfq.SYN | nfq.ACK
			w.expect("an answer from the own port of "+src, answer, want)
		}
	}
	check(true)
	consistentOwn(t, w.e, w.sets)
	if len(w.sets.own) != 4 {
		t.Errorf("own: %v", w.sets.own)
	}
	// WireGuard's handshake and a long session of it, from before the lock and after.
	for i := range 100 {
		b := "\x04\x00\x00\x00" + random(92)
		if i%20 == 0 {
			b = "\x01\x00\x00\x00" + random(144)
		}
		if v := w.e.Packet(from(nfq.ProtoUDP, hostA, 41641, b), w.now); v == nfq.Drop {
			t.Fatalf("WireGuard's packet %d is dropped", i)
		}
		w.pass(100 * time.Millisecond)
	}
	w.pass(81 * time.Second)
	if w.locked(hostA) || w.sets.cut() != 0 || len(w.ownPorts(hostA)) != 0 {
		t.Errorf("one lock time later: own %v, sets %+v", w.ownPorts(hostA), w.sets)
	}
	check(false)
}

// TestManyOwnPorts: the four used last are kept.
func TestManyOwnPorts(t *testing.T) {
	w := lockedTorrent(t, nil)
	for i, tt := range []struct {
		port uint16
		want []uint16
	}{
		{6001, []uint16{6001, 51413}},
		{6002, []uint16{6002, 6001, 51413}},
		{6003, []uint16{6003, 6002, 6001, 51413}},
		{51413, []uint16{51413, 6003, 6002, 6001}}, // it is still in use
		{6004, []uint16{6004, 51413, 6003, 6002}},
		{6004, []uint16{6004, 51413, 6003, 6002}},
		{6001, []uint16{6001, 6004, 51413, 6003}},
	} {
		w.e.Packet(saysFrom(tt.port, dhtPing)(w, fmt.Sprintf("203.0.113.%d", i+1)), w.now)
		w.e.Advance(w.now)
		w.wantOwn(hostA, tt.want...)
		consistentOwn(t, w.e, w.sets)
		if len(w.sets.own) != 2*len(tt.want) {
			t.Errorf("step %d: %v", i, w.sets.own)
		}
	}
	w.expect("a datagram from a port that gave way", saysFrom(6002, "hullo")(w, "203.0.113.60"), nfq.Accept)
}

// Ports learnt before the proof are cut when it comes, and not earlier.
func TestOwnPortsBeforeTheProof(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.wantOwn(hostA, 51413)
	w.expect("something else from there", w.speaks("203.0.113.9", 7777, "hullo"), nfq.Accept)
	if w.sets.cut() != 0 {
		t.Errorf("cut: %+v", w.sets)
	}
	w.expect("a query from another port", saysFrom(6999, dhtPing)(w, "203.0.113.9"), nfq.Drop)
	w.expect("something else from the first", w.speaks("203.0.113.9", 7777, "hullo"), nfq.Drop)
	consistentOwn(t, w.e, w.sets)
	if len(w.sets.own) != 4 {
		t.Errorf("own %v", w.sets.own)
	}
}

// A peer's address may also serve something else: the host may use its other ports, by TCP
// and UDP.
func TestOtherServicesOfAPeer(t *testing.T) {
	const peer = "198.51.100.7"
	w := lockedTorrent(t, nil)
	w.expect("WireGuard with a peer's address", udp(macA, hostA, 50000, peer, 51820, []byte("\x04\x00\x00\x00"+random(92))), nfq.Accept)
	w.expect("a game with it", udp(macA, hostA, 50001, peer, 27015, []byte("hullo")), nfq.Accept)
	w.expect("the same at the peer's port", udp(macA, hostA, 50001, peer, 6881, []byte("hullo")), nfq.Accept)
	w.expect("uTP at the peer's port", udp(macA, hostA, 50001, peer, 6881, []byte(utpData)), nfq.Drop)
	w.expect("what looks like uTP at another", udp(macA, hostA, 50001, peer, 6882, []byte(utpData)), nfq.Accept)
	w.open(4000, peer, 443)
	w.expect("TLS", w.data(4000, peer, 443, 1000, hello("www.example.org")), nfq.AcceptDecided)
	w.expect("a SYN to the peer", tcp(macA, hostA, 4001, peer, 6881, nfq.SYN, nil), nfq.Drop)
}

// A client that keeps changing its port does not keep the kernel busy.
func TestOwnPortsAreBounded(t *testing.T) {
	w := lockedTorrent(t, nil)
	for i := range uint16(addrsPerHost - 1) {
		p := saysFrom(51413, dhtPing)(w, "2001:db8:ff::7")
		p.Src[15] = byte(i)
		w.e.Packet(p, w.now)
	}
	first := w.sets.calls
	const seconds = 20
	for i := range 1000 * seconds {
		w.now = w.now.After(time.Millisecond)
		p := saysFrom(uint16(2000+i%50_000), dhtPing)(w, "203.0.113.9")
		w.expect("a query", p, nfq.Drop)
	}
	// Each change sends the whole lock again, ten elements for each address.
	if n := w.sets.calls - first; n > 4*(changesAtOnce+changesPerSecond*seconds)+4*addrsPerHost*10 {
		t.Errorf("%d changes of the kernel's sets", n)
	}
	consistentOwn(t, w.e, w.sets)
	if w.e.Counters.Withheld == 0 {
		t.Error("nothing was withheld")
	}
	w.pass(3 * time.Minute)
	if w.sets.cut() != 0 {
		t.Errorf("left: %+v", w.sets)
	}
}

// Changes that have no room are sent when there is some.
func TestOwnPortsWithoutRoom(t *testing.T) {
	w := lockedTorrent(t, nil)
	s := &slowSets{fakeSets: w.sets, size: 64}
	w.e.SetSets(s, w.now)
	w.e.SetsTaken(s, s.batch, nil, w.now)
	s.size = s.used + 3 // it needs four, and one for the watch
	w.expect("a query from another port", saysFrom(6999, dhtPing)(w, "203.0.113.9"), nfq.Drop)
	if w.sets.own[ownName(ip(hostA), nfq.ProtoUDP, 6999)] != 0 {
		t.Fatal("told without room")
	}
	s.size, s.used = 64, 0
	w.e.SetsTaken(s, s.batch, nil, w.now)
	if w.sets.own[ownName(ip(hostA), nfq.ProtoUDP, 6999)] == 0 {
		t.Errorf("not told: %v", w.sets.own)
	}
}

// Both engines of a router cut the own ports that one has learnt, at the addresses that
// each has seen.
func TestOwnPortsInAllQueues(t *testing.T) {
	const v6 = "2001:db8:1::50"
	a, b := twoQueues(t, nil)
	game := tcp(macA, v6, 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	game.Version = 6
	b.expect("the address is known", game, nfq.Accept)
	a.proveTorrent()
	a.expect("a query", a.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	uTP := func(port uint16) *nfq.Packet {
		p := udp(macA, v6, port, "2001:db8:ff::9", 6881, []byte(random(300)))
		p.Version = 6
		return p
	}
	b.expect("from the own port by IPv6", uTP(51413), nfq.Drop)
	b.expect("from another", uTP(6999), nfq.Accept)
	a.expect("a query from another port", saysFrom(6999, dhtPing)(a, "203.0.113.9"), nfq.Drop)
	b.expect("from the new port by IPv6", uTP(6999), nfq.Drop)
	if b.sets.own[ownName(ip(v6), nfq.ProtoUDP, 6999)] == 0 {
		t.Errorf("the kernel was not told: %v", b.sets.own)
	}
	together(a, b, 82*time.Second)
	b.expect("after the release", uTP(51413), nfq.Accept)
	if a.sets.cut()+b.sets.cut() != 0 {
		t.Errorf("left: %+v, %+v", a.sets, b.sets)
	}
}

// A lock of another engine ends when that engine says so.
func TestHeldNoLonger(t *testing.T) {
	w := newWorld(t, nil)
	w.e.Hold(&Held{MAC: macA, Addr: ip(hostA), Device: lanDev, Protocol: torrent, Left: 10 * time.Second, Own: [maxOwn]uint16{51413}}, w.now)
	w.expect("from the own port", w.speaks("203.0.113.9", 7777, "hullo"), nfq.Drop)
	w.pass(10*time.Second + 2*table.WheelTick)
	w.expect("ten seconds later", w.speaks("203.0.113.9", 7777, "hullo"), nfq.Accept)
	if w.sets.cut() != 0 {
		t.Errorf("left: %+v", w.sets)
	}
}

func TestOwnPortsSurviveARestart(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.expect("a query from another port", saysFrom(6999, dhtPing)(w, "203.0.113.9"), nfq.Drop)
	b := w.e.Snapshot(nil, w.now)
	x, err := restored(t, b)
	if err != nil {
		t.Fatal(err)
	}
	x.wantOwn(hostA, 6999, 51413)
	consistentOwn(t, x.e, x.sets)
	if len(x.sets.own) != 4 || x.sets.watched[hostA] == 0 {
		t.Errorf("sets %+v", x.sets)
	}
	x.expect("from the own port", x.speaks("203.0.113.9", 7777, "hullo"), nfq.Drop)
	x.expect("from another", saysFrom(50000, "hullo")(x, "203.0.113.9"), nfq.Accept)
}

// With block_udp 0 datagrams pass, even from the client's own port.
func TestOwnPortWithoutUDP(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Protocols[torrent].BlockUDP = false })
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Accept)
	if w.sets.own[hostA+" 6 51413"] == 0 || w.sets.own[hostA+" 17 51413"] != 0 {
		t.Errorf("the kernel was told %v", w.sets.own)
	}
	w.expect("a datagram", w.speaks("203.0.113.9", 9999, "hullo"), nfq.Accept)
}
