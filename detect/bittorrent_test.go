// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unsafe"
)

const (
	id20    = "abcdefghij0123456789"
	target  = "ABCDEFGHIJ9876543210"
	node1   = "nodenumberone4567890\xcb\x00\x71\x0a\x1a\xe1" // 203.0.113.10:6881
	node2   = "nodenumbertwo4567890\xc6\x33\x64\x07\x04\xbe" // 198.51.100.7:1214
	nodeLAN = "nodenumber3334567890\xc0\xa8\x01\x01\x1a\xe1" // 192.168.1.1
	node6   = "nodenumbersix4567890\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x1a\xe1"
)

// torrentDatagrams are datagrams of clients. Those with a program's name are from
// captures.
var torrentDatagrams = []struct {
	name string
	data string
	want Kind
}{
	{"rTorrent's find_node", unhexString("64313a6164323a696432303a4f50b61ed6cbfffeed1784c26557c6eed875ac48363a74617267657432303a4f50b61ed6cbfffeed1784c26557c6eed875ac4965313a71393a66696e645f6e6f6465313a74313a04313a76343a6c740d80313a79313a7165"), Query},
	{"anacrolix's find_node", unhexString("64313a6164323a696432303ac5d378633b8fb045572a76420f6110af6584a6a2363a74617267657432303a0a93aaae044debe422307932390a4f73070fa11a65313a71393a66696e645f6e6f6465313a74313a07313a79313a7165"), Query},
	{"Transmission's reply", unhexString("64313a7264323a696432303a7d553ffc1404821747533c9ccab525ae7365c690353a746f6b656e383aa88b1a70e58435a865313a74323a6674313a79313a7265"), Reply},
	{"rTorrent's error", unhexString("64313a656c693230316531383a4e6f207065657273206e6f72206e6f64657365313a74323a6674313a76343a6c740d80313a79313a6565"), Reply},
	{"libtorrent's ping, more keys before the id", "d1:ad2:bsi1e2:id20:" + id20 + "e1:q4:ping1:t2:aa1:y1:qe", Query},
	{"reply with ip first", "d2:ip6:\x01\x02\x03\x04\x1a\xe11:rd2:id20:" + id20 + "e1:t2:aa1:y1:re", Reply},
	{"keys out of order", "d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:" + id20 + "ee", Query},
	{"nodes", "d1:rd2:id20:" + id20 + "5:nodes52:" + node1 + node2 + "e1:t2:aa1:y1:re", Reply},
	{"a private node is left out", "d1:rd2:id20:" + id20 + "5:nodes52:" + nodeLAN + node2 + "e1:t2:aa1:y1:re", Reply},
	{"nodes6", "d1:rd2:id20:" + id20 + "6:nodes638:" + node6 + "e1:t2:aa1:y1:re", Reply},
	{"nodes cut off", "d1:rd2:id20:" + id20 + "5:nodes30:" + node1 + "\x01\x02\x03\x04e1:t2:aa1:y1:re", Reply},
	{"values", "d1:rd2:id20:" + id20 + "6:valuesl6:\xcb\x00\x71\x0a\x1a\xe118:" + node6[20:] + "3:abcee1:t2:aa1:y1:re", Reply},
	{"announce_peer", "d1:ad2:id20:" + id20 + "12:implied_porti0e9:info_hash20:" + target + "4:porti6881e5:token2:xxe1:q13:announce_peer1:t2:aa1:y1:qe", Query},
	{"a query that nobody knows", "d1:ad2:id20:" + id20 + "e1:q4:vote1:t2:aa1:y1:qe", Query},
	{"id too short", "d1:ad2:id19:" + id20[1:] + "e1:q4:ping1:t2:aa1:y1:qe", None},
	{"no id", "d1:ad2:ix20:" + id20 + "e1:q4:ping1:t2:aa1:y1:qe", None},
	{"no transaction", "d1:ad2:id20:" + id20 + "e1:q4:ping1:y1:qe", None},
	{"transaction too long", "d1:ad2:id20:" + id20 + "e1:q4:ping1:t33:" + strings.Repeat("a", 33) + "1:y1:qe", None},
	{"no query", "d1:ad2:id20:" + id20 + "e1:t2:aa1:y1:qe", None},
	{"bytes behind", "d1:ad2:id20:" + id20 + "e1:q4:ping1:t2:aa1:y1:qeX", None},
	{"cut off", "d1:ad2:id20:" + id20 + "e1:q4:ping1:t2:aa1:y1:q", None},
	{"another kind", "d1:ad2:id20:" + id20 + "e1:q4:ping1:t2:aa1:y1:xe", None},
	{"error without text", "d1:eli201ee1:t2:aa1:y1:ee", None},
	{"bencoded, but something else", "d8:intervali1800e5:peers6:\x01\x02\x03\x04\x05\x06e", None},

	{"connect to a tracker", unhexString("000004172710198000000000f70b0fb6"), Query},
	{"connect with another action", unhexString("000004172710198000000001f70b0fb6"), None},
	{"connect too long", unhexString("000004172710198000000000f70b0fb6") + strings.Repeat("x", 9), None},
	{"announce", announce("-TR3000-abcdefghijkl", 2, 51413), Query},
	{"announce with options", announce("-TR3000-abcdefghijkl", 2, 51413) + "\x02\x09/announce", Query},
	{"announce with a strange event", announce("-TR3000-abcdefghijkl", 4, 51413), None},
	{"announce without a port", announce("-TR3000-abcdefghijkl", 2, 0), None},
	{"announce by nobody", announce("\x00\x01\x02\x03\x04\x05\x06\x07abcdefghijkl", 2, 51413), None},

	{"Transmission's uTP SYN", unhexString("4102729b31198a4f000000000004000086d4000000080000000000000000"), Query},
	{"uTP SYN", unhexString("4100fdde32e37e700000000000040000f9ce0000"), Query},
	{"uTP SYN with a time difference", unhexString("4100fdde32e37e700000000100040000f9ce0000"), Weak},
	{"libtorrent's uTP SYN, without a window", unhexString("410004eef451ec8000000000000000002f9aa36b"), Query},
	{"uTP SYN without a window, and with nothing to acknowledge", unhexString("4100fdde32e37e700000000000000000f9ce0000"), Weak},
	{"uTP SYN of version 0", unhexString("4000fdde32e37e700000000000040000f9ce0000"), None},
	{"uTP SYN with data", unhexString("4100fdde32e37e700000000000040000f9ce000001"), None},
	{"DNS query with the number 4100", unhexString("41000100000100000000000002616202636f0000") + "\x01\x00\x01", None},
	{"DNS query of 20 bytes with that number", unhexString("4100010000010000000000000161000001000100"), Weak},
	{"uTP state", unhexString("2100729b4964751c184aeac9001000005fc886d4"), Weak},
	{"uTP data that begins a connection", unhexString("0100729c31235f2ce7b53e970004000086d65fc8") + peerProtocol + "\x00", Reply},
	{"uTP data", unhexString("0100729c31235f2ce7b53e970004000086d65fc8") + "anything", Weak},
	{"uTP with an extension that does not end", unhexString("2101729b4964751c184aeac9001000005fc886d40020"), None},
	{"uTP with an empty extension", unhexString("2101729b4964751c184aeac9001000005fc886d40000"), None},

	{"STUN", unhexString("000100002112a4424e735a564e306b515969737a"), None},
	{"12 bytes of a game", "twelve bytes", None},
	{"nothing", "", None},
	{"a letter", "d", None},
	{"text", "dear reader, this is a text of some length", None},
}

