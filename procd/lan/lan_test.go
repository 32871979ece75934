// SPDX-License-Identifier: GPL-2.0-or-later

package lan

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// ip runs the program ip in the thread's network namespace.
func ip(t *testing.T, args string) string {
	t.Helper()
	return netns.Run(t, "", "ip", strings.Fields(args)...)
}

// TestLANDevices reads addresses and routes of devices in its own network namespace,
// which ends with the thread.
func TestLANDevices(t *testing.T) {
	netns.Enter(t)
	for _, args := range []string{
		"link add lan type veth peer name lanpeer", "link add wan type veth peer name wanpeer",
		"link set lanpeer up", "link set wanpeer up", "link set lan up", "link set wan up",
		"addr add 192.0.2.1/24 dev lan", "addr add 10.1.0.1/16 dev lan",
		"addr add 169.254.7.7/16 dev lan scope link", "addr add 192.0.3.1 peer 192.0.3.9 dev lan",
		"addr add 2001:db8:1::1/64 dev lan nodad", "addr add 198.51.100.1/24 dev wan",

		// Networks behind gateways in the LAN.
		"route add 10.2.0.0/16 via 192.0.2.9", "-6 route add fd00:2::/48 via 2001:db8:1::9",
		"-6 route add fd00:3::/48 via fe80::9 dev lan", "route add 10.3.0.7/32 via 192.0.2.9",
		"route add 10.4.0.0/16 via inet6 fe80::9 dev lan",
		"route add 10.5.0.0/16 nexthop via 198.51.100.9 nexthop via 192.0.2.9",
		"-6 route add fd00:5::/48 nexthop via 2001:db8:1::8 nexthop via 2001:db8:1::9",
		// Networks on the link in which the router has no address.
		"route add 10.6.0.0/16 dev lan", "-6 route add fd00:6::/64 dev lan",
		// Routes that are left out.
		"route add default via 192.0.2.9", "-6 route add default via 2001:db8:1::9",
		"route add 10.7.0.0/16 via 198.51.100.9", "route add unreachable 10.8.0.0/16",
		"-6 route add blackhole fd00:8::/48", "route add 10.9.0.0/16 via 192.0.2.9 table 100",
		"route add 10.10.0.0/16 via 192.0.2.9 table 1000", "route add 224.0.0.0/4 dev lan",
	} {
		ip(t, args)
	}
	// The kernel adds the device's link-local address by itself, a moment later.
	var linkLocal string
	for range 1000 {
		for _, f := range strings.Fields(ip(t, "-6 -o addr show dev lan scope link")) {
			if strings.HasSuffix(f, "/64") {
				linkLocal = strings.TrimSuffix(f, "/64")
			}
		}
		if linkLocal != "" {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}

	devices, err := Devices([]string{"gone", "lan", "a name that is far too long"})
	if err != nil || len(devices) != 1 || devices[0].Name != "lan" {
		t.Fatalf("got %+v, %v", devices, err)
	}
	d := devices[0]
	var addrs []string
	for _, a := range d.Addrs {
		addrs = append(addrs, a.String())
	}
	texts := func(ps []netip.Prefix) (s []string) {
		for _, p := range ps {
			s = append(s, p.String())
		}
		return s
	}
	for _, x := range []struct {
		what      string
		got, want []string
	}{
		{"addresses", addrs, []string{"192.0.2.1", "10.1.0.1", "169.254.7.7", "192.0.3.1", "2001:db8:1::1", linkLocal}},
		{
			"networks on the link", texts(d.Prefixes),
			[]string{"192.0.2.0/24", "10.1.0.0/16", "192.0.3.9/32", "2001:db8:1::/64", "10.6.0.0/16", "fd00:6::/64"},
		},
		{
			"networks behind gateways", texts(d.Routed),
			[]string{"10.2.0.0/16", "fd00:2::/48", "fd00:3::/48", "10.3.0.7/32", "10.4.0.0/16", "10.5.0.0/16", "fd00:5::/48"},
		},
	} {
		slices.Sort(x.got)
		slices.Sort(x.want)
		if !slices.Equal(x.got, x.want) {
			t.Errorf("%s:\n got %v\nwant %v", x.what, x.got, x.want)
		}
	}

	again, err := Devices([]string{"lan"})
	if err != nil || !Same(devices, again) {
		t.Errorf("got %v", err)
	}
	ip(t, "route del 10.2.0.0/16")
	changed, err := Devices([]string{"lan"})
	if err != nil || Same(again, changed) {
		t.Errorf("a route less is no change: %v", err)
	}
}

func TestSameDevices(t *testing.T) {
	device := func(change func(*state.Device)) []state.Device {
		d := state.Device{
			Index: 1, Name: "lan", Addrs: []nfq.Addr{{15: 1}},
			Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			Routed:   []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		}
		if change != nil {
			change(&d)
		}
		return []state.Device{d}
	}
	if !Same(device(nil), device(nil)) {
		t.Error("the same are different")
	}
	for i, change := range []func(*state.Device){
		func(d *state.Device) { d.Index = 2 },
		func(d *state.Device) { d.Name = "lan2" },
		func(d *state.Device) { d.Addrs = nil },
		func(d *state.Device) { d.Prefixes = nil },
		func(d *state.Device) { d.Routed = nil },
	} {
		if Same(device(nil), device(change)) {
			t.Errorf("change %d is none", i)
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func n16(n uint16) string { return hex.EncodeToString(binary.NativeEndian.AppendUint16(nil, n)) }
func n32(n uint32) string { return hex.EncodeToString(binary.NativeEndian.AppendUint32(nil, n)) }

// routeHead returns a struct rtmsg for IPv4 with a /24 destination.
func routeHead(table, kind string, flags uint32) string {
	return "02 18 00 00" + table + "02 00" + kind + n32(flags)
}

var (
	toNet   = n16(8) + n16(unix.RTA_DST) + "0a020000"
	byLAN   = n16(8) + n16(unix.RTA_OIF) + n32(7)
	gateway = n16(8) + n16(unix.RTA_GATEWAY) + "c0000209"
)

func TestParseRoute(t *testing.T) {
	const dst = "10.2.0.0/24"
	for _, tt := range []struct {
		name, raw, net string
		hops           []routeHop
	}{
		{"nothing", "", "invalid Prefix", nil},
		{"half a header", "02 18 00 00", "invalid Prefix", nil},
		{"on the link", routeHead("fe", "01", 0) + toNet + byLAN, dst, []routeHop{{7, false}}},
		{"by a gateway", routeHead("fe", "01", 0) + toNet + byLAN + gateway, dst, []routeHop{{7, true}}},
		{
			"IPv4 by a gateway of IPv6", routeHead("fe", "01", 0) + toNet + byLAN + n16(22) + n16(unix.RTA_VIA) + n16(10) + "fe80 0000 0000 0000 0000 0000 0000 0009 0000",
			dst,
			[]routeHop{{7, true}},
		},
		{"default", "02 00 00 00 fe 02 00 01" + n32(0) + byLAN + gateway, "invalid Prefix", []routeHop{{7, true}}},
		{"another table", routeHead("64", "01", 0) + toNet + byLAN, dst, nil},
		{"a table above 255", routeHead("fe", "01", 0) + n16(8) + n16(unix.RTA_TABLE) + n32(1000) + toNet + byLAN, dst, nil},
		{"unreachable", routeHead("fe", "07", 0) + toNet + byLAN, dst, nil},
		{"a copy for one address", routeHead("fe", "01", unix.RTM_F_CLONED) + toNet + byLAN, dst, nil},
		{
			"two ways", routeHead("fe", "01", 0) + toNet + n16(28) + n16(unix.RTA_MULTIPATH) +
				n16(16) + "00 00" + n32(7) + gateway + n16(8) + "00 00" + n32(8),
			dst,
			[]routeHop{{7, true}, {8, false}},
		},
		{
			"two ways, the second cut off", routeHead("fe", "01", 0) + toNet + n16(28) + n16(unix.RTA_MULTIPATH) +
				n16(16) + "00 00" + n32(7) + gateway + n16(16) + "00 00" + n32(8),
			dst,
			[]routeHop{{7, true}},
		},
		{"an attribute longer than the message", routeHead("fe", "01", 0) + toNet + n16(99) + n16(unix.RTA_OIF) + n32(7), dst, nil},
		{"an index of another length", routeHead("fe", "01", 0) + toNet + n16(6) + n16(unix.RTA_OIF) + "0700 0000", dst, nil},
	} {
		net, hops := parseRoute(unhex(tt.raw))
		if got := fmt.Sprint(net); got != tt.net && tt.hops != nil || !slices.Equal(hops, tt.hops) {
			t.Errorf("%s: got %v by %v, want %v by %v", tt.name, got, hops, tt.net, tt.hops)
		}
	}
}

// TestDefaultRoute: the default route is left out, with or without a destination
// attribute.
func TestDefaultRoute(t *testing.T) {
	for _, raw := range []string{
		"02 00 00 00 fe 02 00 01" + n32(0) + byLAN + gateway,
		"02 00 00 00 fe 02 00 01" + n32(0) + n16(8) + n16(unix.RTA_DST) + "00000000" + byLAN + gateway,
	} {
		devices := []state.Device{{Index: 7}}
		addRoute(devices, unhex(raw))
		if len(devices[0].Routed) != 0 {
			t.Errorf("%s: got %v", raw, devices[0].Routed)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	f.Add(unhex(routeHead("fe", "01", 0) + toNet + byLAN + gateway))
	f.Add(unhex(routeHead("fe", "01", 0) + toNet + n16(28) + n16(unix.RTA_MULTIPATH) + n16(16) + "00 00" + n32(7) + gateway + n16(8) + "00 00" + n32(8)))
	f.Add(unhex("02 18 80 00" + n32(7) + n16(8) + n16(unix.IFA_LOCAL) + "c0000201"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		devices := []state.Device{{Index: 7}}
		addRoute(devices, b)
		addAddress(devices, b)
	})
}
