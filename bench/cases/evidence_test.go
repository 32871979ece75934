// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// nobody has conversations of hosts without file sharing. The engine must find no
// client and drop no packet.
var nobody = []row{
	{"K1", "Skype with a mapped port", 34, skype},
	{"K1", "Bitcoin, its transport version 2, with a mapped port", 10, bitcoin},
	{"K1", "Tailscale's mapped port and Shadowsocks", 10, func(t *talk) {
		t.natPMP(1, 41641)
		for i := range 30 {
			t.until(time.Duration(10+60*i) * time.Second)
			t.shadowsocks(uint16(50001 + i))
		}
	}},
	{"K1", "Plex's mapped port and Telegram", 10, func(t *talk) {
		t.natPMP(2, 32400)
		for i := range 6 {
			t.until(time.Duration(20+15*i) * time.Second)
			t.tcp(uint16(50001+i), "203.0.113.80:5222").out(t.random(105)).in(t.random(200))
		}
	}},
	{"K1", "OpenVPN by TCP, its keys wrapped, with a mapped port", 10, func(t *talk) {
		t.natPMP(1, 41641)
		t.wait(5 * time.Second)
		t.tcp(50001, "203.0.113.91:1194").out(t.filled("013050", 306)).in(t.random(60))
	}},
	{"K2", "a stranger's handshake to a web server", 20, func(t *talk) {
		t.clock()
		t.accept(80, "198.51.100.7:51820").in(t.handshake()).
			say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		t.wait(5 * time.Second)
		// Minecraft.
		t.tcp(50001, "203.0.113.99:25565").out(unhex("1000f5050a6578616d706c652e6d6363dd01")).in(unhex("0503a679aa"))
	}},
	{"K2", "a stranger's request with a header of Kazaa", 22, func(t *talk) {
		t.clock()
		t.accept(8080, "198.51.100.8:40000").hear("GET / HTTP/1.1\r\nHost: x\r\nX-Kazaa-Network: KaZaA\r\n\r\n").
			say("HTTP/1.1 404 Not Found\r\n\r\n")
	}},
	{"K2", "a header of Kazaa in an answer", 21, func(t *talk) {
		t.tcp(50001, "203.0.113.98:80").say("GET /ad.gif HTTP/1.1\r\nHost: ads.example\r\nUser-Agent: Mozilla/5.0\r\n\r\n").
			hear("HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nX-Kazaa-Username: x\r\nContent-Length: 0\r\n\r\n")
		t.wait(2 * time.Second)
		t.tcp(50002, "203.0.113.97:443").out(unhex("1603010000"))
	}},
	{"K3", "one server again and again, with a mapped port", 10, func(t *talk) {
		t.natPMP(1, 41641)
		t.wait(5 * time.Second)
		t.sameServer()
	}},
	{"K15", "a program called Rain Alarm", 25, func(t *talk) {
		t.tcp(50001, "203.0.113.71:80").
			say("GET /radar/tiles/1.png HTTP/1.1\r\nHost: tiles.example\r\nUser-Agent: Rain Alarm/5.6 (Android)\r\nAccept: */*\r\n\r\n").
			hear("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}},
}

func TestNobody(t *testing.T) {
	for _, r := range nobody {
		t.Run(r.kind+" "+r.name, func(t *testing.T) {
			o := replayed(t, r.talk(), false)
			if c := o.clients(); len(c) > 0 {
				t.Errorf("found: %v", c)
			}
			if n := o.result.Dropped; n > 0 {
				t.Errorf("%d of %d packets are dropped", n, o.result.Accepted+n)
			}
		})
	}
}

// A host is released 120 seconds after the last sign of its client. Other programs on
// the host do not delay that.
func TestLockEnds(t *testing.T) {
	t.Run("K3 the client is closed, Shadowsocks goes on", func(t *testing.T) {
		x := newTalk("shadowsocks", 10)
		for i := range 4 {
			x.until(time.Duration(i) * 15 * time.Second)
			x.torrent()
		}
		last := x.now
		for i := range 30 {
			x.until(time.Duration(60+40*i) * time.Second)
			x.shadowsocks(uint16(50001 + i))
		}
		o := replayed(t, x, false)
		if n := o.locks(); n != 1 {
			t.Fatalf("locked %d times, want once", n)
		}
		end := last + 120*time.Second
		if at := o.events("client", "released"); len(at) != 1 || at[0] < end || at[0] > end+2*time.Second {
			t.Errorf("released at %v, want %v", at, end)
		}
		if lost := since(o.lost(), end+2*time.Second); len(lost) > 0 {
			t.Errorf("%d packets are dropped after that, the first at %v", len(lost), lost[0].at)
		}
	})
	t.Run("K3 one server again and again", func(t *testing.T) {
		x := newTalk("one server", 10)
		x.torrent()
		x.until(5 * time.Second)
		x.sameServer()
		o := replayed(t, x, false)
		if n := o.locks(); n != 1 {
			t.Errorf("locked %d times, want once", n)
		}
		if lost := since(o.lost(), 200*time.Second); len(lost) > 0 {
			t.Errorf("%d packets are dropped after the release, the first at %v", len(lost), lost[0].at)
		}
	})
}

// Two hosts are behind one repeater and share its hardware address. What one does
// must not lock the other.
func TestOneHardwareAddress(t *testing.T) {
	for _, c := range []struct {
		name       string
		one, other func(*talk)
	}{
		{"K5 BitTorrent, and a game", (*talk).torrent, func(t *talk) {
			for range 4 {
				t.udp(27005, "203.0.113.31:27015").out(unhex("ffffffff54536f7572636520456e67696e6520517565727900"))
				t.wait(200 * time.Millisecond)
			}
		}},
		{"K5 Kazaa, and a web page", (*talk).kazaa, func(t *talk) {
			t.tcp(40000, "203.0.113.31:443").out(t.clientHello("www.example.net"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newTalk(c.name, 50)
			c.one(x)
			x.wait(500 * time.Millisecond)
			x.neighbour(51)
			c.other(x)
			o := replayed(t, x, true)
			if got := o.clients(); len(got) != 1 || got[0] != "192.168.1.50" || o.locks() != 1 {
				t.Errorf("found %v, locked %d times, want 192.168.1.50 once", got, o.locks())
			}
			if lost := o.lost(); len(lost) > 0 {
				t.Errorf("%d packets of %v are dropped", len(lost), lost[0].host)
			}
		})
	}
}

// Pings from strangers must not cause one event each: each event may start a process.
func TestStrangersCauseNoEvents(t *testing.T) {
	for _, answers := range []bool{false, true} {
		t.Run(fmt.Sprintf("K18 answered %v", answers), func(t *testing.T) {
			x := newTalk("strangers", 10)
			x.torrent()
			own := len(x.packets) - 1
			for i := range 380 {
				stranger := netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 128, byte(i >> 8), byte(i)}), 6881)
				d := x.udp(51413, stranger.String()).in(krpcPing(x.random(20)))
				if answers {
					d.out([]byte("d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re"))
				}
				x.wait(100 * time.Millisecond)
			}
			if n := len(replayed(t, x, false).events("peer", "found")); n > own {
				t.Errorf("%d peers found, the client went to %d", n, own)
			}
		})
	}
}

// torrent lets the host ask several nodes of the DHT. This proves a BitTorrent client
// by its conduct.
func (t *talk) torrent() {
	t.peer = true
	for _, node := range []string{"203.0.113.99:6881", "198.51.100.77:6881", "203.0.113.150:51413"} {
		t.udp(51413, node).out(krpcPing([]byte("abcdefghij0123456789")))
	}
	t.peer = false
}

// kazaa lets the host ping several FastTrack nodes. This proves a client by its conduct.
func (t *talk) kazaa() {
	t.peer = true
	for _, node := range []string{"203.0.113.99:1214", "198.51.100.77:1214", "203.0.113.150:1214"} {
		t.udp(1214, node).out(unhex("27000000a9804b615a614100"))
	}
	t.peer = false
}

func krpcPing(id []byte) []byte {
	return []byte("d1:ad2:id20:" + string(id) + "e1:q4:ping1:t2:aa1:y1:qe")
}

func (t *talk) handshake() []byte {
	return []byte("\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x05" + string(t.random(20)) + "-qB4650-" + string(t.random(12)))
}

// clock asks a time server. The answer makes the host known to the engine.
func (t *talk) clock() {
	t.udp(123, "203.0.113.123:123").
		out(append(append([]byte{0x23}, make([]byte, 39)...), t.random(8)...)).
		in(append(append([]byte{0x24, 2}, make([]byte, 38)...), t.random(8)...))
	t.wait(500 * time.Millisecond)
}

// natPMP asks the router to map a port (RFC 6886): op is 1 for UDP, 2 for TCP.
func (t *talk) natPMP(op byte, port uint16) {
	request := binary.BigEndian.AppendUint16([]byte{0, op, 0, 0}, port)
	request = binary.BigEndian.AppendUint16(request, port)
	request = binary.BigEndian.AppendUint32(request, 7200)
	answer := append([]byte{0, 0x80 | op, 0, 0, 0, 0, 3, 0xe8}, request[4:]...)
	t.udp(51000, netip.AddrPortFrom(routerAddr, 5351).String()).out(request).in(answer)
}

// pcp asks the router to map a TCP port (RFC 6887).
func (t *talk) pcp(port uint16) {
	request := append([]byte{2, 1, 0, 0, 0, 0, 0x1c, 0x20}, make([]byte, 10)...)
	request = append(request, 0xff, 0xff)
	request = append(request, t.addr.AsSlice()...)
	request = append(request, t.random(12)...)
	request = append(request, byte(layers.IPProtocolTCP), 0, 0, 0)
	request = binary.BigEndian.AppendUint16(request, port)
	request = binary.BigEndian.AppendUint16(request, port)
	request = append(request, make([]byte, 16)...)
	answer := append([]byte{}, request...)
	answer[1] = 0x81
	t.udp(51000, netip.AddrPortFrom(routerAddr, 5351).String()).out(request).in(answer)
}

// shadowsocks is one connection to a Shadowsocks proxy. All its data looks random.
func (t *talk) shadowsocks(port uint16) {
	t.tcp(port, "203.0.113.5:8388").out(t.random(170 + t.rnd.IntN(250))).in(t.random(600))
}

// sameServer uses a proxy once, and then opens a connection to it every 400 seconds.
func (t *talk) sameServer() {
	t.tcp(50001, "203.0.113.5:8388").out(t.random(300)).in(t.random(300))
	for i := range 8 {
		t.until(time.Duration(205+400*i) * time.Second)
		t.tcp(uint16(50002+i), "203.0.113.5:8388")
	}
}

// bitcoin is twelve connections whose first data is a key and up to 4095 random
// bytes (BIP 324).
func bitcoin(t *talk) {
	t.pcp(8333)
	for i := range 12 {
		t.until(time.Duration(2+3*i) * time.Second)
		t.tcp(uint16(50001+i), fmt.Sprintf("203.0.113.%d:8333", 10+i)).out(t.random(64 + t.rnd.IntN(4096))).in(t.random(464))
	}
}

// skype is the beginning of a Skype session, as in a public capture.
func skype(t *talk) {
	request := unhex("0001000032dd32dd00000e10")
	mapping := func(port uint16, at ...time.Duration) {
		for _, d := range at {
			t.until(d * time.Millisecond)
			t.udp(port, netip.AddrPortFrom(routerAddr, 5351).String()).out(request)
		}
	}
	mapping(54067, 72614)
	c := t.tcp(50109, "203.0.113.12:12350").out(unhex(strings.ReplaceAll(skypeFirst, "\n", "")))
	c.acknowledge()
	mapping(54067, 72875, 73416)
	c.reset()
	c = t.tcp(50110, "203.0.113.12:12350").out(unhex("1603010000"))
	c.acknowledge()
	c.reset()
	mapping(54067, 74439)
	mapping(49511, 105477, 105732, 106246)
}

// skypeFirst is the first data that the Skype client sends in that capture.
const skypeFirst = `ca3fd2d9c3a33a7f827083fc9a21b846de4a03bd732afa08bc4282e019c61fbb56e75eab7028a03d6fa68a9fd561b2a1
7a23788926df04a5925b5081be975c1daa932879564fb495c2cb0071ee070c0dda03d86986bf6485f23bb0611e77bcfd
0a738859b62f147522ab60514ee76c`
