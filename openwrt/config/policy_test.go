// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
)

func TestPolicyErrors(t *testing.T) {
	policy := func(options ...string) string {
		return "config policy 'p'\noption mode off\n" + strings.Join(options, "\n") + "\n"
	}
	for _, c := range []struct{ name, in, want string }{
		{"no mode", "config policy\nlist ip 192.168.1.2\n", "f:1: a policy without a mode, add: option mode, with one of off monitor block mark"},
		{"mode", "config policy\noption mode slow\n", `f:2: bad value "slow" for mode, use one of off monitor block mark`},
		{"option", policy("option who me"), `f:3: unknown option "who" for a policy, use one of ` + policyOptions},
		{"mac", policy("list mac 192.168.1.2"), `f:3: bad value "192.168.1.2" for mac, use a MAC such as 00:11:22:33:44:55`},
		{"ip", policy("list ip 00:11:22:33:44:55"), `f:3: bad value "00:11:22:33:44:55" for ip, use an address, or a network such as 192.168.1.0/24`},
		{"host", policy("list host 'my pc'"), `f:3: bad value "my pc" for host, use the name that the computer has among the DHCP leases`},
		{"network", policy("list network 'a b'"), `f:3: bad value "a b" for network, use the name of a network in /etc/config/network`},
		{"protocol", policy("list protocol gopher"), `f:3: bad value "gopher" for protocol, use one of ` + protocolNames()},
		{"weekday", policy("option weekdays 'mon oday'"), `f:3: bad value "oday" for weekdays, use sun mon tue wed thu fri sat`},
		{"no day", policy("option weekdays '! sun mon tue wed thu fri sat'"), `f:3: weekdays leaves no day, remove the policy, or a day from the list`},
		{"start", policy("option start_time 9pm"), `f:3: bad value "9pm" for start_time, use a time of the day such as 21:30 or 21:30:00`},
		{"hour", policy("option stop_time 25:00"), `f:3: bad value "25:00" for stop_time, use a time of the day such as 21:30 or 21:30:00`},
		{"minute", policy("option stop_time 23:60"), `f:3: bad value "23:60" for stop_time, use a time of the day such as 21:30 or 21:30:00`},
		{"same", policy("option start_time 9:00", "option stop_time 09:00"), "f:1: start_time and stop_time are the same, remove both to have the whole day"},
		{"nobody", policy("list host ''"), "f:1: a policy whose lists of computers are all empty, name a computer, or remove the lists to have it for all"},
		{"twice", policy("option name a") + "config policy a\noption mode off\n", `f:4: a second policy with the name "a", give one of the two another name`},
		{"off, and wrong", policy("option enabled 0", "list mac x"), `f:4: bad value "x" for mac, use a MAC such as 00:11:22:33:44:55`},
		{"dscp", "config p2pwall\noption dscp 64\n", `f:2: bad value "64" for dscp, use le, cs0 to cs7, a number from 0 to 63, or off`},
		{"dscp name", "config p2pwall\noption dscp 'le=1'\n", `f:2: bad value "le=1" for dscp, use le, cs0 to cs7, a number from 0 to 63, or off`},
		{"ct_mark", "config p2pwall\noption ct_mark 0x100/0xff\n", `f:2: bad value "0x100/0xff" for ct_mark, use a mark and the mask of its bits, such as 0x00010000/0x00ff0000, or off`},
		{"ct_mark of ours", "config p2pwall\noption ct_mark 0x4000\n", `f:2: ct_mark has bits that the option mark has: 0x00004000, choose others for one of the two`},
		{"nothing to mark with", "config p2pwall\noption dscp off\nconfig policy\noption mode mark\n", `f:2: mode mark has nothing to mark with, set dscp or ct_mark`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(c.in), "f")
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %v", err, c.want)
			}
		})
	}
}

