// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket/layers"

	"github.com/p2pwall/p2pwall/bench/golden"
	"github.com/p2pwall/p2pwall/cmd/p2pwall-replay/replay"
)

func replayed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

func one(t *testing.T, args ...string) replay.Result {
	t.Helper()
	code, out, errs := replayed(t, append([]string{"--json"}, args...)...)
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var r replay.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGolden compares the whole output in both forms. The client is found, locked, probed
// and released.
func TestGolden(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		name  string
		write func(t *testing.T, file string)
	}{
		{"kazaa.pcap", func(t *testing.T, file string) { writePcap(t, file, layers.LinkTypeEthernet, kazaa()) }},
		{"innocent.pcap", func(t *testing.T, file string) { writePcap(t, file, layers.LinkTypeEthernet, innocent()) }},
		{"empty.pcap", func(t *testing.T, file string) { writePcap(t, file, layers.LinkTypeEthernet, nil) }},
		{"ipv6.pcapng", func(t *testing.T, file string) { writePcapNG(t, file, ipv6()) }},
	} {
		c.write(t, c.name)
		for _, form := range []struct{ flag, ext string }{{"--json=true", ".json"}, {"--json=false", ".txt"}} {
			code, out, errs := replayed(t, form.flag, c.name)
			if code != 0 || errs != "" {
				t.Errorf("%s: exit code %d: %s", c.name, code, errs)
			}
			golden.Compare(t, filepath.Join(dir, "testdata", c.name+form.ext), out)
		}
	}
}