func unhexString(s string) string {
	var out strings.Builder
	for i := 0; i+1 < len(s); i += 2 {
		var c byte
		if _, err := fmt.Sscanf(s[i:i+2], "%02x", &c); err != nil {
			panic(err)
		}
		out.WriteByte(c)
	}
	return out.String()
}

// announce is a request to a UDP tracker.
func announce(id string, event byte, port uint16) string {
	b := make([]byte, trackerAnnounceSize)
	copy(b, "\x65\x67\x74\x77\x63\x6f\x6e\x6e\x00\x00\x00\x01\x01\x02\x03\x04")
	copy(b[16:], target)
	copy(b[36:], id)
	b[83] = event
	putBE16(b[96:], port)
	return string(b)
}

func peersOf(f *Finding) string {
	var s []string
	for _, e := range f.Peers[:f.N] {
		s = append(s, netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port).String())
	}
	return strings.Join(s, " ")
}

func TestTorrentDatagram(t *testing.T) {
	for _, tt := range torrentDatagrams {
		var f Finding
		b := []byte(tt.data)
		if got := BitTorrent.Datagram(b, &f); got != tt.want {
			t.Errorf("%s: got kind %d, want %d", tt.name, got, tt.want)
		}
		if f.N != 0 {
			t.Errorf("%s: names %q", tt.name, peersOf(&f))
		}
		if n := testing.AllocsPerRun(20, func() { f.Reset(); BitTorrent.Datagram(b, &f) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
		if k := FastTrack.Datagram(b, &f); k > Weak {
			t.Errorf("%s: FastTrack takes it for kind %d", tt.name, k)
		}
	}
	for _, tt := range fastTrackDatagrams {
		var f Finding
		if k := BitTorrent.Datagram(unhex(t, tt.hex), &f); k > Weak {
			t.Errorf("FastTrack's %s: taken for kind %d", tt.name, k)
		}
	}
}

func TestTorrentStream(t *testing.T) {
	for _, tt := range []struct {
		data string
		want Match
	}{
		{peerProtocol + "\x00\x00", Yes},
		{peerProtocol[:19], More},
		{"\x13", More},
		{"\x13bitTorrent protocol", No},
		{"GET / HTTP/1.1", No},
	} {
		var f Finding
		if got := BitTorrent.First([]byte(tt.data), true, &f); got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.data, got, tt.want)
		}
	}
	hash := "%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91"
	for _, tt := range []struct {
		line            string
		first, outbound bool
		want            Match
	}{
		{"GET /announce?info_hash=" + hash + "&peer_id=-lt0D80-abc&port=6911 HTTP/1.1", true, true, Yes},
		{"GET /announce?compact=1&info_hash=" + hash + "&port=1 HTTP/1.1", true, true, Yes},
		{"GET /scrape?info_hash=" + hash + " HTTP/1.1", true, true, Yes},
		{"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.0", true, true, Yes},
		{"GET /announce?info_hash=" + hash + "&port=1 HTTP/1.1", true, false, No}, // the host serves a tracker
		{"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.0", true, true, No},
		{"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.0", true, true, No},
		{"GET /announce?info_hash=%zzaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.0", true, true, No},
		{"GET /announce?my_info_hash=" + hash + "& HTTP/1.0", true, true, No},
		{"GET /search?q=info_hash HTTP/1.0", true, true, No},
		{"POST /announce?info_hash=" + hash + "& HTTP/1.0", true, true, No},
		{"GET ", true, true, No},
		{"User-Agent: Transmission/3.00", false, true, Yes},
		{"user-agent:qBittorrent/4.5.2", false, true, Yes},
		{"User-Agent: aria2/1.36.0", false, true, No},
		{"User-Agent: Mozilla/5.0 (like Transmission/3.00)", false, true, No},
		{"User-Agent: Transmission/3.00", false, false, No},
		{"Host: transmissionbt.com", false, true, No},
		{"", false, true, No},
	} {
		var f Finding
		b := []byte(tt.line)
		if got := BitTorrent.Header(b, tt.first, tt.outbound, &f); got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.line, got, tt.want)
		}
		if n := testing.AllocsPerRun(20, func() { BitTorrent.Header(b, tt.first, tt.outbound, &f) }); n != 0 {
			t.Errorf("%q: %v allocations", tt.line, n)
		}
	}
}