func TestPolicyOfEverybody(t *testing.T) {
	in := "config policy\noption mode off\nconfig policy two\noption mode block\nlist ip 10.0.0.0/8\noption weekdays '!Sat sun'\n"
	c, err := Parse(strings.NewReader(in), "f")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Policies) != 2 || !c.Policies[0].Everyone() || c.Policies[1].Everyone() || c.Policies[0].Name != "policy 1" || c.Policies[1].Name != "two" {
		t.Errorf("%+v", c.Policies)
	}
	if h := c.Policies[1].Hours; h.Days != 0b0111110 || !c.Policies[0].Hours.Always() || h.Always() {
		t.Errorf("%+v", h)
	}
}

func TestMarkOptions(t *testing.T) {
	for _, c := range []struct {
		in         string
		dscp       int
		mark, mask uint32
	}{
		{"", 1, 0, 0},
		{"option dscp LE\n", 1, 0, 0},
		{"option dscp 0x08\n", 8, 0, 0},
		{"option dscp cs0\noption ct_mark off\n", 0, 0, 0},
		{"option dscp off\noption ct_mark 0x10\n", NoDSCP, 0x10, 0x10},
		{"option ct_mark 0x0/0x10\n", 1, 0, 0x10},
	} {
		got, err := Parse(strings.NewReader("config p2pwall\n"+c.in), "f")
		if err != nil || got.MarkDSCP != c.dscp || got.ConnMark != c.mark || got.ConnMask != c.mask {
			t.Errorf("%q: %d %#x %#x %v", c.in, got.MarkDSCP, got.ConnMark, got.ConnMask, err)
		}
	}
}

// TestModesOfPolicies: Active, AnyIn, ReadsTCP and Sifts take the policies into account.
func TestModesOfPolicies(t *testing.T) {
	all := ""
	for _, p := range detect.All {
		all += "config protocol " + p.Name + "\noption mode off\n"
	}
	for _, c := range []struct {
		in                               string
		active, block, mark, reads, sift bool
	}{
		{all, false, false, false, false, false},
		{all + "config policy\noption mode block\nlist protocol bittorrent\n", true, true, false, true, true},
		{all + "config policy\noption mode mark\nlist protocol fasttrack\n", true, false, true, true, false},
		{all + "config policy\noption mode block\noption enabled 0\n", false, false, false, false, false},
		{"config policy\noption mode off\n", true, true, false, true, true},
	} {
		got, err := Parse(strings.NewReader(c.in), "f")
		if err != nil {
			t.Fatal(err)
		}
		if got.Active() != c.active || got.AnyIn(ModeBlock) != c.block || got.AnyIn(ModeMark) != c.mark ||
			got.ReadsTCP() != c.reads || got.Sifts() != c.sift {
			t.Errorf("%s: %v %v %v %v %v", c.in, got.Active(), got.AnyIn(ModeBlock), got.AnyIn(ModeMark), got.ReadsTCP(), got.Sifts())
		}
	}
}

