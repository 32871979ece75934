// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	winmx   = 2 // their places in detect.All
	opennap = 3

	// Two hosts of the LAN, a server of the world outside, and another.
	hostA, hostB   = "192.168.1.50", "192.168.1.51"
	server, second = "203.0.113.99", "203.0.113.98"
)

// byName blocks WinMX, OpenNAP and BitTorrent by the names that are theirs, and
// more by those that the user adds.
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

// dnsAnswer is a name server's answer to a question for the name's addresses.
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

// routerSays is an answer of the router's own name server to the host.
func routerSays(to, name string, ttl uint32, addrs ...string) *nfq.Packet {
	p := udp(nfq.MAC{}, "192.168.1.1", dnsPort, to, 5353, dnsAnswer(name, ttl, addrs...))
	p.Hook, p.InDev, p.OutDev = nfq.HookOutput, 0, lanDev
	return p
}

// outsideSays is an answer of a name server outside to the host.
func outsideSays(to, name string, ttl uint32, addrs ...string) *nfq.Packet {
	p := udp(nfq.MAC{}, "198.51.100.53", dnsPort, to, 5353, dnsAnswer(name, ttl, addrs...))
	p.InDev, p.OutDev = wanDev, lanDev
	return p
}

// wants is a SYN, or a datagram that nothing is known by, from the host.
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

// step is something that happens: a packet that has to pass, or time.
type step struct {
	packet *nfq.Packet
	pass   time.Duration
}

func seen(p ...*nfq.Packet) []step {
	var out []step
	for _, p := range p {
		out = append(out, step{packet: p})
	}
	return out
}

func then(s []step, d time.Duration, p ...*nfq.Packet) []step {
	return append(append(s, step{pass: d}), seen(p...)...)
}

