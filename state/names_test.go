// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	winmx   = 2 // their indices in detect.All
	opennap = 3

	// Two hosts of the LAN, and two servers outside.
	hostA, hostB   = "192.168.1.50", "192.168.1.51"
	server, second = "203.0.113.99", "203.0.113.98"
)

// byName blocks WinMX, OpenNAP and BitTorrent by their own names and by those that the user
// adds.
func byName(c *Config) {
	for _, i := range []int{torrent, winmx, opennap} {
		c.Protocols[i].Names = mustNames(detect.All[i].Names...)
	}
}

func mustNames(patterns ...string) detect.Names {
	n, err := detect.NewNames(patterns)
	if err != nil {
		panic(err)
	}
	return n
}

// dnsAnswer returns a name server's answer with the addresses of a name.
func dnsAnswer(name string, ttl uint32, addrs ...string) []byte {
	b := []byte("\x12\x34\x81\x80\x00\x01\x00" + string([]byte{byte(len(addrs))}) + "\x00\x00\x00\x00")
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	kind := uint16(1)
	if len(addrs) > 0 && netip.MustParseAddr(addrs[0]).Is6() {
		kind = 28
	}
	b = binary.BigEndian.AppendUint16(append(b, 0), kind)
	b = append(b, 0, 1)
	for _, a := range addrs {
		x := netip.MustParseAddr(a).AsSlice()
		b = binary.BigEndian.AppendUint16(append(b, 0xc0, 12), kind)
		b = binary.BigEndian.AppendUint32(append(b, 0, 1), ttl)
		b = append(append(b, 0, byte(len(x))), x...)
	}
	return b
}

// routerSays returns an answer of the router's own name server to the host.
func routerSays(to, name string, ttl uint32, addrs ...string) *nfq.Packet {
	p := udp(nfq.MAC{}, "192.168.1.1", dnsPort, to, 5353, dnsAnswer(name, ttl, addrs...))
	p.Hook, p.InDev, p.OutDev = nfq.HookOutput, 0, lanDev
	return p
}

// outsideSays returns an answer of an outside name server to the host.
func outsideSays(to, name string, ttl uint32, addrs ...string) *nfq.Packet {
	p := udp(nfq.MAC{}, "198.51.100.53", dnsPort, to, 5353, dnsAnswer(name, ttl, addrs...))
	p.InDev, p.OutDev = wanDev, lanDev
	return p
}

// wants returns a SYN or an unknown datagram from the host.
func wants(proto uint8, from, to string) *nfq.Packet {
	mac := macA
	if strings.HasSuffix(from, "51") {
		mac = macB
	}
	p := tcp(mac, from, 4000, to, 7742, nfq.SYN, nil)
	if proto == nfq.ProtoUDP {
		p = udp(mac, from, 6257, to, 6257, []byte("\x93\x51\xe0\x07nothing that is known"))
	}
	if p.Src.Is4() {
		return p
	}
	p.Version = 6
	return p
}

// A listed name blocks nothing: anybody can make a host look up a name, and a name server
// can give it any address. The host becomes a suspect.
func TestListedNamesRefuseNothing(t *testing.T) {
	for how, says := range map[string]func(string, string, uint32, ...string) *nfq.Packet{"router": routerSays, "outside": outsideSays} {
		for _, name := range []string{"dht.libtorrent.org", "c3310.winmx.com", "server.napster.com"} {
			w := newWorld(t, byName)
			w.expect("a SYN, so that the host is known", w.syn("203.0.113.80"), nfq.Accept)
			w.expect("an answer", says(hostA, name, 3600, server, "8.8.8.8"), nfq.Accept)
			for _, to := range []string{server, "8.8.8.8"} {
				w.expect(name+" by "+how+": SYN", wants(nfq.ProtoTCP, hostA, to), nfq.Accept)
				w.expect(name+" by "+how+": datagram", wants(nfq.ProtoUDP, hostB, to), nfq.Accept)
			}
			s := w.e.Suspects(w.now)
			if len(s) == 0 || s[0].Addr != ip(hostA) || len(w.e.Clients(w.now)) != 0 {
				t.Errorf("%s by %s: suspects %+v", name, how, s)
			}
		}
	}
}

