// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/state"
)

func TestParseLeases(t *testing.T) {
	const text = `1795000000 02:00:00:00:00:0a 192.168.1.50 Kids-PC 01:02:00:00:00:00:0a
1795000000 02:00:00:00:00:0b 192.168.1.51 * *
1795000000 06-02:00:00:00:00:0c 192.168.1.52 odd *
duid 00:01:00:01:2c
1795000000 123456 fd00::50 kids-pc.lan 00:01
short line
1795000000 02:00:00:00:00:0d nowhere name *
0 02:00:00:00:00:0e 192.168.1.53 bad/name *
`
	got := ""
	for _, l := range ParseLeases(text) {
		got += fmt.Sprintln(l.Name, l.MAC, l.Addr)
	}
	const want = "kids-pc 02:00:00:00:00:0a 192.168.1.50\nodd  192.168.1.52\nkids-pc.lan  fd00::50\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func FuzzParseLeases(f *testing.F) {
	f.Add("1795000000 02:00:00:00:00:0a 192.168.1.50 Kids-PC *\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range ParseLeases(text) {
			if l.Name == "" || !l.Addr.IsValid() {
				t.Errorf("%+v", l)
			}
		}
	})
}

// policies renders the list as text.
func policies(list []state.Policy) string {
	var out []string
	for i := range list {
		p := &list[i]
		s := fmt.Sprintf("%s %d %b", p.Name, p.Mode, p.Protocols)
		if p.All {
			s += " all"
		}
		for _, m := range p.MACs {
			s += " " + m.String()
		}
		for _, n := range p.Nets {
			s += " " + n.String()
		}
		for _, a := range p.Addrs {
			s += " @" + a.String()
		}
		for _, d := range p.Devices {
			s += fmt.Sprint(" #", d)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// TestEnginePolicies: hours, names and networks become fields of the engine's policies.
func TestEnginePolicies(t *testing.T) {
	c, err := Parse(strings.NewReader(`
config policy 'night'
	option mode 'off'
	option start_time '22:00'
	option stop_time '06:00'
	list protocol 'fasttrack'
config policy 'pc'
	option mode 'monitor'
	list host 'kids-pc'
	list mac '02:00:00:00:00:0f'
	list protocol 'fasttrack'
config policy 'guests'
	option mode 'block'
	list network 'guest'
	list device 'wg0'
	list device 'gone0'
	list ip '10.0.0.0/8'
	list protocol 'fasttrack'
`), "f")
	if err != nil {
		t.Fatal(err)
	}
	index := map[string]uint32{"br-guest": 7, "wg0": 9}
	s := Surroundings{
		Now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), ClockSet: true,
		Networks: []NetworkDevice{{"lan", "br-lan"}, {"guest", "br-guest"}},
		Index:    func(d string) uint32 { return index[d] },
	}
	night := fmt.Sprintf("night %d 1 all; ", state.Off)
	pc := fmt.Sprintf("pc %d 1 02:00:00:00:00:0f", state.Monitor)
	guests := fmt.Sprintf("; guests %d 1 10.0.0.0/8 #9 #7", state.Block)
	for _, x := range []struct {
		name   string
		change func()
		want   string
	}{
		{"noon", func() {}, pc + guests},
		{"night", func() { s.Now = s.Now.Add(12 * time.Hour) }, night + pc + guests},
		{"a lease", func() { s.Leases = ParseLeases("1 02:00:00:00:00:0a 192.168.1.50 kids-pc.lan *\n") }, night + pc + " 02:00:00:00:00:0a @192.168.1.50" + guests},
		{"it moves", func() { s.Leases = ParseLeases("1 02:00:00:00:00:0b 192.168.1.50 KIDS-PC *\n") }, night + pc + " 02:00:00:00:00:0b @192.168.1.50" + guests},
		{"of IPv6", func() { s.Leases = ParseLeases("1 77 fd00::5 kids-pc *\n") }, night + pc + " fd00::5/128" + guests},
		{"another name", func() { s.Leases = ParseLeases("1 02:00:00:00:00:0b 192.168.1.50 kids-pc2 *\n") }, night + pc + guests},
		{"a clock that is not set", func() { s.Now, s.ClockSet = time.Unix(1000, 0).UTC(), ClockSet(time.Unix(1000, 0)) }, pc + guests},
		{"a network that is down", func() { s.Networks = s.Networks[:1] }, pc + strings.TrimSuffix(guests, " #7")},
	} {
		x.change()
		if got := policies(c.EnginePolicies(&s)); got != x.want {
			t.Errorf("%s:\ngot  %s\nwant %s", x.name, got, x.want)
		}
	}
}
