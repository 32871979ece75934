// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

func serialize(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// datagram is a UDP packet from 192.168.1.50:1214 to 198.51.100.7:1214.
func datagram(payload string) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 168, 1, 50}, DstIP: []byte{198, 51, 100, 7}}
	udp := &layers.UDP{SrcPort: 1214, DstPort: 1214}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	return serialize(ip, udp, gopacket.Payload(payload))
}

// write makes a corpus of one capture with one flow.
func write(t *testing.T, class, payload, label string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"manifest.tsv": "file\tpackets\tflows\tclass\na.pcap\t1\t1\t" + class + "\n",
		"flows.tsv":    "file\tl4\ta\tb\tlabel\na.pcap\tUDP\t198.51.100.7:1214\t192.168.1.50:1214\t" + label + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(dir, "a.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	record(t, w, datagram(payload))
	return dir
}

func record(t *testing.T, w *pcapgo.Writer, b []byte) {
	t.Helper()
	info := gopacket.CaptureInfo{Timestamp: time.Unix(1e9, 0), CaptureLength: len(b), Length: len(b)}
	if err := w.WritePacket(info, b); err != nil {
		t.Fatal(err)
	}
}

// segment is a TCP packet from port 40000 of one host to port 8388 of another.
// Without a payload it is a SYN.
func segment(six bool, seq uint32, payload string) []byte {
	syn := payload == ""
	tcp := &layers.TCP{SrcPort: 40000, DstPort: 8388, Seq: seq, SYN: syn, ACK: !syn, PSH: !syn}
	var ip interface {
		gopacket.SerializableLayer
		gopacket.NetworkLayer
	} = &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: []byte{127, 0, 0, 1}, DstIP: []byte{127, 0, 0, 1}}
	if six {
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	return serialize(ip, tcp, gopacket.Payload(payload))
}

// A flow that a lock cuts is listed with the shape that it was cut for.
func TestCutIfLocked(t *testing.T) {
	random := make([]byte, 300)
	rand.New(rand.NewSource(1)).Read(random)
	for i, c := range random {
		if c == '|' { // the separator of segments here
			random[i] = 'x'
		}
	}
	requests := strings.Join([]string{string(random[:50]), string(random[50:101]), string(random[101:150]), string(random[150:])}, "|")
	const first, middle = "its first data is as random", "its beginning was not seen"
	for _, tt := range []struct {
		name, data string
		begun, six bool
		want       string
	}{
		{"a proxy", string(random), true, false, first},
		{"a proxy by IPv6", string(random), true, true, first},
		{"a short message of a proxy", string(random[:60]), true, false, "as random as what eDonkey's clients"},
		{"the middle of a tunnel", requests, false, false, middle},
		{"the middle of a tunnel by IPv6", requests, false, true, middle},
		{"text", strings.Repeat("hello ", 50), true, false, ""},
		{"the middle of text", strings.Repeat("hello ", 50), false, false, ""},
	} {
		dir := write(t, "neg", "x", "Game")
		f, err := os.OpenFile(filepath.Join(dir, "a.pcap"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		w := pcapgo.NewWriter(f)
		if tt.begun {
			record(t, w, segment(tt.six, 1000, ""))
		}
		seq := uint32(1001)
		for part := range strings.SplitSeq(tt.data, "|") {
			record(t, w, segment(tt.six, seq, part))
			seq += uint32(len(part))
		}
		f.Close()
		var out, errs bytes.Buffer
		if code := run(dir, false, &out, &errs); code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", tt.name, code, out.String(), errs.String())
		}
		n := strings.Count(out.String(), "cut if locked: a.pcap: TCP")
		if tt.want == "" && n != 0 || tt.want != "" && (n != 1 || !strings.Contains(out.String(), tt.want)) {
			t.Errorf("%s: %d flows are cut, want %q\n%s", tt.name, n, tt.want, out.String())
		}
	}
	// A cut for any other reason is an error.
	for _, f := range []fate{{begun: true}, {}} {
		for _, proto := range []uint8{nfq.ProtoTCP, nfq.ProtoUDP} {
			if s := f.shapeOf(&nfq.Packet{Proto: proto, Payload: []byte(strings.Repeat("hello ", 50))}); s != "" {
				t.Errorf("text, begun %v, protocol %d: %q", f.begun, proto, s)
			}
		}
		f.looks = detect.Yes
		if s := f.shapeOf(&nfq.Packet{Proto: nfq.ProtoUDP, Payload: random}); s != "" {
			t.Errorf("a random datagram: %q", s)
		}
	}
}

// A host is locked for the other networks too: what is only like theirs is cut.
func TestLockedForAll(t *testing.T) {
	for _, tt := range []struct {
		name string
		data string
		cut  bool
	}{
		{"Soulseek", "\x05\x00\x00\x00\x00\x3c\x99\x53\x00", true},
		{"eDonkey", "\x91\x27\xf0\x0c\x5e\xd8\x33\xb6\x7a\xe1\x48\x9d\x02\xcf\x65\x1b\xa4\x70\x3e\xfb\x8c\x56\xd9\x11\x6f\xc2\x97\x28\xe5\x4a", true},
		{"text", "hello hello", false},
	} {
		l, x := newLock(), &flow{}
		for _, b := range [][]byte{segment(false, 1000, ""), segment(false, 1001, tt.data)} {
			var p nfq.Packet
			nfq.ParsePacket(b, &p)
			l.look(x, &p, 0, time.Unix(1e9, 0))
		}
		if x.locked.cut != tt.cut {
			t.Errorf("%s: cut %v, want %v", tt.name, x.locked.cut, tt.cut)
		}
	}
	// Each message proves its protocol.
	for i, c := range conduct {
		name := []string{"bittorrent", "edonkey", "soulseek", "directconnect", "gnutella"}[i]
		var f detect.Finding
		p, kind := detect.All[detect.ByName(name)], detect.Session
		if c.tcp {
			if p.First([]byte(c.message), true, &f) != detect.Yes {
				kind = detect.None
			}
		} else {
			kind = p.Datagram([]byte(c.message), &f)
		}
		if kind < detect.Query || !f.Conduct {
			t.Errorf("%s: kind %d, conduct %v", name, kind, f.Conduct)
		}
	}
}

func TestFalsePositivesFail(t *testing.T) {
	const (
		kazaa = "\x27\x00\x00\x00\xa9\x80KaZaA\x00"
		dht   = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
		game  = "twelve bytes"
		stun  = "\x00\x01\x00\x00\x21\x12\xa4\x42NsZVN0kQYisz"
	)
	for _, tt := range []struct {
		class, payload string
		code, wrong    int // wrong: false positives, of classifiers and of the engine
	}{
		{"neg", game, 0, 0},
		{"hardneg", kazaa, 1, 2},
		{"p2p", kazaa, 0, 0},
		{"neg", dht, 1, 1},
		{"neg", stun, 0, 0},
	} {
		var out, errs bytes.Buffer
		code := run(write(t, tt.class, tt.payload, "Game"), false, &out, &errs)
		n := strings.Count(out.String(), "FALSE POSITIVE: a.pcap")
		if tt.payload == dht && n == 2 {
			n = 1 // the engine finds it too
		}
		if code != tt.code || n != tt.wrong {
			t.Errorf("%s %q: exit code %d, %d false positives, want %d and %d\n%s", tt.class, tt.payload, code, n, tt.code, tt.wrong, out.String())
		}
		if !strings.Contains(out.String(), "Game") {
			t.Errorf("%s %q: the flow's label is not in the table", tt.class, tt.payload)
		}
	}
	var out, errs bytes.Buffer
	if code := run(t.TempDir(), false, &out, &errs); code != 2 || errs.Len() == 0 {
		t.Errorf("no corpus: exit code %d, %q", code, errs.String())
	}
}

// The labels and the captures are compared flow by flow.
func TestReconcile(t *testing.T) {
	const flow = "a.pcap\tUDP\t198.51.100.7:1214\t192.168.1.50:1214\tGame\n"
	for _, tt := range []struct {
		name, class, payload, labels string
		want                         [5]int // labelled, counted, without payload, not found, more
		note                         string
	}{
		{"both", "neg", "x", flow, [5]int{1, 1, 0, 0, 0}, ""},
		{"without payload", "neg", "", flow, [5]int{1, 0, 1, 0, 0}, ""},
		{
			"the label of what is inside a tunnel", "hardneg", "x", "a.pcap\tTCP\t10.0.0.1:4000\t10.0.0.2:443\tTLS\n",
			[5]int{1, 0, 0, 1, 1},
			"note: a.pcap TCP 10.0.0.1:4000 10.0.0.2:443: has a label, was not found\n" +
				"note: a.pcap UDP 192.168.1.50:1214 198.51.100.7:1214: was counted, has no label\n",
		},
		{"no port", "neg", "x", flow + "a.pcap\tICMP\t10.0.0.1:0\t10.0.0.2:0\tICMP\n", [5]int{1, 1, 0, 0, 0}, ""},
		{"no negative", "p2p", "x", flow, [5]int{}, ""},
		{"no negative, no label", "p2p", "x", "", [5]int{}, ""},
		{"neither payload nor label", "neg", "", "", [5]int{}, ""},
	} {
		dir := write(t, tt.class, tt.payload, "Game")
		if err := os.WriteFile(filepath.Join(dir, "flows.tsv"), []byte("file\tl4\ta\tb\tlabel\n"+tt.labels), 0o644); err != nil {
			t.Fatal(err)
		}
		w := tt.want
		want := fmt.Sprintf("%d negative flows of TCP and UDP have labels: %d are counted, %d have no payload, %d were not found; %d more are counted",
			w[0], w[1], w[2], w[3], w[4])
		var out, errs bytes.Buffer
		if code := run(dir, true, &out, &errs); code != 0 || !strings.Contains(out.String(), "\n"+want+"\n") || !strings.Contains(out.String(), tt.note) {
			t.Errorf("%s: exit code %d\n%s\nwant %s\n%s", tt.name, code, out.String(), want, tt.note)
		}
	}
}

func TestFlowName(t *testing.T) {
	for _, tt := range [][2]string{ // as in flows.tsv, and as in a capture
		{"[2600:1901::7a0b::]:443", "[2600:1901:0:7a0b::]:443"},
		{"[2001:db8:0:0:0:0:0:1]:443", "[2001:db8::1]:443"},
		{"[2001:db8::1]:443", "[2001:db8::1]:443"},
		{"192.0.2.1:443", "192.0.2.1:443"},
		{"ICMP of somebody", "ICMP of somebody"},
	} {
		const other = "198.51.100.7:1214"
		if got, want := flowName("f", "TCP", tt[0], other), flowName("f", "TCP", other, tt[1]); got != want || !strings.Contains(got, tt[1]) {
			t.Errorf("%s: %q, want %q", tt[0], got, want)
		}
	}
}

// TestOwn: a clone has captures enough for "make corpus".
func TestOwn(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run("captures", false, &out, &errs); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	if !strings.Contains(out.String(), "17 captures, 72 negative flows with payload, 0 false positives") {
		t.Error(out.String())
	}
}
