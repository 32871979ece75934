// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

func names(t testing.TB, patterns ...string) *Names {
	t.Helper()
	n, err := NewNames(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return &n
}

func TestNames(t *testing.T) {
	list := names(t, "router.bittorrent.com", "*.WinMX.com", "*.a_b.example.", "x")
	for name, want := range map[string]bool{
		"router.bittorrent.com":    true,
		"ROUTER.BitTorrent.Com":    true,
		"a.router.bittorrent.com":  false,
		"bittorrent.com":           false,
		"router.bittorrent.com.de": false,
		"cache.winmx.com":          true,
		"c3310.cache.WINMX.com":    true,
		"winmx.com":                false,
		".winmx.com":               false, // not a possible name
		"notwinmx.com":             false,
		"y.a_b.example":            true,
		"x":                        true,
		"":                         false,
	} {
		if got := list.Match([]byte(name)); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
	if list.Len() != 4 || new(Names).Match([]byte("x")) {
		t.Error("wrong length, or an empty list that matches")
	}
	b := []byte("c3310.cache.winmx.com")
	if n := testing.AllocsPerRun(20, func() { list.Match(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewNamesTellsWhatIsWrong(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                              "empty",
		".":                             "label is empty",
		"*":                             "whole first label",
		"*.":                            "whole first label",
		"a..b":                          "label is empty",
		".a":                            "label is empty",
		"*..a":                          "label is empty",
		"a.*.b":                         "whole first label",
		"*a.b":                          "whole first label",
		"a b":                           `" " is not possible`,
		"http://a/":                     `":" is not possible`,
		strings.Repeat("a", 64):         "63 characters",
		strings.Repeat("a.", 127) + "b": "255 characters",
	} {
		_, err := NewNames([]string{"good.example", pattern})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "*.example.org") {
			t.Errorf("%q: %v, want something about %q", pattern, err, want)
		}
	}
	if _, err := NewNames(make([]string, MaxNames+1)); err == nil || !strings.Contains(err.Error(), "129 names") {
		t.Errorf("too many: %v", err)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("*.example.org", "a.example.org")
	f.Add("example.org.", "EXAMPLE.org")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		n, err := NewNames([]string{pattern})
		if err != nil {
			return
		}
		want := strings.ToLower(strings.TrimSuffix(pattern, "."))
		low := string(lowered(name))
		expect := low == want
		if rest, ok := strings.CutPrefix(want, "*."); ok {
			expect = strings.HasSuffix(low, "."+rest) && low != "."+rest
		}
		if got := n.Match([]byte(name)); got != expect {
			t.Fatalf("%q and %q: got %v", pattern, name, got)
		}
		filter := NameFilter{}
		filter.Add(&n)
		if expect && !filter.May([]byte(name)) {
			t.Fatalf("the filter of %q lets %q out", pattern, name)
		}
	})
}

func lowered(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return b
}

// record is one record of an answer, for the queried name.
func record(kind uint16, ttl uint32, content string) string {
	b := []byte{0xc0, 0x0c}
	b = binary.BigEndian.AppendUint16(b, kind)
	b = append(b, 0, 1)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(content)))
	return string(b) + content
}

func wireName(name string) string {
	var out strings.Builder
	for _, l := range strings.Split(name, ".") {
		out.WriteString(string([]byte{byte(len(l))}) + l)
	}
	return out.String() + "\x00"
}

// dnsAnswer is a response to a query for records of the kind.
func dnsAnswer(name string, kind uint16, records ...string) string {
	head := "\x12\x34\x81\x80\x00\x01" + string([]byte{0, byte(len(records))}) + "\x00\x00\x00\x00"
	return head + wireName(name) + string([]byte{0, byte(kind), 0, 1}) + strings.Join(records, "")
}

func TestDNSReply(t *testing.T) {
	const (
		host = "Router.BitTorrent.com"
		four = "\xcb\x00\x71\x0a"
		six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"
	)
	a := record(dnsA, 300, four)
	whole := dnsAnswer(host, dnsA, a)
	alias := record(5, 10, wireName("elsewhere.example"))
	https := record(dnsHTTPS, 60, "\x00\x01\x00"+"\x00\x01\x00\x03\x02h3"+"\x00\x04\x00\x08"+four+"\xcb\x00\x71\x0b"+"\x00\x06\x00\x10"+six)
	for _, tt := range []struct {
		name, data string
		want       bool
		asked      string
		addrs      string
		ttl        uint32
	}{
		{"one address", whole, true, "router.bittorrent.com", "203.0.113.10", 300},
		{"captured", unhexString("0e398180000100010000000006726f757465720a626974746f7272656e7403636f6d0000010001c00c00010001000000d8000443d7f60a"), true, "router.bittorrent.com", "67.215.246.10", 216},
		{"two addresses", dnsAnswer(host, dnsA, a, record(dnsA, 20, "\xc6\x33\x64\x07")), true, "router.bittorrent.com", "203.0.113.10 198.51.100.7", 20},
		{"IPv6", dnsAnswer(host, dnsAAAA, record(dnsAAAA, 60, six)), true, "router.bittorrent.com", "2001:db8::7", 60},
		{"alias", dnsAnswer(host, dnsA, alias, a), true, "router.bittorrent.com", "203.0.113.10", 300},
		{"alias alone", dnsAnswer(host, dnsA, alias), true, "router.bittorrent.com", "", 0},
		{"HTTPS", dnsAnswer(host, dnsHTTPS, https), true, "router.bittorrent.com", "203.0.113.10 203.0.113.11 2001:db8::7", 60},
		{"HTTPS without hints", dnsAnswer(host, dnsHTTPS, record(dnsHTTPS, 60, "\x00\x01\x00")), true, "router.bittorrent.com", "", 0},
		{"HTTPS that is damaged", dnsAnswer(host, dnsHTTPS, record(dnsHTTPS, 60, "\x00\x01\x09")), true, "router.bittorrent.com", "", 0},
		{"HTTPS with a hint that is too long", dnsAnswer(host, dnsHTTPS, record(dnsHTTPS, 60, "\x00\x01\x00\x00\x04\x00\x08"+four)), true, "router.bittorrent.com", "", 0},
		{"no address", dnsAnswer(host, dnsA), true, "router.bittorrent.com", "", 0},
		{"20 addresses", dnsAnswer(host, dnsA, strings.Split(strings.Repeat(a+"|", 19)+a, "|")...), true, "router.bittorrent.com", strings.Repeat("203.0.113.10 ", 15) + "203.0.113.10", 300},
		{"address of a strange length", dnsAnswer(host, dnsA, record(dnsA, 300, four+"x")), true, "router.bittorrent.com", "", 0},
		{"mapped address for IPv6", dnsAnswer(host, dnsAAAA, record(dnsAAAA, 60, strings.Repeat("\x00", 10)+"\xff\xff"+four)), true, "router.bittorrent.com", "", 0},
		{"name server asked for", dnsAnswer(host, 2, a), false, "", "", 0},
		{"no such name", strings.Replace(whole, "\x81\x80", "\x81\x83", 1), false, "", "", 0},
		{"query", dnsQuery, false, "", "", 0},
		{"cut off", whole[:len(whole)-1], false, "", "", 0},
		{"more records than there are", strings.Replace(whole, "\x00\x01\x00\x01\x00\x00", "\x00\x01\x00\x02\x00\x00", 1), false, "", "", 0},
		{"the root", dnsAnswer("", dnsA)[:12] + "\x00\x00\x01\x00\x01", false, "", "", 0},
		{"dot in a label", strings.Replace(whole, "Router", "Rou.er", 1), false, "", "", 0},
		{"nothing", "", false, "", "", 0},
	} {
		var r DNSReply
		b := []byte(tt.data)
		got := r.Parse(b)
		var addrs []string
		for _, x := range r.Addrs[:r.NAddrs] {
			addrs = append(addrs, netip.AddrFrom16(x).Unmap().String())
		}
		if got != tt.want || got && (string(r.Name[:r.N]) != tt.asked || strings.Join(addrs, " ") != tt.addrs || r.TTL != tt.ttl) {
			t.Errorf("%s: %v %q %v, %d s", tt.name, got, r.Name[:r.N], addrs, r.TTL)
		}
		if n := testing.AllocsPerRun(20, func() { r.Parse(b) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	// Parsing another message must clear the last answer.
	var r DNSReply
	r.Parse([]byte(whole))
	if r.Parse([]byte(dnsQuery)); r.N != 0 || r.NAddrs != 0 {
		t.Error("something of the last answer is left")
	}
}

func FuzzDNSReply(f *testing.F) {
	f.Add([]byte(dnsQuery))
	f.Add([]byte(dnsAnswer("a.example", dnsA, record(5, 1, wireName("b.example")), record(dnsA, 1, "\xcb\x00\x71\x0a"))))
	f.Add([]byte(dnsAnswer("a.example", dnsHTTPS, record(dnsHTTPS, 60, "\x00\x01\x00\x00\x04\x00\x04\xcb\x00\x71\x0a"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r DNSReply
		if !r.Parse(b) {
			return
		}
		if r.N == 0 || r.N > maxNameText {
			t.Fatalf("%x: name %q", b, r.Name[:r.N])
		}
		if want := strings.ToLower(string(r.Name[:r.N])); want != string(r.Name[:r.N]) {
			t.Fatalf("%q is not in lower case", r.Name[:r.N])
		}
	})
}

func BenchmarkDNSReply(b *testing.B) {
	list := names(b, BitTorrent.Names...)
	data := []byte(dnsAnswer("www.example.com", dnsA, record(dnsA, 300, "\xcb\x00\x71\x0a")))
	var r DNSReply
	b.ReportAllocs()
	for b.Loop() {
		if !r.Parse(data) || list.Match(r.Name[:r.N]) {
			b.Fatal("matched")
		}
	}
}