func TestHours(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	at := func(s string) time.Time {
		x, err := time.ParseInLocation("2006-01-02 15:04:05", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	const fri, sat = 1 << time.Friday, 1 << time.Saturday
	for _, c := range []struct {
		name  string
		hours Hours
		at    time.Time
		want  bool
	}{
		{"always", Hours{}, at("2026-03-04 12:00:00"), true},
		{"before", Hours{Start: 3600, Stop: 7200}, at("2026-03-04 00:59:59"), false},
		{"begin", Hours{Start: 3600, Stop: 7200}, at("2026-03-04 01:00:00"), true},
		{"last second", Hours{Start: 3600, Stop: 7200}, at("2026-03-04 01:59:59"), true},
		{"end", Hours{Start: 3600, Stop: 7200}, at("2026-03-04 02:00:00"), false},
		{"until midnight", Hours{Start: 79200}, at("2026-03-04 23:59:59"), true},
		{"after that", Hours{Start: 79200}, at("2026-03-05 00:00:00"), false},
		{"from midnight", Hours{Stop: 3600}, at("2026-03-05 00:00:00"), true},
		{"that day", Hours{Days: fri}, at("2026-03-06 00:00:00"), true}, // a Friday
		{"the day before", Hours{Days: fri}, at("2026-03-05 23:59:59"), false},
		{"over midnight, evening", Hours{Days: fri, Start: 79200, Stop: 21600}, at("2026-03-06 22:00:00"), true},
		{"over midnight, morning", Hours{Days: fri, Start: 79200, Stop: 21600}, at("2026-03-07 05:59:59"), true},
		{"over midnight, over", Hours{Days: fri, Start: 79200, Stop: 21600}, at("2026-03-07 06:00:00"), false},
		{"over midnight, the morning of that day", Hours{Days: fri, Start: 79200, Stop: 21600}, at("2026-03-06 05:00:00"), false},
		{"over midnight, the evening after", Hours{Days: fri, Start: 79200, Stop: 21600}, at("2026-03-07 22:00:00"), false},
		{"from Saturday to Sunday", Hours{Days: sat, Start: 79200, Stop: 21600}, at("2026-03-08 01:00:00"), true},
		// On 2026-03-29 the clock goes from 2 to 3, and on 2026-10-25 from 3 to 2.
		{"spring, before", Hours{Start: 2*3600 + 1800, Stop: 4 * 3600}, at("2026-03-29 01:59:59"), false},
		{"spring, a start that is skipped", Hours{Start: 2*3600 + 1800, Stop: 4 * 3600}, at("2026-03-29 01:59:59").Add(time.Second), true},
		{"spring, hours that are skipped", Hours{Start: 2 * 3600, Stop: 3 * 3600}, at("2026-03-29 01:59:59").Add(time.Second), false},
		{"autumn, first time", Hours{Start: 2*3600 + 1800, Stop: 4 * 3600}, at("2026-10-25 01:59:59").Add(1801 * time.Second), true},
		{"autumn, the clock goes back", Hours{Start: 2*3600 + 1800, Stop: 4 * 3600}, at("2026-10-25 01:59:59").Add(3601 * time.Second), false},
		{"autumn, second time", Hours{Start: 2*3600 + 1800, Stop: 4 * 3600}, at("2026-10-25 01:59:59").Add(5401 * time.Second), true},
		{"another zone", Hours{Start: 3600, Stop: 7200}, at("2026-03-04 01:30:00").UTC(), false},
	} {
		if got := c.hours.Hold(c.at); got != c.want {
			t.Errorf("%s: at %v %v", c.name, c.at, got)
		}
	}
}

func TestZone(t *testing.T) {
	for _, c := range []struct {
		tz, at, want string // in UTC, and in the zone tz
	}{
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-01-10 12:00", "2026-01-10 13:00 CET"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29 00:59", "2026-03-29 01:59 CET"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29 01:00", "2026-03-29 03:00 CEST"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25 01:00", "2026-10-25 02:00 CET"},
		{"EST5EDT,M3.2.0,M11.1.0", "2026-07-01 00:00", "2026-06-30 20:00 EDT"},
		{"<+0545>-5:45", "2026-07-01 00:00", "2026-07-01 05:45 +0545"},
		{"UTC", "2026-07-01 00:00", "2026-07-01 00:00 UTC"},
		{"UTC0", "2026-07-01 00:00", "2026-07-01 00:00 UTC"},
		{"Europe/Berlin", "2026-07-01 00:00", ""},
		{"", "2026-07-01 00:00", ""},
		{"CET-1\nx", "2026-07-01 00:00", ""},
	} {
		l, err := Zone(c.tz)
		if err != nil {
			if c.want != "" {
				t.Error(err)
			}
			continue
		}
		at, _ := time.Parse("2006-01-02 15:04", c.at)
		if got := at.In(l).Format("2006-01-02 15:04 MST"); got != c.want {
			t.Errorf("%s: %q", c.tz, got)
		}
	}
}

func FuzzZone(f *testing.F) {
	f.Add("CET-1CEST,M3.5.0,M10.5.0/3")
	f.Add("<+0545>-5:45")
	f.Fuzz(func(t *testing.T, tz string) {
		if l, err := Zone(tz); err == nil {
			_ = (&Hours{Days: 1, Start: 1}).Hold(time.Unix(1<<31, 0).In(l))
		}
	})
}