// TestLinkTypes: the same packets in every link layer lead to the same result. Only the
// MAC is missing in some.
func TestLinkTypes(t *testing.T) {
	t.Chdir(t.TempDir())
	writePcap(t, "ethernet.pcap", layers.LinkTypeEthernet, kazaa())
	want := one(t, "ethernet.pcap")
	for _, l := range []struct {
		name string
		link layers.LinkType
		wrap func(p packet) []byte
	}{
		{"vlan", layers.LinkTypeEthernet, func(p packet) []byte { return p.ethernet(0x8100) }},
		{"qinq", layers.LinkTypeEthernet, func(p packet) []byte { return p.ethernet(0x88a8, 0x8100) }},
		{"pppoe", layers.LinkTypeEthernet, packet.pppoe},
		{"snap", layers.LinkTypeEthernet, packet.snap},
		{"mpls", layers.LinkTypeEthernet, packet.mpls},
		{"cooked", layers.LinkTypeLinuxSLL, packet.cooked},
		{"cooked v2", layers.LinkType(276), packet.cooked2},
		{"null", layers.LinkTypeNull, func(p packet) []byte { return append([]byte{2, 0, 0, 0}, p.ip...) }},
		{"loop", layers.LinkTypeLoop, func(p packet) []byte { return append([]byte{0, 0, 0, 2}, p.ip...) }},
		{"raw", layers.LinkTypeRaw, func(p packet) []byte { return p.ip }},
		{"raw, BSD's number", layers.LinkType(12), func(p packet) []byte { return p.ip }},
		{"IPv4", layers.LinkTypeIPv4, func(p packet) []byte { return p.ip }},
		{"ppp", layers.LinkTypePPP, func(p packet) []byte { return append([]byte{0xff, 3, 0, 0x21}, p.ip...) }},
		{"ppp, short", layers.LinkTypePPP, func(p packet) []byte { return append([]byte{0x21}, p.ip...) }},
		{"hdlc", layers.LinkTypeC_HDLC, func(p packet) []byte { return append([]byte{0x0f, 0, 8, 0}, p.ip...) }},
		{"wireless", layers.LinkTypeIEEE80211Radio, packet.wireless},
		{"Broadcom", 281, func(p packet) []byte { return p.tag("00000008") }},
		{"Broadcom before the addresses", 282, func(p packet) []byte { return join(unhex("00000008"), p.ethernet()) }},
		{"Marvell", 284, func(p packet) []byte { return p.tag("40080000") }},
		{"Marvell EDSA", 285, func(p packet) []byte { return p.tag("dada000040080000") }},
		{"Marvell EDSA, the other number", 284, func(p packet) []byte { return p.tag("dada000040080000") }},
		{"Marvell as Ethernet", layers.LinkTypeEthernet, func(p packet) []byte { return p.tag("40080000") }},
		{"Marvell EDSA as Ethernet", layers.LinkTypeEthernet, func(p packet) []byte { return p.tag("dada000040080000") }},
		{"MediaTek as Ethernet", layers.LinkTypeEthernet, func(p packet) []byte { return p.tag("00010000") }},
		{"MediaTek with a VLAN as Ethernet", layers.LinkTypeEthernet, func(p packet) []byte { return p.tag("01010007") }},
		{"Qualcomm as Ethernet", layers.LinkTypeEthernet, func(p packet) []byte { return p.tag("8002") }},
		{"Realtek as Ethernet", layers.LinkTypeEthernet, func(p packet) []byte { return p.tag("8899a001") }},
		{"Realtek, the longer tag", layers.LinkTypeEthernet, func(p packet) []byte { return p.tag("8899040000000001") }},
		{"NFLOG", 239, func(p packet) []byte { return p.logged(binary.LittleEndian) }},
		{"NFLOG, big-endian", 239, func(p packet) []byte { return p.logged(binary.BigEndian) }},
		{"PFLOG", 117, packet.filtered},
		{"PKTAP", 258, func(p packet) []byte { return p.tapped(binary.LittleEndian) }},
		{"PKTAP, big-endian", 258, func(p packet) []byte { return p.tapped(binary.BigEndian) }},
		{"PPP with direction", 204, func(p packet) []byte { return join([]byte{1, 0xff, 3, 0, 0x21}, p.ip) }},
	} {
		file := strings.ReplaceAll(l.name, " ", "-") + ".pcap"
		packets := slices.Clone(kazaa())
		for i := range packets {
			if packets[i].arp == nil {
				packets[i].frame = l.wrap(packets[i])
			} else if l.link != layers.LinkTypeEthernet {
				packets[i].frame = []byte{} // none of these link types carries ARP
			}
		}
		writePcap(t, file, l.link, packets)
		got := one(t, file)
		if len(got.Clients) != 1 {
			t.Errorf("%s: %d clients, want 1", l.name, len(got.Clients))
			continue
		}
		dropped := want.Dropped
		if l.link != layers.LinkTypeEthernet {
			// Without ARP the router's address is not known. So the answer is not seen as
			// an answer to the probe, and the lock runs out.
			dropped--
		}
		if got.Dropped != dropped || got.Accepted+got.Dropped != want.Accepted+want.Dropped || got.Packets != want.Packets {
			t.Errorf("%s: %d accepted, %d dropped, want %d dropped", l.name, got.Accepted, got.Dropped, dropped)
		}
		if diff := cmp.Diff(want.Clients[0].Peers, got.Clients[0].Peers); diff != "" {
			t.Errorf("%s: peers:\n%s", l.name, diff)
		}
	}
}

// TestOldFiles reads files of older versions, and files whose lengths are not as
// specified.
func TestOldFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	writePcap(t, "new.pcap", layers.LinkTypeEthernet, torrent())
	want := one(t, "new.pcap")
	want.File = "old.pcap"
	for _, c := range []struct {
		name    string
		order   binary.AppendByteOrder
		minor   uint16
		swapped bool
		extra   int // captured bytes beyond the sent length
	}{
		{"2.4", binary.LittleEndian, 4, false, 0},
		{"2.4, big-endian", binary.BigEndian, 4, false, 0},
		{"2.4, more captured than sent", binary.LittleEndian, 4, false, 4},
		{"2.3", binary.LittleEndian, 3, false, 0},
		{"2.3, lengths swapped, sent more than captured", binary.LittleEndian, 3, true, -6},
		{"2.1", binary.LittleEndian, 1, true, 0},
		{"2.2, sent more than captured", binary.BigEndian, 2, true, -6},
	} {
		writeOld(t, "old.pcap", c.order, c.minor, c.swapped, c.extra, torrent())
		got := one(t, "old.pcap")
		if diff := cmp.Diff(want.Clients, got.Clients, cmpopts.IgnoreUnexported(replay.Client{}), cmpopts.IgnoreFields(replay.Client{}, "FirstSeen")); diff != "" || got.Packets != want.Packets {
			t.Errorf("%s: %d packets, clients:\n%s", c.name, got.Packets, diff)
		}
	}
	writeOld(t, "old.pcap", binary.LittleEndian, 5, false, 0, torrent())
	if code, _, errs := replayed(t, "old.pcap"); code != 1 || !strings.Contains(errs, "version 2.5 of pcap is not supported") {
		t.Errorf("version 2.5: exit code %d, %q", code, errs)
	}
}

