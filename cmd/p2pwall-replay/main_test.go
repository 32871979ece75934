// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"

	"github.com/p2pwall/p2pwall/bench/replay"
)

var update = flag.Bool("update", false, "write the golden files anew")

// replayed runs the tool and returns what it wrote.
func replayed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

// one replays a capture and returns its result.
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

// The whole output for a client that is found, locked, probed and released, in
// both forms.
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
			golden := filepath.Join(dir, "testdata", c.name+form.ext)
			if *update {
				if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out); diff != "" {
				t.Errorf("%s %s:\n%s", c.name, form.flag, diff)
			}
		}
	}
}

// The same packets in every link layer lead to the same result; only the
// hardware address is not always there.
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
	} {
		file := strings.ReplaceAll(l.name, " ", "-") + ".pcap"
		packets := slices.Clone(kazaa())
		for i := range packets {
			if packets[i].arp == nil {
				packets[i].frame = l.wrap(packets[i])
			} else if l.link != layers.LinkTypeEthernet {
				packets[i].frame = []byte{} // none of these carries ARP
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
			// Without ARP the router's address is not known, and so the
			// answer to the probe is none: the lock runs out.
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

func TestWhoIsTheLAN(t *testing.T) {
	t.Chdir(t.TempDir())
	ping := func(src, dst string) packet { return udp(macClient, macRouter, src, 1214, dst, 1214, kazaaPing) }
	for _, c := range []struct {
		name    string
		packets []packet
		args    []string
		want    []string // clients
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

// The clock of a capture may jump; the engine's never goes back.
func TestTimeStamps(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		name  string
		at    [3]time.Duration // of a ping, and of two SYNs elsewhere
		start time.Time
		want  int // dropped
	}{
		{"locked", [3]time.Duration{0, time.Second, 100 * time.Second}, start, 3},
		{"lock ran out", [3]time.Duration{0, time.Second, 121 * time.Second}, start, 2},
		{"going back", [3]time.Duration{100 * time.Second, 0, 101 * time.Second}, start, 3},
		{"from zero on", [3]time.Duration{0, time.Second, 121 * time.Second}, time.Unix(0, 0), 2},
	} {
		p := []packet{
			udp(macClient, macRouter, "192.168.1.50", 1214, "198.51.100.7", 1214, kazaaPing),
			tcp(macClient, macRouter, "192.168.1.50", 40001, "203.0.113.1", 80, "S", nil),
			tcp(macClient, macRouter, "192.168.1.50", 40002, "203.0.113.1", 80, "S", nil),
		}
		for i := range p {
			p[i].at = c.start.Add(c.at[i])
		}
		writePcap(t, "time.pcap", layers.LinkTypeEthernet, p)
		r := one(t, "time.pcap")
		if r.Dropped != c.want || r.Accepted != 3-c.want {
			t.Errorf("%s: %d dropped, want %d", c.name, r.Dropped, c.want)
		}
		if want := p[0].at.UTC().Format("2006-01-02T15:04:05.000000000Z07:00"); r.Clients[0].FirstSeen != want {
			t.Errorf("%s: first seen %s, want %s", c.name, r.Clients[0].FirstSeen, want)
		}
	}
}

// What the kernel does not queue, the engine does not see.
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
		want    int // clients
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
		{"no lock", "config p2pwall 'main'\n\toption timelock '0'\n", 1, 5},
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

// A damaged capture is said to be one, and the others are replayed all the same.
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
		lines int // objects in the output, that of good.pcap among them
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

// Captures of real clients, where the machine has them.
func TestRealClients(t *testing.T) {
	dir := "../../../shared/captures/fasttrack"
	files, err := filepath.Glob(filepath.Join(dir, "*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no captures in " + dir)
	}
	for _, f := range files {
		r := one(t, f)
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