// Who turns to an address that a listed name stands for does not get there, and is asked:
// anybody can have a host look up a name and go to its address.
func TestWhoGoesToANamedAddress(t *testing.T) {
	mode := func(m Mode) func(*Config) { return func(c *Config) { c.Protocols[winmx].Mode = m } }
	users := func(i int, names ...string) func(*Config) {
		return func(c *Config) { c.Protocols[i].Names = mustNames(names...) }
	}
	const (
		cache = "c3310.z1301.winmx.com"
		hour  = 3600
	)
	known := []*nfq.Packet{wants(nfq.ProtoTCP, hostA, second), wants(nfq.ProtoTCP, hostB, second)}
	lie := udp(macA, hostA, dnsPort, "203.0.113.5", 5353, dnsAnswer(cache, hour, server))
	noServer, noServerOutside := routerSays(hostA, cache, hour, server), outsideSays(hostA, cache, hour, server)
	noServer.SrcPort, noServerOutside.SrcPort = 5300, 5300
	const none, monitored, blocked = 0, 1, 2
	for _, tt := range []struct {
		name     string
		change   func(*Config)
		before   []step
		from, to string // hostA and server unless told
		want     int
		protocol string // winmx unless told
	}{
		{name: "WinMX", before: seen(routerSays(hostA, cache, hour, server)), want: blocked},
		{name: "WinMX, the second address", before: seen(routerSays(hostA, cache, hour, second, server)), want: blocked},
		{name: "WinMX, in capitals", before: seen(routerSays(hostA, "C3310.WinMX.COM", hour, server)), want: blocked},
		{name: "WinMX of the patches", before: seen(routerSays(hostA, "cache.winmxgroup.net", hour, server)), want: blocked},
		{name: "monitored", change: mode(Monitor), before: seen(routerSays(hostA, cache, hour, server)), want: monitored},
		{name: "off", change: mode(Off), before: seen(routerSays(hostA, cache, hour, server))},
		{name: "OpenNAP", before: seen(routerSays(hostA, "server.napster.com", hour, server)), want: blocked, protocol: "opennap"},
		{name: "OpenNAP below", before: seen(routerSays(hostA, "www.napigator.com", hour, server)), want: blocked, protocol: "opennap"},
		{name: "no name below", before: seen(routerSays(hostA, "winmx.com", hour, server))},
		{name: "another name", before: seen(routerSays(hostA, "www.example.org", hour, server))},
		{name: "another address", before: seen(routerSays(hostA, cache, hour, second))},
		{name: "no address", before: seen(routerSays(hostA, cache, hour))},
		{name: "no answer"},

		// Lists of the user.
		{name: "the user's name", change: users(winmx, "*.example.net"), before: seen(routerSays(hostA, "a.b.example.net", hour, server)), want: blocked},
		{name: "not that name", change: users(winmx, "*.example.net"), before: seen(routerSays(hostA, "example.net", hour, server))},
		{name: "no longer the list's own", change: users(winmx, "*.example.net"), before: seen(routerSays(hostA, cache, hour, server))},
		{
			name: "a name of two, one of them off", want: blocked, protocol: "opennap",
			change: func(c *Config) { mode(Off)(c); users(opennap, "*.winmx.com")(c) },
			before: seen(routerSays(hostA, cache, hour, server)),
		},
		{name: "no names", change: users(winmx), before: seen(routerSays(hostA, cache, hour, server))},

		// BitTorrent has more to be known by: a name is no proof.
		{name: "a bootstrap node", before: seen(routerSays(hostA, "router.bittorrent.com", hour, server))},
		{name: "a tracker", change: users(torrent, "tracker.example.net"), before: seen(routerSays(hostA, "tracker.example.net", hour, server))},

		// Programs use an address for longer than it holds, but not for ever.
		{name: "soon over", before: then(seen(routerSays(hostA, cache, 60, server)), 9*time.Minute), want: blocked},
		{name: "over", before: then(seen(routerSays(hostA, cache, 60, server)), 11*time.Minute)},
		{name: "an hour", before: then(seen(routerSays(hostA, cache, hour, server)), 59*time.Minute), want: blocked},
		{name: "more than an hour", before: then(seen(routerSays(hostA, cache, hour, server)), 61*time.Minute)},
		{name: "most of a week", before: then(seen(routerSays(hostA, cache, 7*24*hour, server)), 25*time.Hour)},
		{
			name: "named again", want: blocked,
			before: then(then(seen(routerSays(hostA, cache, hour, server)), 20*time.Minute, routerSays(hostA, cache, 60, server)), 20*time.Minute),
		},
		{
			name: "named again, later", want: blocked,
			before: then(then(seen(routerSays(hostA, cache, hour, server)), 50*time.Minute, routerSays(hostA, cache, hour, server)), 50*time.Minute),
		},
		{
			name: "of somebody else by now", want: blocked,
			before: seen(routerSays(hostA, cache, hour, server), routerSays(hostA, "www.example.org", hour, server)),
		},
		{
			name: "of another protocol by now", want: blocked, protocol: "opennap",
			before: seen(routerSays(hostA, cache, hour, server), routerSays(hostA, "server.napster.com", hour, server)),
		},

		// Who asked whom.
		{name: "who asked the router", before: seen(append(known, routerSays(hostA, cache, hour, server))...), want: blocked},
		{name: "who did not ask the router", from: hostB, before: seen(append(known, routerSays(hostA, cache, hour, server))...), want: blocked},
		{name: "who asked outside", before: seen(append(known, outsideSays(hostA, cache, hour, server))...), want: blocked},
		{name: "whose neighbour asked outside", from: hostB, before: seen(append(known, outsideSays(hostA, cache, hour, server))...)},
		{
			name: "who asked outside as well", from: hostB, want: blocked,
			before: seen(append(known, outsideSays(hostA, cache, hour, server), outsideSays(hostB, cache, hour, server))...),
		},
		{name: "who asked outside, over", before: then(seen(append(known, outsideSays(hostA, cache, 60, server))...), 11*time.Minute)},
		{name: "whom nobody saw ask", before: seen(outsideSays(hostA, cache, hour, server))},
		{
			name: "who asked by IPv4 and goes by IPv6", from: "2001:db8:1::50", to: "2001:db8:ff::99", want: blocked,
			before: seen(append(known, outsideSays(hostA, cache, hour, "2001:db8:ff::99"))...),
		},
		{name: "a host's own answer", before: seen(lie)},
		{name: "from no name server", before: seen(noServer)},
		{name: "from no name server outside", before: seen(append(known, noServerOutside)...)},

		// What may not be named.
		{name: "the LAN's own", to: "10.1.2.3", before: seen(routerSays(hostA, cache, hour, "10.1.2.3"))},
		{name: "the LAN's own, public", to: "2001:db8:1::99", before: seen(routerSays(hostA, cache, hour, "2001:db8:1::99"))},

		// Exempt hosts.
		{
			name: "exempt by address", before: seen(routerSays(hostA, cache, hour, server)),
			change: func(c *Config) { c.ExemptNets = []netip.Prefix{netip.MustParsePrefix(hostA + "/32")} },
		},
		{
			name: "exempt by MAC", before: seen(routerSays(hostA, cache, hour, server)),
			change: func(c *Config) { c.ExemptMACs = []nfq.MAC{macA} },
		},
		{
			name: "who did not ask, beside an exempt host", from: hostB, before: seen(routerSays(hostA, cache, hour, server)), want: blocked,
			change: func(c *Config) { c.ExemptMACs = []nfq.MAC{macA} },
		},
	} {
		for proto, how := range map[uint8]string{nfq.ProtoTCP: "SYN", nfq.ProtoUDP: "datagram"} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				w := newWorld(t, func(c *Config) {
					byName(c)
					if tt.change != nil {
						tt.change(c)
					}
				})
				for _, s := range tt.before {
					w.pass(s.pass)
					if s.packet != nil {
						w.expect("what comes before", s.packet, nfq.Accept)
					}
				}
				if n, _ := w.e.Len(); n != 0 {
					t.Fatal("a client already")
				}
				from, to, protocol := tt.from, tt.to, tt.protocol
				if from == "" {
					from = hostA
				}
				if to == "" {
					to = server
				}
				if protocol == "" {
					protocol = "winmx"
				}
				p := wants(proto, from, to)
				verdict := nfq.Accept
				if tt.want == blocked {
					verdict = nfq.Drop
				}
				w.expect("the packet to the address", p, verdict)
				w.expect("the same again", p, verdict)
				var suspects []SuspectInfo
				for _, s := range w.e.Suspects(w.now) {
					if s.Protocol != nil && !s.Protocol.Sift {
						suspects = append(suspects, s)
					}
				}
				switch {
				case tt.want == none && len(suspects) != 0:
					t.Errorf("suspects %+v", suspects)
				case tt.want == none:
				case len(suspects) != 1 || suspects[0].Protocol.Name != protocol || suspects[0].Reason != detect.ReasonName ||
					suspects[0].Addr != ip(from) || suspects[0].MAC != p.MAC:
					t.Errorf("suspects %+v", suspects)
				}
				if c := w.e.Clients(w.now); len(c)+len(w.e.Peers(nfq.Addr{}))+len(w.sets.locks)+len(w.sets.cuts)+len(w.sets.sifts) != 0 {
					t.Errorf("clients %+v, sets %+v", c, w.sets)
				}
				w.expect("its SYN to anybody", wants(nfq.ProtoTCP, from, "203.0.113.80"), nfq.Accept)
				p.DstPort = 443
				w.expect("to a service at the address", p, nfq.Accept)
			})
		}
	}
}