// TestPacked: gzip files are read by content, whatever their name.
func TestPacked(t *testing.T) {
	t.Chdir(t.TempDir())
	writePcap(t, "a.pcap", layers.LinkTypeEthernet, torrent())
	writePcapNG(t, "a.pcapng", torrent())
	for _, file := range []string{"a.pcap", "a.pcapng"} {
		plain, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(plain)
		z.Close()
		if err := os.WriteFile("packed", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := one(t, "packed"); len(r.Clients) != 1 || r.Packets != 3 {
			t.Errorf("%s, packed: %d packets, %d clients", file, r.Packets, len(r.Clients))
		}
	}
}

// TestHints: if nothing can be found in a capture, the output says why.
func TestHints(t *testing.T) {
	t.Chdir(t.TempDir())
	const host, far = "192.168.1.10", "203.0.113.99"
	cut := func(p packet, n int) packet { p.frame = p.ethernet()[:n]; return p }
	answer := udp(macRouter, macClient, far, 6881, host, 51413, []byte("d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re"))
	tzsp := join(unhex("0100000101"), torrent()[0].ethernet())
	sealed := packet{frame: join([]byte{0, 0, 8, 0, 0, 0, 0, 0}, []byte{0x08, 0x41, 0, 0}, macRouter, macClient, macRouter, make([]byte, 40))}
	for _, c := range []struct {
		name    string
		link    layers.LinkType
		packets []packet
		args    []string
		want    []string // the beginnings of the hints
	}{
		{"nothing", layers.LinkTypeEthernet, nil, nil, []string{"there is no packet"}},
		{"cut short", layers.LinkTypeEthernet, []packet{cut(torrent()[0], 96), answer}, nil, []string{"1 of 2 packets are cut short"}},
		{
			"copies of a router", layers.LinkTypeEthernet,
			[]packet{udp(macRouter, macClient, "10.0.0.1", 40000, "10.0.0.9", 37008, tzsp)},
			nil,
			[]string{"1 of 1 packets are in a tunnel (TZSP)", "all packets stay in the LAN"},
		},
		{"tunnels", layers.LinkTypeEthernet, []packet{
			udp(macClient, macRouter, host, 40000, far, 4789, []byte{8, 0, 0, 0, 0, 0, 1, 0}),
			ipPacket(macClient, macRouter, host, far, layers.IPProtocolGRE, plain{&layers.GRE{Protocol: layers.EthernetTypeIPv4}}, nil),
		}, nil, []string{"2 of 2 packets are in a tunnel (GRE, VXLAN)"}},
		{"private addresses", layers.LinkTypeEthernet, []packet{dnsTo(macClient, host, "10.0.0.1")}, nil, []string{"all packets stay in the LAN"}},
		{"another LAN", layers.LinkTypeEthernet, torrent(), []string{"-lan", "10.0.0.0/8"}, []string{"no packet has one end in the LAN"}},
		{"one direction", layers.LinkTypeEthernet, []packet{answer}, nil, []string{"nothing that the LAN sends"}},
		{
			"running connections", layers.LinkTypeEthernet,
			[]packet{tcp(macClient, macRouter, host, 40000, far, 443, "PA", []byte("rest"))},
			nil,
			[]string{"no connection begins"},
		},
		{"WLAN", layers.LinkTypeIEEE80211Radio, []packet{sealed}, nil, []string{"1 WLAN frames are encrypted", "no frame holds an IP packet"}},
		{"no reason known", layers.LinkTypeEthernet, []packet{dns(macClient, host)}, nil, nil},
	} {
		writePcap(t, "hints.pcap", c.link, c.packets)
		r := one(t, append(c.args, "hints.pcap")...)
		if len(r.Clients) > 0 {
			t.Errorf("%s: found %v", c.name, r.Clients[0].Address)
		}
		if !slices.EqualFunc(r.Hints, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", c.name, r.Hints, c.want)
		}
	}
	writePcap(t, "hints.pcap", layers.LinkTypeEthernet, torrent())
	if r := one(t, "hints.pcap"); len(r.Clients) != 1 || len(r.Hints) > 0 {
		t.Errorf("a capture with a client: %d clients, hints %q", len(r.Clients), r.Hints)
	}
}

// TestSearchOfTheLAN: a host that searches the LAN for peers becomes a suspect, because
// the router is a member of the clients' multicast groups. The engine then probes the
// host.
func TestSearchOfTheLAN(t *testing.T) {
	t.Chdir(t.TempDir())
	search := []byte("BT-SEARCH * HTTP/1.1\r\nHost: x\r\nPort: 51413\r\nInfohash: 0123456789abcdef0123456789abcdef01234567\r\n\r\n")
	for _, c := range []struct {
		name, src, group string
		asked            bool
	}{
		{"IPv4", "192.168.1.10", "239.192.152.143", true},
		{"IPv6", "2001:db8:1::10", "ff15::efc0:988f", true},
		{"IPv6, link-local", "fe80::10", "ff15::efc0:988f", true},
		{"another group", "192.168.1.10", "239.255.255.250", false},
	} {
		writePcap(t, "search.pcap", layers.LinkTypeEthernet, []packet{
			udp(macClient, macRouter, c.src, 6771, c.group, 6771, search).after(0),
			dns(macOther, "192.168.1.60").after(100 * time.Second),
		})
		if r := one(t, "search.pcap"); r.Sent > 0 != c.asked {
			t.Errorf("%s: %d packets sent, want some: %v", c.name, r.Sent, c.asked)
		}
	}
}

// TestSummaryTellsTheProof: the summary tells a proved client from one that a router
// would probe.
func TestSummaryTellsTheProof(t *testing.T) {
	for _, c := range []struct{ proof, want string }{
		{"", "  192.168.1.10: BitTorrent recognised; a router would ask it. First seen at noon by query to 203.0.113.9\n"},
		{"conduct", "  192.168.1.10 runs BitTorrent, proved by its conduct: found at noon by query to 203.0.113.9\n"},
	} {
		var b strings.Builder
		x := replay.Client{Address: "192.168.1.10", Title: "BitTorrent", Proof: c.proof, FirstSeen: "noon", Reason: "query", Peer: "203.0.113.9"}
		if err := summary(&b, &replay.Result{Clients: []*replay.Client{&x}}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), c.want) {
			t.Errorf("proof %q: said %q, want %q", c.proof, b.String(), c.want)
		}
	}
}