// A real Transmission's packets to a qBittorrent, and packets that look like uTP only
// once or twice.
func TestUTPFlow(t *testing.T) {
	type step struct {
		ms   uint32 // time of arrival, in milliseconds
		hex  string
		want Match
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"from the SYN on", []step{
			{0, "4102729b31198a4f000000000004000086d4000000080000000000000000", More},
			{639, "2100729c31235f2ce7b53e970004000086d65fc8", More},
			{640, "1100729c31235f2ce7b53e970004000086d65fc8", More},
			{30003, "1100729c32eac106e7b54eec0004000086d75fc8", More},
			{30004, "1100729c32eac4eee7b54eec0004000086d75fc8", More},
			{30034, "1100729c32eb3a1ee7b54eec0004000086d75fc8", More},
			{30064, "1100729c32ebaf4ee7b54eec0004000086d75fc8", Yes},
		}},
		{"too fast for the clock", []step{
			{0, "1100729c32e3507ae7b54eec0004000086d75fc8", More},
			{0, "1100729c32eac106e7b54eec0004000086d75fc8", More},
			{0, "1100729c32fa469de7b54eec0004000086d75fc8", More},
		}},
		{"another connection", []step{
			{0, "2100729c31235f2ce7b53e970004000086d65fc8", More},
			{0, "210072a049739aec184ac496001000005fc986d6", No},
			{0, "2100729c31235f2ce7b53e970004000086d65fc8", No}, // final
		}},
		{"the number behind the first, without a SYN", []step{
			{0, "2100729b31235f2ce7b53e970004000086d65fc8", More},
			{0, "2100729c31235f2ce7b53e970004000086d65fc8", No},
		}},
		{"something else", []step{
			{0, "2100729c31235f2ce7b53e970004000086d65fc8", More},
			{0, "ff00", No},
		}},
	} {
		var u UTP
		for i, s := range tt.steps {
			if got := u.Feed(unhex(t, s.hex), s.ms*1000); got != s.want {
				t.Errorf("%s: step %d: got %d, want %d", tt.name, i, got, s.want)
			}
		}
	}
	b := unhex(t, "2100729c31235f2ce7b53e970004000086d65fc8")
	var u UTP
	if n := testing.AllocsPerRun(20, func() { u.Feed(b, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for range 300 {
		u.Feed(b, 0)
	}
	if got := u.Feed(b, 0); got != No {
		t.Errorf("still undecided after 300 packets")
	}
	if n := unsafe.Sizeof(u); n > 20 {
		t.Errorf("a flow takes %d bytes", n)
	}
}

// utpAck builds an acknowledgment.
func utpAck(id uint16, stamp uint32, seq, ack uint16) []byte {
	b := make([]byte, utpHeader)
	b[0] = 2<<4 | 1
	putBE16(b[2:], id)
	putBE32(b[4:], stamp)
	putBE32(b[8:], 12345)
	putBE32(b[12:], 0x40000)
	putBE16(b[16:], seq)
	putBE16(b[18:], ack)
	return b
}

// What the clock of a running transfer shows, and what it does not show.
func TestUTPClock(t *testing.T) {
	const ms = 1000
	type packet struct {
		at, stamp uint32
		ack       uint16
		id        uint16 // added to 7
	}
	for _, tt := range []struct {
		name    string
		packets []packet
		want    Match
	}{
		{"a slow transfer", []packet{{at: 0}, {at: 100 * ms, stamp: 100 * ms, ack: 1}, {at: 200 * ms, stamp: 201 * ms, ack: 2}, {at: 300 * ms, stamp: 299 * ms, ack: 3}}, Yes},
		{"two steps", []packet{{at: 0}, {at: 100 * ms, stamp: 100 * ms, ack: 1}, {at: 200 * ms, stamp: 201 * ms, ack: 2}}, More},
		{"less than 50 ms", []packet{{at: 0}, {at: 10 * ms, stamp: 10 * ms}, {at: 20 * ms, stamp: 20 * ms}, {at: 30 * ms, stamp: 30 * ms}, {at: 40 * ms, stamp: 40 * ms}}, More},
		{"as far as 50 ms", []packet{{at: 0}, {at: 10 * ms, stamp: 10 * ms}, {at: 20 * ms, stamp: 20 * ms}, {at: 30 * ms, stamp: 30 * ms}, {at: 50 * ms, stamp: 40 * ms}}, Yes},
		{"the first one late", []packet{{at: 90 * ms}, {at: 100 * ms, stamp: 100 * ms}, {at: 200 * ms, stamp: 200 * ms}, {at: 300 * ms, stamp: 300 * ms}, {at: 400 * ms, stamp: 400 * ms}}, Yes},
		{"both clocks wrap", []packet{{at: 1<<32 - 100*ms, stamp: 1<<32 - 1}, {at: 1<<32 - 50*ms, stamp: 50 * ms}, {at: 0, stamp: 100 * ms}, {at: 50 * ms, stamp: 150 * ms}}, Yes},
		{"a clock 9 % off", []packet{{at: 0}, {at: 500 * ms, stamp: 455 * ms}, {at: 1000 * ms, stamp: 910 * ms}, {at: 1500 * ms, stamp: 1365 * ms}}, Yes},
		{"a clock 30 % off", []packet{{at: 0}, {at: 500 * ms, stamp: 350 * ms}, {at: 1000 * ms, stamp: 700 * ms}, {at: 1500 * ms, stamp: 1050 * ms}}, More},
		{"a stamp that stands still", []packet{{at: 0}, {at: 10 * ms}, {at: 20 * ms}, {at: 30 * ms}, {at: 40 * ms}, {at: 60 * ms}, {at: 70 * ms}, {at: 80 * ms}, {at: 100 * ms}}, More},
		{"a stamp in milliseconds", []packet{{at: 0}, {at: 100 * ms, stamp: 100}, {at: 200 * ms, stamp: 200}, {at: 300 * ms, stamp: 300}, {at: 400 * ms, stamp: 400}}, More},
		{"a counter", []packet{{at: 0}, {at: 60 * ms, stamp: 1}, {at: 120 * ms, stamp: 2}, {at: 180 * ms, stamp: 3}, {at: 240 * ms, stamp: 4}}, More},
		{"acknowledgments that jump", []packet{{at: 0}, {at: 100 * ms, stamp: 100 * ms, ack: 5000}, {at: 200 * ms, stamp: 200 * ms, ack: 100}, {at: 300 * ms, stamp: 300 * ms, ack: 40000}, {at: 400 * ms, stamp: 400 * ms, ack: 9}}, More},
		{"one sent again", []packet{{at: 0, ack: 5}, {at: 100 * ms, stamp: 100 * ms, ack: 6}, {at: 200 * ms, stamp: 200 * ms, ack: 5}, {at: 300 * ms, stamp: 300 * ms, ack: 7}, {at: 400 * ms, stamp: 400 * ms, ack: 8}}, Yes},
		{"another connection", []packet{{at: 0}, {at: 100 * ms, stamp: 100 * ms}, {at: 200 * ms, stamp: 200 * ms, id: 5}, {at: 300 * ms, stamp: 300 * ms}}, No},
		{"seconds between", []packet{{at: 0}, {at: 3000 * ms, stamp: 3000 * ms}, {at: 6000 * ms, stamp: 6000 * ms}, {at: 9000 * ms, stamp: 9000 * ms}}, More},
	} {
		var u UTP
		var got Match
		for _, p := range tt.packets {
			got = u.Feed(utpAck(7+p.id, p.stamp+77, 50, p.ack), p.at)
		}
		if got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	// A flow that was recognised once stays recognised.
	var u UTP
	for i := range uint32(5) {
		u.Feed(utpAck(7, i*100*ms, 50, 1), i*100*ms)
	}
	if got := u.Feed(utpAck(8, 0, 0, 0), 0); got != Yes {
		t.Errorf("another packet of a known flow: %d", got)
	}
}

func FuzzUTPFlow(f *testing.F) {
	f.Add([]byte("\x21\x00\x00\x07\x00\x00\x00\x4d\x00\x00\x30\x39\x00\x04\x00\x00\x00\x32\x00\x01"), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b, steps []byte) {
		// A flow that repeats one packet, with some bytes changed, is not uTP as long as
		// the time stamp stands still.
		var u UTP
		at, last := uint32(0), More
		for _, s := range steps {
			at += uint32(s) << 12
			if len(b) >= utpHeader && s&1 != 0 {
				b[16+s>>6]++
			}
			if last = u.Feed(b, at); last == Yes {
				t.Fatalf("%x: taken for uTP", b)
			}
		}
		var p utpPacket
		if len(steps) > 0 && last == More && !p.parse(b) {
			t.Fatalf("%x: no uTP, but still open", b)
		}
	})
}

func TestPeerWire(t *testing.T) {
	head := peerProtocol + "\x00\x00\x00\x00\x00\x10\x00\x05" + target + "-TR3000-abcdefghijkl"
	ext := "\x00\x00\x00\x35\x14\x00d1:md6:ut_pexi1ee1:pi51413e1:v17:Transmission 3.00e"
	pex := "\x00\x00\x00\x25\x14\x01d5:added12:\xcb\x00\x71\x0a\x1a\xe1\xc6\x33\x64\x07\x04\xbe7:added.f0:e"
	for _, tt := range []struct {
		name, data string
		want       bool
		client     string
		port       uint16
	}{
		{"handshake alone", head, true, "Transmission 3.00", 0},
		{"handshake cut off", head[:30], true, "", 0},
		{"extension handshake", head + ext, true, "Transmission 3.00", 51413},
		{"behind a bitfield", head + "\x00\x00\x00\x02\x05\xff" + ext, true, "Transmission 3.00", 51413},
		{"PEX", head + ext + pex, true, "Transmission 3.00", 51413},
		{"PEX cut off", head + ext + pex[:20], true, "Transmission 3.00", 51413},
		{"message of 4 GB", head + "\xff\xff\xff\xff\x14\x00d", true, "Transmission 3.00", 0},
		{"something else", "GET / HTTP/1.1", false, "", 0},
	} {
		var w Wire
		var c ClientName
		if got := PeerWire([]byte(tt.data), &w); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
		if WireName(&w, &c); c.String() != tt.client || w.Port != tt.port {
			t.Errorf("%s: client %q, port %d, want %q, %d", tt.name, c.String(), w.Port, tt.client, tt.port)
		}
		b := []byte(tt.data)
		if n := testing.AllocsPerRun(20, func() { PeerWire(b, &w); WireName(&w, &c) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestClientNames(t *testing.T) {
	for id, want := range map[string]string{
		"-TR3000-abcdefghijkl":                              "Transmission 3.00",
		"-TR4060-abcdefghijkl":                              "Transmission 4.0.6",
		"-qB4520-abcdefghijkl":                              "qBittorrent 4.5.2",
		"-lt0D80-abcdefghijkl":                              "rTorrent 0.13.8",
		"-DE13GZ-abcdefghijkl":                              "Deluge 1.3.16.35",
		"-XX1234-abcdefghijkl":                              "XX 1.2.3.4",
		"M7-9-2--abcdefghijkl":                              "BitTorrent",
		"A2-1-36-0-abcdefghij":                              "aria2",
		"A2-x-36-0-abcdefghij":                              "",
		"abcdefghijklmnopqrst":                              "",
		"-TR3000-abc":                                       "",
		"-\x00R3000-abcdefghijkl":                           "",
		strings.Repeat("-", 20):                             "-- -.-.-",
		"\x00\x01\x02\x03\x04\x05\x06\x07" + "abcdefghijkl": "",
	} {
		var c ClientName
		if PeerIDName([]byte(id), &c); c.String() != want {
			t.Errorf("%q: got %q, want %q", id, c.String(), want)
		}
	}
	var c ClientName
	if !AgentName([]byte("User-Agent: qBittorrent/4.5.2"), &c) || c.String() != "qBittorrent/4.5.2" {
		t.Errorf("user agent: got %q", c.String())
	}
	// A peer may send anything as its name.
	w := Wire{Client: []byte("\x1b[31m" + strings.Repeat("x", 100))}
	if WireName(&w, &c); len(c.String()) != 48 || !strings.HasPrefix(c.String(), "?[31mx") {
		t.Errorf("strange name: got %q", c.String())
	}
}

// What payloads tell about their senders.
func TestFindingNamesTheClient(t *testing.T) {
	hash := "%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91"
	head := peerProtocol + "\x00\x00\x00\x00\x00\x10\x00\x05" + target + "-qB4520-abcdefghijkl"
	ext := "\x00\x00\x00\x1d\x14\x00d1:md6:ut_pexi1ee1:pi6881ee"
	pex := "\x00\x00\x00\x1e\x14\x01d5:added6:\xcb\x00\x71\x0a\x1a\xe17:added.f0:e"
	reply := func(v string) string {
		return fmt.Sprintf("d1:rd2:id20:%se1:t1:a1:v%d:%s1:y1:re", id20, len(v), v)
	}
	ask := func(port string) string {
		return "d1:ad2:id20:" + id20 + port + "9:info_hash20:" + target + "4:porti6881e5:token2:xxe1:q13:announce_peer1:t2:aa1:v4:UT\x01\x021:y1:qe"
	}
	get := func(parameters string) string {
		return "GET /announce?info_hash=" + hash + parameters + " HTTP/1.1\r\n"
	}
	for _, tt := range []struct {
		name    string
		data    string
		tcp, in bool
		reason  Reason
		client  string
		port    uint16
	}{
		{name: "libtorrent's reply", data: reply("LT\x02\x00"), reason: ReasonPong, client: "libtorrent"},
		{name: "rTorrent's reply", data: reply("lt\x0d\x80"), reason: ReasonPong, client: "rTorrent"},
		{name: "reply of a stranger", data: reply("??xx"), reason: ReasonPong},
		{name: "reply with half a name", data: reply("L"), reason: ReasonPong},
		{name: "announce_peer", data: ask(""), reason: ReasonPing, client: "uTorrent", port: 6881},
		{name: "announce_peer from its own port", data: ask("12:implied_porti1e"), reason: ReasonPing, client: "uTorrent"},
		{name: "connect to a tracker", data: unhexString("000004172710198000000000f70b0fb6"), reason: ReasonAnnounce},
		{name: "announce", data: announce("-TR3000-abcdefghijkl", 2, 51413), reason: ReasonAnnounce, client: "Transmission 3.00", port: 51413},
		{name: "aria2's announce", data: announce("A2-1-36-0-abcdefghij", 2, 6881), reason: ReasonAnnounce, client: "aria2", port: 6881},
		{name: "handshake by uTP", data: unhexString("0100729c31235f2ce7b53e970004000086d65fc8") + head, reason: ReasonHello, client: "qBittorrent 4.5.2"},
		{name: "handshake", tcp: true, data: head, reason: ReasonHello, client: "qBittorrent 4.5.2"},
		{name: "handshake and extension", tcp: true, data: head + ext + pex, reason: ReasonHello, client: "qBittorrent 4.5.2", port: 6881},
		{name: "the other's handshake", tcp: true, in: true, data: head + ext + pex, reason: ReasonHello},
		{name: "handshake cut off", tcp: true, data: head[:30], reason: ReasonHello},
		{name: "HTTP announce", tcp: true, data: get("&peer_id=-TR3000-abcdefghijkl&port=51413&uploaded=0"), reason: ReasonAnnounce, client: "Transmission 3.00", port: 51413},
		{name: "HTTP announce in another order", tcp: true, data: get("&supportcrypto=1&port=6881&peer_id=%2DqB4520%2dabcdefghijk%6C"), reason: ReasonAnnounce, client: "qBittorrent 4.5.2", port: 6881},
		{name: "HTTP announce with a user agent", tcp: true, data: get("&port=x") + "User-Agent: Transmission/4.0.6\r\n", reason: ReasonAnnounce, client: "Transmission/4.0.6"},
		{name: "HTTP announce with both", tcp: true, data: get("&peer_id=-TR4060-abcdefghijkl") + "User-Agent: Transmission/4.0.6\r\n", reason: ReasonAnnounce, client: "Transmission 4.0.6"},
		// The line is longer than StreamBuffer.
		{name: "rTorrent's announce", tcp: true, data: "GET /announce?info_hash=%B4%20%D2%AB%26%874a%06%E1%ED7%1B%A0p%84%A4%92%A5%0D&peer_id=-lt0D80-%C5%FB%7D%D2%24%D6%F5%81%FA%D35%28&key=7f8cda2d&compact=1&port=6890&uploaded=0 HTTP/1.1\r\n", reason: ReasonAnnounce, client: "rTorrent 0.13.8", port: 6890},
		{name: "announce to a private tracker", tcp: true, data: "GET /" + strings.Repeat("0123456789abcdef", 8) + "/announce.php?passkey=" + strings.Repeat("0123456789abcdef", 2) + "&" + get("&peer_id=-TR4060-abcdefghijkl&port=51413")[len("GET /announce?"):], reason: ReasonAnnounce, client: "Transmission 4.0.6", port: 51413},
		{name: "web seed", tcp: true, data: "GET /a.iso HTTP/1.1\r\nUser-Agent: qBittorrent/4.5.2\r\n", reason: ReasonTransfer, client: "qBittorrent/4.5.2"},
	} {
		var f Finding
		var s Stream
		b := []byte(tt.data)
		feed := func() bool {
			f.Reset()
			if tt.tcp {
				s = Stream{}
				return s.Feed(all, 1, b, !tt.in, &f) == Yes
			}
			return BitTorrent.Datagram(b, &f) > Weak
		}
		if !feed() {
			t.Errorf("%s: not recognised", tt.name)
			continue
		}
		if f.Reason != tt.reason || f.Client.String() != tt.client || f.TCPPort != tt.port || f.N != 0 {
			t.Errorf("%s: %v, client %q, port %d, peers %q", tt.name, f.Reason, f.Client.String(), f.TCPPort, peersOf(&f))
		}
		if n := testing.AllocsPerRun(20, func() { feed() }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestLocalMessages(t *testing.T) {
	lsd := unhexString("42542d534541524348202a20485454502f312e310d0a486f73743a203233392e3139322e3135322e3134333a363737310d0a506f72743a20363838310d0a496e666f686173683a20616534363032333162616664366139323830663563613736633739653563303035326239623933310d0a636f6f6b69653a20623031643163660d0a0d0a0d0a")
	for data, want := range map[string]uint16{
		lsd: 6881,
		strings.Replace(lsd, "Port: 6881", "Port: 99999", 1):              0,
		strings.Replace(lsd, "BT-SEARCH", "M-SEARCH", 1):                  0,
		strings.Replace(lsd, "Infohash", "Hash", 1):                       0,
		"BT-SEARCH * HTTP/1.1\r\nPort: 6881":                              0,
		"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + target + target: 1,
	} {
		if port, ok := LocalSearch([]byte(data)); ok != (want != 0) || ok && port != want {
			t.Errorf("%.40q: got %d %v, want %d", data, port, ok, want)
		}
	}
	pcp := unhexString("0201000000000e1000000000000000000000ffffc0a8010a3b87dbdf0a679377fbfa9f66060000001ae11ae100000000000000000000ffff00000000")
	for data, want := range map[string]Mapping{
		pcp: {Port: 6881, TCP: true},
		strings.Replace(pcp, "\x06\x00\x00\x00", "\x11\x00\x00\x00", 1): {Port: 6881},
		strings.Replace(pcp, "\x06\x00\x00\x00", "\x01\x00\x00\x00", 1): {},
		pcp[:59]: {},
		"\x00\x01\x00\x00\xc8\xd5\xc8\xd5\x00\x00\x0e\x10": {Port: 51413},
		"\x00\x02\x00\x00\xc8\xd5\xc8\xd5\x00\x00\x0e\x10": {Port: 51413, TCP: true},
		"\x00\x00": {},
	} {
		m, ok := PortMapping([]byte(data))
		if ok != (want.Port != 0) || ok && (m.Port != want.Port || m.TCP != want.TCP) {
			t.Errorf("%x: got %+v %v, want %+v", data, m, ok, want)
		}
	}
	soap := "<u:AddPortMapping><NewProtocol>UDP</NewProtocol><NewInternalPort>6881</NewInternalPort>" +
		"<NewPortMappingDescription>qBittorrent/4.5.2</NewPortMappingDescription></u:AddPortMapping>"
	if m, ok := PortMappingUPnP([]byte(soap)); !ok || m.Port != 6881 || m.TCP || string(m.Description) != "qBittorrent/4.5.2" {
		t.Errorf("UPnP: got %+v %v", m, ok)
	}
	if _, ok := PortMappingUPnP([]byte("<NewInternalPort>6881</NewInternalPort>")); ok {
		t.Error("UPnP: a port without a request")
	}
}

func TestMSEFirst(t *testing.T) {
	key := unhexString("272718a5941e4a77d3ebd2b29d9cb234d64f4a710ec4a4fa81bcbb928b27e43dd3fd46b9e524e21f1d12d4503540c60e466ec3b76c042021eee84d25b42c34f314fd4aaf0c83635149eb19fe289d9f712280115beff900221e18b4ea71caaae9acc8aa46df0a87a5")
	for _, tt := range []struct {
		name string
		data string
		want bool
	}{
		{"Transmission's key", key, true},
		{"too short", key[:95], false},
		{"too long", strings.Repeat(key, 7), false},
		{"text", strings.Repeat("The quick brown fox jumps over the lazy dog. ", 4), false},
		{"base64", strings.Repeat("QmFzZTY0IHRleHQgd2l0aCBhIGxvdCBvZiBsZXR0ZXJz", 4), false},
		{"zeros", strings.Repeat("\x00", 200), false},
		{"the same again and again", strings.Repeat(key[:16], 10), false},
	} {
		b := []byte(tt.data)
		if got := MSEFirst(b); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
		if n := testing.AllocsPerRun(20, func() { MSEFirst(b) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	// Nearly every random string passes.
	g := generator{12345}
	b, passed := make([]byte, 96), 0
	for range 10000 {
		g.fill(b)
		if MSEFirst(b) {
			passed++
		}
	}
	if passed < 9990 {
		t.Errorf("%d of 10000 random strings pass", passed)
	}
}
