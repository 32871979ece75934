// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

func TestHostNames(t *testing.T) {
	c, err := Parse(strings.NewReader("config host\noption name 'Anna'\nlist ip 10.8.0.2\nlist ip 2001:db8::2\n"+
		"config host 'nas'\noption mac 00:11:22:33:44:BB\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ addr, want string }{{"10.8.0.2", "Anna"}, {"2001:db8::2", "Anna"}, {"10.8.0.3", ""}} {
		if got := NameOf(c.Hosts, netip.MustParseAddr(x.addr), nfq.MAC{}); got != x.want {
			t.Errorf("%s is %q, want %q", x.addr, got, x.want)
		}
	}
	if got := NameOf(c.Hosts, netip.MustParseAddr("192.168.1.2"), nfq.MAC{0, 0x11, 0x22, 0x33, 0x44, 0xbb}); got != "nas" {
		t.Errorf("by its hardware address it is %q", got)
	}
	for _, x := range []struct{ in, want string }{
		{"config host\nlist ip 10.8.0.2\n", "f:1: a host section without a name, add: option name"},
		{"config host a\nlist ip x\n", `f:2: bad value "x" for ip, ` + policyRemedies["ip"]},
		{"config host a\nlist mac 10.8.0.2\n", `f:2: bad value "10.8.0.2" for mac, ` + policyRemedies["mac"]},
		{"config host a\noption name 'a\nb'\n", `f:2: bad value "a\nb" for name, use a name of one line, 64 bytes at most`},
		{"config host a\noption host b\n", `f:2: unknown option "host" for a host section, use one of name ip mac`},
		{strings.Repeat("config host\noption name a\n", maxHostNames+1), "f:513: more than 256 host sections, remove some"},
	} {
		_, err := Parse(strings.NewReader(x.in), "f")
		if err == nil || err.Error() != x.want {
			t.Errorf("%q: %v, want %s", x.in, err, x.want)
		}
	}
}

func TestParseNamesFile(t *testing.T) {
	got := ParseNames("10.8.0.2 Anna's phone\n\nnonsense\n10.8.0.3\n2001:db8::3 b\n10.8.0.4 " + strings.Repeat("x", 65) + "\n10.8.0.5 a\tb\n10.8.0.6 last")
	var said []string
	for _, n := range got {
		said = append(said, n.Members.Prefixes[0].String()+" "+n.Name)
	}
	if s := strings.Join(said, "; "); s != "10.8.0.2/32 Anna's phone; 2001:db8::3/128 b; 10.8.0.6/32 last" {
		t.Errorf("got %s", s)
	}
	if n := len(ParseNames(strings.Repeat("10.8.0.2 a\n", 1000))); n != maxHostNames {
		t.Errorf("%d names", n)
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add("10.8.0.2 Anna\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, n := range ParseNames(text) {
			if !validHostName(n.Name) || len(n.Members.Prefixes)+len(n.Members.MACs) != 1 {
				t.Errorf("%+v", n)
			}
		}
	})
}