// A name is no conduct: it neither locks a client nor holds its lock.
func TestNamedAddressesHoldNoLock(t *testing.T) {
	w := newWorld(t, byName)
	w.expect("an answer", routerSays(hostA, "c3310.winmx.com", 3600, server, second), nfq.Accept)
	w.expect("SYN to the first", wants(nfq.ProtoTCP, hostA, server), nfq.Drop)
	w.expect("SYN to the second", wants(nfq.ProtoTCP, hostA, second), nfq.Drop)
	if len(w.e.Clients(w.now)) != 0 {
		t.Fatal("locked by names")
	}
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	for range 4 {
		w.pass(19 * time.Second)
		w.expect("SYN to the first", wants(nfq.ProtoTCP, hostA, server), nfq.Drop)
	}
	w.pass(5 * time.Second)
	if w.locked(hostA) {
		t.Error("not released one lock time after its last ping")
	}
}

// Who is locked for one protocol does not get to the peers of another that is only
// watched.
func TestMonitoredPeersOfALockedHost(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		byName(c)
		c.Protocols[winmx].Mode = Monitor
	})
	w.expect("an answer", routerSays(hostA, "c3310.winmx.com", 3600, server), nfq.Accept)
	w.prove()
	w.expect("a ping of FastTrack", w.ping("198.51.100.7"), nfq.Drop)
	for _, what := range []string{"SYN to the address", "SYN to what is a peer now"} {
		w.expect(what, wants(nfq.ProtoTCP, hostA, server), nfq.Drop)
	}
	if c := w.e.Clients(w.now); len(c) != 1 || c[0].Protocol.Name != "fasttrack" || c[0].Peers != 2 {
		t.Errorf("clients %+v", c)
	}
}