func TestWhoIsTheLAN(t *testing.T) {
	t.Chdir(t.TempDir())
	ping := func(src, dst string) packet { return udp(macClient, macRouter, src, 1214, dst, 1214, kazaaPing) }
	for _, c := range []struct {
		name    string
		packets []packet
		args    []string
		want    []string // clients found
	}{
		{"private addresses", []packet{ping("10.0.0.5", "198.51.100.7"), ping("198.51.100.8", "10.0.0.5").from(macRouter)}, nil, []string{"10.0.0.5"}},
		{"LAN to LAN is not looked at", []packet{ping("10.0.0.5", "10.0.0.6")}, nil, nil},
		{"multicast is not forwarded", []packet{ping("10.0.0.5", "239.255.255.250")}, nil, nil},
		{"no private address: who opens", []packet{ping("203.0.113.5", "198.51.100.7"), ping("203.0.113.5", "198.51.100.8")}, nil, []string{"203.0.113.5"}},
		{"no private address: one incoming flow", []packet{
			ping("198.51.100.9", "203.0.113.5").from(macRouter),
			ping("203.0.113.5", "198.51.100.7"), ping("203.0.113.5", "198.51.100.8"),
		}, nil, []string{"203.0.113.5"}},
		{"told by -lan", []packet{ping("203.0.113.5", "198.51.100.7")}, []string{"-lan", "198.51.100.0/24"}, nil},
		{"told by -lan, private outside", []packet{ping("10.0.0.5", "10.1.0.6")}, []string{"-lan", "10.0.0.0/24"}, []string{"10.0.0.5"}},
		{"two hosts behind one MAC", []packet{ping("10.0.0.5", "198.51.100.7"), ping("10.0.0.6", "198.51.100.8")}, nil, []string{"10.0.0.5", "10.0.0.6"}},
		{"both directions with one pair of hardware addresses", []packet{
			ping("192.168.1.5", "198.51.100.7"), ping("198.51.100.7", "192.168.1.5"), ping("192.168.1.5", "198.51.100.8"),
		}, nil, []string{"192.168.1.5"}},
		{"the same, several hosts", []packet{
			ping("198.51.100.7", "192.168.1.5"), ping("192.168.1.5", "198.51.100.7"), ping("192.168.1.5", "198.51.100.8"),
			ping("192.168.1.6", "198.51.100.7"), ping("192.168.1.6", "198.51.100.8"),
		}, nil, []string{"192.168.1.5", "192.168.1.6"}},
		{"the same, IPv6", []packet{
			ping("2001:db8:1::5", "2001:db8:ffff::7"), ping("2001:db8:ffff::7", "2001:db8:1::5"), ping("2001:db8:1::5", "2001:db8:ffff::8"),
			ping("2001:db8:1::6", "2001:db8:ffff::7"), ping("2001:db8:1::6", "2001:db8:ffff::8"),
		}, nil, []string{"2001:db8:1::5", "2001:db8:1::6"}},
		{"IPv6 of a host with private IPv4", []packet{
			dns(macClient, "10.0.0.5"),
			udp(macClient, macRouter, "2001:db8:1::5", 1214, "2001:db8:ffff::7", 1214, kazaaPing),
		}, nil, []string{"2001:db8:1::5"}},
	} {
		writePcap(t, "lan.pcap", layers.LinkTypeEthernet, c.packets)
		var got []string
		for _, x := range one(t, append(c.args, "lan.pcap")...).Clients {
			got = append(got, x.Address)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// TestTimeStamps: the clock of a capture may jump. The engine's clock never goes back.
func TestTimeStamps(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		name  string
		at    [3]time.Duration // the time of both pings, then those of two SYNs to another host
		start time.Time
		want  int // packets dropped
	}{
		{"locked", [3]time.Duration{0, time.Second, 100 * time.Second}, start, 4},
		{"lock ran out", [3]time.Duration{0, time.Second, 121 * time.Second}, start, 3},
		{"going back", [3]time.Duration{100 * time.Second, 0, 101 * time.Second}, start, 4},
		{"from zero on", [3]time.Duration{0, time.Second, 121 * time.Second}, time.Unix(0, 0), 3},
	} {
		p := []packet{
			udp(macClient, macRouter, "192.168.1.50", 1214, "198.51.100.7", 1214, kazaaPing),
			udp(macClient, macRouter, "192.168.1.50", 1214, "198.51.100.8", 1214, kazaaPing),
			tcp(macClient, macRouter, "192.168.1.50", 40001, "203.0.113.1", 80, "S", nil),
			tcp(macClient, macRouter, "192.168.1.50", 40002, "203.0.113.1", 80, "S", nil),
		}
		for i := range p {
			p[i].at = c.start.Add(c.at[max(i-1, 0)])
		}
		writePcap(t, "time.pcap", layers.LinkTypeEthernet, p)
		r := one(t, "time.pcap")
		if r.Dropped != c.want || r.Accepted != 4-c.want {
			t.Errorf("%s: %d dropped, want %d", c.name, r.Dropped, c.want)
		}
		if want := p[0].at.UTC().Format("2006-01-02T15:04:05.000000000Z07:00"); r.Clients[0].FirstSeen != want {
			t.Errorf("%s: first seen %s, want %s", c.name, r.Clients[0].FirstSeen, want)
		}
	}
}

// TestOnlyWhatTheKernelQueues: the engine sees no packet that the kernel would not queue.
func TestOnlyWhatTheKernelQueues(t *testing.T) {
	t.Chdir(t.TempDir())
	const host, far = "192.168.1.50", "198.51.100.7"
	request := []byte("GET /.hash=0123456789abcdef0123456789abcdef01234567 HTTP/1.1\r\nX-Kazaa-Username: a\r\n\r\n")
	bulk := bytes.Repeat([]byte{1}, 1200)
	handshake := []packet{
		tcp(macClient, macRouter, host, 40000, far, 80, "S", nil),
		tcp(macRouter, macClient, far, 80, host, 40000, "SA", nil),
		tcp(macClient, macRouter, host, 40000, far, 80, "A", nil),
	}
	for _, c := range []struct {
		name    string
		packets []packet
		args    []string
		want    int // clients found
	}{
		{"request", append(slices.Clone(handshake), tcp(macClient, macRouter, host, 40000, far, 80, "PA", request)), nil, 1},
		{"request behind the first packets", append(append(slices.Clone(handshake),
			repeat(tcp(macClient, macRouter, host, 40000, far, 80, "A", nil), 22)...),
			tcp(macClient, macRouter, host, 40000, far, 80, "PA", request)), nil, 0},
		{"late ping of a long flow", append(
			repeat(udp(macClient, macRouter, host, 5000, far, 5000, bulk), 20),
			udp(macClient, macRouter, host, 5000, far, 5000, kazaaPing)), nil, 0},
		{"ping among the first of a flow", append(
			repeat(udp(macClient, macRouter, host, 5000, far, 5000, bulk), 19),
			udp(macClient, macRouter, host, 5000, far, 5000, kazaaPing)), nil, 1},
		{"inbound ping", []packet{dns(macClient, host), udp(macRouter, macClient, far, 1214, host, 1214, kazaaPing)}, nil, 0},
	} {
		writePcap(t, "kernel.pcap", layers.LinkTypeEthernet, c.packets)
		if got := len(one(t, append(c.args, "kernel.pcap")...).Clients); got != c.want {
			t.Errorf("%s: %d clients, want %d", c.name, got, c.want)
		}
	}
}

func TestConfiguration(t *testing.T) {
	t.Chdir(t.TempDir())
	writePcap(t, "kazaa.pcap", layers.LinkTypeEthernet, kazaa())
	for _, c := range []struct {
		name, config     string
		clients, dropped int
	}{
		{"monitor", "config protocol 'fasttrack'\n\toption mode 'monitor'\n", 1, 0},
		{"off", "config protocol 'fasttrack'\n\toption mode 'off'\n", 0, 0},
		{"exempt", "config p2pwall 'main'\n\tlist exempt '192.168.1.50'\n", 0, 0},
		{"no lock", "config p2pwall 'main'\n\toption timelock '0'\n", 1, 2},
	} {
		if err := os.WriteFile("p2pwall", []byte(c.config), 0o644); err != nil {
			t.Fatal(err)
		}
		r := one(t, "-c", "p2pwall", "kazaa.pcap")
		if len(r.Clients) != c.clients || r.Dropped != c.dropped {
			t.Errorf("%s: %d clients, %d dropped, want %d and %d", c.name, len(r.Clients), r.Dropped, c.clients, c.dropped)
		}
	}
	if err := os.WriteFile("p2pwall", []byte("config p2pwall 'main'\n\toption colour 'red'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := replayed(t, "-c", "p2pwall", "kazaa.pcap")
	if code != 1 || out != "" || !strings.HasPrefix(errs, "p2pwall:2: ") {
		t.Errorf("bad configuration: exit code %d, output %q, errors %q", code, out, errs)
	}
}

// TestDamaged: a damaged capture is reported, and the others are replayed all the same.
func TestDamaged(t *testing.T) {
	t.Chdir(t.TempDir())
	writePcap(t, "good.pcap", layers.LinkTypeEthernet, kazaa())
	writePcapNG(t, "good.pcapng", ipv6())
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole, ng := read("good.pcap"), read("good.pcapng")
	header := slices.Clone(whole[:24])
	header[20] = 147 // a link type for private use
	header = append(header, whole[24:]...)
	long := slices.Clone(whole)
	long[24+8+3], long[24+12+3] = 0x7f, 0x7f // a packet of 2 GB
	for _, c := range []struct {
		name  string
		data  []byte
		want  string
		lines int // objects in the output, including that of good.pcap
	}{
		{"empty", nil, "too short to be a capture", 1},
		{"text", []byte("this is no capture at all, but a text"), "neither pcap nor pcapng", 1},
		{"header", whole[:10], "neither pcap nor pcapng", 1},
		{"cut off in a packet", whole[:len(whole)-5], "the file ends in the middle of a packet", 2},
		{"cut off in a packet's head", whole[:24+7], "the file ends in the middle of a packet", 1},
		{"length", long, "damaged behind packet 0", 1},
		{"link type", header, "link type 147 is not supported", 1},
		{"pcapng", ng[:len(ng)-3], "the file ends in the middle of a packet", 2},
		{"pcapng header", ng[:9], "not a valid pcapng file", 1},
	} {
		if err := os.WriteFile("bad", c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		code, out, errs := replayed(t, "--json", "bad", "good.pcap")
		if code != 1 {
			t.Errorf("%s: exit code %d, want 1", c.name, code)
		}
		if !strings.HasPrefix(errs, "p2pwall-replay: bad: ") || !strings.Contains(errs, c.want) {
			t.Errorf("%s: said %q, want %q", c.name, errs, c.want)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != c.lines {
			t.Errorf("%s: %d lines, want %d", c.name, len(lines), c.lines)
		}
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"file":"good.pcap"`) {
			t.Errorf("%s: the good capture was not replayed", c.name)
		}
	}
	if code, _, errs := replayed(t, "nowhere.pcap"); code != 1 || !strings.Contains(errs, "no such file") {
		t.Errorf("missing file: exit code %d, %q", code, errs)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-x"}, {"-lan", "nonsense", "a.pcap"}} {
		if code, _, errs := replayed(t, args...); code != 2 || errs == "" {
			t.Errorf("%v: exit code %d, %q", args, code, errs)
		}
	}
	if code, _, errs := replayed(t, "-h"); code != 0 || !strings.Contains(errs, "usage") {
		t.Errorf("-h: exit code %d, %q", code, errs)
	}
}

// captures is the folder with captures of real clients.
const captures = "../../bench/corpus/captures"

// TestRealClients replays captures of real FastTrack clients.
func TestRealClients(t *testing.T) {
	for _, f := range []string{
		"gift-a-noreply", "gift-c-session", "gift-d-download", "gift-d-push", "gift-e-probe", "mldonkey-a-noreply", "mldonkey-d-download",
	} {
		r := one(t, filepath.Join(captures, f+".pcap.gz"))
		if len(r.Clients) != 1 || r.Clients[0].Address != "192.168.1.50" || r.Clients[0].Protocol != "fasttrack" {
			t.Errorf("%s: clients %+v, want FastTrack at 192.168.1.50 alone", f, r.Clients)
			continue
		}
		c := r.Clients[0]
		if want := 10; len(c.Peers) < want {
			t.Errorf("%s: %d peers, want %d or more", f, len(c.Peers), want)
		}
		for _, p := range c.Peers {
			if !strings.HasPrefix(p, "198.51.100.") && !strings.HasPrefix(p, "203.0.113.") {
				t.Errorf("%s: peer %s is not outside", f, p)
			}
		}
		if r.Dropped == 0 || r.Accepted+r.Dropped > r.Packets || c.Locks == 0 || c.Dropped != r.Dropped {
			t.Errorf("%s: %d accepted, %d dropped (%d of the client) of %d, %d locks", f, r.Accepted, r.Dropped, c.Dropped, r.Packets, c.Locks)
		}
	}
}

// TestOtherNetworks replays what MLDonkey and giFT say on other networks. Where one message
// to one server is all that is said, nothing is proved.
func TestOtherNetworks(t *testing.T) {
	for file, want := range map[string]struct{ protocol, proof string }{
		"gift-opennap-fake":            {"opennap", "conduct"},
		"mldonkey-all-networks-silent": {"edonkey", "conduct"},
		"mldonkey-dc-hub-fake":         {"directconnect", ""},
		"mldonkey-ed2k-server-fake":    {"edonkey", "conduct"},
		"mldonkey-g2-fake":             {"gnutella", "conduct"},
		"mldonkey-gnutella-fake":       {"gnutella", "conduct"},
		"mldonkey-kad-silent":          {"edonkey", "conduct"},
		"mldonkey-overnet-silent":      {"edonkey", "conduct"},
		"mldonkey-soulseek-fake":       {"soulseek", ""},
	} {
		r := one(t, filepath.Join(captures, file+".pcap.gz"))
		if len(r.Clients) != 1 || r.Clients[0].Address != "192.168.1.50" || r.Clients[0].Protocol != want.protocol || r.Clients[0].Proof != want.proof {
			t.Errorf("%s: clients %+v, want %+v", file, r.Clients, want)
		}
	}
}