// After a listed name a host is asked at its first unknown datagram. Otherwise it would
// have to send to several addresses first.
func TestAskedSoonAfterAListedName(t *testing.T) {
	for _, named := range []bool{false, true} {
		w := newWorld(t, byName)
		w.expect("a SYN, so that the host is known", w.syn("203.0.113.80"), nfq.Accept)
		if named {
			w.expect("an answer", routerSays(hostA, "dht.libtorrent.org", 3600, server), nfq.Accept)
		}
		w.expect("a datagram", wants(nfq.ProtoUDP, hostA, server), nfq.Accept)
		if asked := len(w.out.udp) > 0; asked != named {
			t.Errorf("named %v: asked %v", named, asked)
		}
	}
}

// Looking up a name makes no client, not even together with an encrypted session.
func TestAskingForAName(t *testing.T) {
	for _, name := range []string{"dht.libtorrent.org", "c3310.winmx.com", "server.napster.com", "www.example.org"} {
		for how, says := range map[string]func(string, string, uint32, ...string) *nfq.Packet{"router": routerSays, "outside": outsideSays} {
			w := newWorld(t, byName)
			w.expect("a SYN, so that the host is known", w.syn("203.0.113.80"), nfq.Accept)
			w.expect("an answer", says(hostA, name, 3600, server), nfq.Accept)
			w.open(4000, "203.0.113.81", 6699)
			w.expect(name+" by "+how+": an encrypted session", w.data(4000, "203.0.113.81", 6699, 1000, random(200)), nfq.Accept)
			if len(w.e.Clients(w.now))+w.sets.cut() != 0 {
				t.Errorf("%s by %s: clients %+v", name, how, w.e.Clients(w.now))
			}
		}
	}
}

// A name server's flow stays undecided, so that its answers are seen.
func TestNameServersAreNotDecided(t *testing.T) {
	const asks = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01"
	query := udp(macA, hostA, 5353, "198.51.100.53", dnsPort, []byte(asks))
	answer := outsideSays(hostA, "www.example.org", 3600, server)
	web := udp(macA, hostA, 5354, "203.0.113.80", 443, []byte(quic()))
	monitor := func(c *Config) { byName(c); c.Protocols[torrent].Mode = Monitor }
	nameless := func(c *Config) { c.Protocols[torrent].Mode = Monitor }
	for _, tt := range []struct {
		name   string
		change func(*Config)
		client bool
		query  nfq.Verdict
	}{
		{"no client", byName, false, nfq.Accept},
		{"no client, no names", nil, false, nfq.AcceptDecided},
		{"a client that is watched", monitor, true, nfq.Accept},
		{"a client that is watched, no names", nameless, true, nfq.AcceptDecided},
		{"a client that is locked", byName, true, nfq.Accept},
		{"a client that is locked, no names", nil, true, nfq.AcceptDecided},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			if tt.client {
				verdict := nfq.Drop
				if w.e.cfg.Protocols[torrent].Mode == Monitor {
					verdict = nfq.Accept
				}
				w.proveTorrent()
				w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), verdict)
			}
			w.expect("the query", query, tt.query)
			w.expect("the answer", answer, nfq.Accept)
			w.expect("something else", web, nfq.AcceptDecided)
		})
	}
}

func TestNoAllocationsForNames(t *testing.T) {
	w := newWorld(t, byName)
	w.expect("a SYN, so that the host is known", w.syn("203.0.113.80"), nfq.Accept)
	for _, tt := range []struct {
		name   string
		packet *nfq.Packet
	}{
		{"the router's answer", routerSays(hostA, "c3310.winmx.com", 3600, server)},
		{"an outside answer", outsideSays(hostA, "c3310.winmx.com", 3600, second)},
		{"SYN", wants(nfq.ProtoTCP, hostA, server)},
		{"datagram", wants(nfq.ProtoUDP, hostA, second)},
		{"SYN of another", wants(nfq.ProtoTCP, hostB, "203.0.113.81")},
	} {
		if n := testing.AllocsPerRun(100, func() {
			w.e.Packet(tt.packet, w.now)
			w.e.Advance(w.now)
		}); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	if s := w.e.Suspects(w.now); len(s) == 0 {
		t.Errorf("suspects %+v", s)
	}
}