// What a protocol is known by changes while addresses are known.
func TestNamesThatAreTurnedOff(t *testing.T) {
	w := newWorld(t, byName)
	w.expect("an answer", routerSays(hostA, "c3310.winmx.com", 3600, server), nfq.Accept)
	cfg := w.e.cfg
	cfg.Protocols[winmx].Mode = Off
	w.e.Configure(cfg)
	w.expect("SYN while it is off", wants(nfq.ProtoTCP, hostA, server), nfq.Accept)
	if n, _ := w.e.Len(); n != 0 {
		t.Error("found while it is off")
	}
	cfg.Protocols[winmx].Mode = Block
	w.e.Configure(cfg)
	w.expect("SYN when it is on", wants(nfq.ProtoTCP, hostA, server), nfq.Drop)
}

// Asking for a name makes no client, nor does it with an encrypted session.
func TestAskingForAName(t *testing.T) {
	for _, name := range []string{"dht.libtorrent.org", "c3310.winmx.com", "server.napster.com", "www.example.org"} {
		for how, says := range map[string]func(string, string, uint32, ...string) *nfq.Packet{"router": routerSays, "outside": outsideSays} {
			w := newWorld(t, byName)
			w.expect("a SYN, so that the host is known", w.syn("203.0.113.80"), nfq.Accept)
			w.expect("an answer", says(hostA, name, 3600, server), nfq.Accept)
			w.open(4000, "203.0.113.81", 6699)
			w.expect(name+" by "+how+": an encrypted session", w.data(4000, "203.0.113.81", 6699, 1000, random(200)), nfq.AcceptDecided)
			w.nothing()
		}
	}
}

// The answers of a name server are seen as long as its flow is not decided.
func TestNameServersAreNotDecided(t *testing.T) {
	const asks = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01"
	query := udp(macA, hostA, 5353, "198.51.100.53", dnsPort, []byte(asks))
	answer := outsideSays(hostA, "www.example.org", 3600, server)
	stun := udp(macA, hostA, 5354, "203.0.113.80", 3478, []byte("\x00\x01\x00\x00\x21\x12\xa4\x42NsZVN0kQYisz"))
	monitor := func(c *Config) { byName(c); c.Protocols[torrent].Mode = Monitor }
	nameless := func(c *Config) { c.Protocols[torrent].Mode = Monitor }
	for _, tt := range []struct {
		name          string
		change        func(*Config)
		client        bool
		query, answer nfq.Verdict
	}{
		{"no client", byName, false, nfq.Accept, nfq.Accept},
		{"no client, no names", nil, false, nfq.AcceptHarmless, nfq.Accept},
		{"a client that is watched", monitor, true, nfq.Accept, nfq.Accept},
		{"a client that is watched, no names", nameless, true, nfq.AcceptHarmless, nfq.AcceptHarmless},
		{"a client that is sifted", byName, true, nfq.AcceptHarmless, nfq.AcceptHarmless},
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
			w.expect("the answer", answer, tt.answer)
			w.expect("something else", stun, nfq.AcceptHarmless)
		})
	}
}

// With no place for it, the host is not held, but does not get there either.
func TestNamedAddressesWithAFullTable(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		byName(c)
		c.MaxClients = 1
	})
	w.expect("an answer", routerSays(hostB, "c3310.winmx.com", 3600, server), nfq.Accept)
	w.prove()
	w.expect("a ping", w.ping("198.51.100.7"), nfq.Drop)
	for proto, how := range map[uint8]string{nfq.ProtoTCP: "SYN", nfq.ProtoUDP: "datagram"} {
		w.expect("another host's "+how, wants(proto, hostB, server), nfq.Drop)
	}
	w.expect("its SYN to anybody", wants(nfq.ProtoTCP, hostB, second), nfq.Accept)
}

// Many names do not make the table grow: the address named longest ago gives way.
func TestNamedAddressesGiveWay(t *testing.T) {
	w := newWorld(t, byName)
	for i := range maxNamed + 1 {
		a := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}).String()
		w.expect("an answer", routerSays(hostA, "c3310.winmx.com", 3600, a), nfq.Accept)
	}
	w.expect("SYN to the oldest", wants(nfq.ProtoTCP, hostA, "203.0.0.0"), nfq.Accept)
	w.expect("SYN to the next", wants(nfq.ProtoTCP, hostA, "203.0.0.1"), nfq.Drop)
	w.expect("SYN to the newest", wants(nfq.ProtoTCP, hostB, "203.0.1.0"), nfq.Drop)
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
	if s := w.e.Suspects(w.now); len(s) != 1 || s[0].Reason != detect.ReasonName {
		t.Errorf("suspects %+v", s)
	}
}
