// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

func TestCutFlowsOfPairs(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "198.51.100.7/32", "198.51.100.8/32", "2001:db8:1::50/128", "2001:db8:ff::7/128")
	flow(t, "udp", "192.168.1.50:0", "198.51.100.7:9")
	flow(t, "udp", "198.51.100.7:0", "192.168.1.50:9") // opened by the outside
	flow(t, "udp", "192.168.1.50:0", "198.51.100.8:9")
	flow(t, "udp", "[2001:db8:1::50]:0", "[2001:db8:ff::7]:9")

	of := func(lan, wan string) Pair {
		return Pair{AddrFrom(netip.MustParseAddr(lan)), AddrFrom(netip.MustParseAddr(wan))}
	}
	pairs := map[Pair]struct{}{
		of("192.168.1.50", "198.51.100.7"):     {},
		of("2001:db8:1::50", "2001:db8:ff::7"): {},
	}
	n, err := CutFlows(testMarks, pairs, nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n < 3 {
		t.Errorf("%d connections deleted, want all three", n)
	}
	if n, err := CutFlows(testMarks, pairs, nil, nil, nil, nil); n != 0 || err != nil {
		t.Errorf("the second time: %d, %v", n, err)
	}
	if got, want := tracked(t, "udp"), "198.51.100.8:9"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
}

// conntrackNetNS enters a namespace that tracks connections, with LAN and outside
// addresses.
func conntrackNetNS(t *testing.T, addrs ...string) {
	t.Helper()
	netns.Enter(t)
	// A rule that matches on connection state turns conntrack on.
	netns.Run(t, "", "iptables", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	netns.Run(t, "", "ip6tables", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	for _, a := range addrs {
		netns.Run(t, "", "ip", "address", "add", a, "dev", "lo", "nodad")
	}
	// A new IPv6 address is usable only a moment later.
	for _, a := range addrs {
		ip := netip.MustParsePrefix(a).Addr()
		for i := 0; ip.Is6() && i < 100; i++ {
			flow(t, "udp", netip.AddrPortFrom(ip, 0).String(), netip.AddrPortFrom(ip, 9).String())
			if strings.Contains(netns.Run(t, "", "conntrack", "-L", "-f", "ipv6"), "dst="+ip.String()+" ") {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	netns.Run(t, "", "conntrack", "-F")
}

// flow sends from one address and port to another, by UDP or TCP, and answers.
func flow(t *testing.T, network, from, to string) {
	t.Helper()
	a, b := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	var c net.Conn
	var err error
	if network == "udp" {
		c, err = net.DialUDP(network, net.UDPAddrFromAddrPort(a), net.UDPAddrFromAddrPort(b))
	} else {
		l, lerr := net.ListenTCP(network, net.TCPAddrFromAddrPort(b))
		if lerr != nil {
			t.Fatal(lerr)
		}
		t.Cleanup(func() { l.Close() })
		c, err = net.DialTCP(network, net.TCPAddrFromAddrPort(a), net.TCPAddrFromAddrPort(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	if network == "udp" {
		defer c.Close() // other flows may come from the same port
	} else {
		t.Cleanup(func() { c.Close() })
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// markFlow makes a rule that marks new connections to a port.
func markFlow(t *testing.T, network, port string, mark uint32) {
	t.Helper()
	netns.Run(t, "", "iptables", "-t", "mangle", "-A", "OUTPUT", "-p", network, "--dport", port, "-j", "CONNMARK", "--set-mark", strconv.Itoa(int(mark)))
}

// tracked lists the connection table: the destination and port of each connection, and
// its mark in hexadecimal unless it is 0.
func tracked(t *testing.T, network string) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(netns.Run(t, "", "conntrack", "-L", "-p", network)) {
		var dst, port string
		mark := ""
		for _, f := range strings.Fields(line) {
			k, v, _ := strings.Cut(f, "=")
			switch {
			case k == "dst" && dst == "":
				dst = v
			case k == "dport" && port == "":
				port = v
			case k == "mark" && v != "0":
				n, err := strconv.ParseUint(v, 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				mark = fmt.Sprintf(" %x", n)
			}
		}
		if dst != "" {
			found = append(found, dst+":"+port+mark)
		}
	}
	slices.Sort(found)
	return strings.Join(found, ", ")
}

// TestCutFlowsOfPorts: cutting a LAN host's port removes all of that port's connections
// with the outside, and no other connection of the host.
func TestCutFlowsOfPorts(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "192.168.1.51/32", "198.51.100.7/32", "198.51.100.8/32", "203.0.113.1/32", "2001:db8:1::50/128", "2001:db8:ff::7/128")
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}
	// Connections to the router's outside address are forwarded to a host. What hosts
	// send to 198.51.100.8 gets the router's address.
	netns.Run(t, "", "iptables", "-t", "nat", "-A", "OUTPUT", "-d", "203.0.113.1", "-j", "DNAT", "--to-destination", "192.168.1.50")
	netns.Run(t, "", "iptables", "-t", "nat", "-A", "POSTROUTING", "-d", "198.51.100.8", "-j", "SNAT", "--to-source", "203.0.113.1")
	markFlow(t, "tcp", "443", testMarks.Decided)
	markFlow(t, "udp", "6900", testMarks.Decided)
	flow(t, "udp", "192.168.1.50:6881", "198.51.100.7:6900")  // opened by the host, decided
	flow(t, "udp", "198.51.100.7:40001", "192.168.1.50:6881") // opened by the outside
	flow(t, "udp", "198.51.100.7:40002", "203.0.113.1:6881")  // the same, forwarded
	flow(t, "udp", "192.168.1.50:6881", "198.51.100.8:6901")  // translated
	flow(t, "udp", "192.168.1.50:6881", "192.168.1.51:6902")  // within the LAN
	flow(t, "udp", "192.168.1.50:6882", "198.51.100.7:6903")  // another port
	flow(t, "udp", "192.168.1.51:6881", "198.51.100.7:6904")  // another host
	flow(t, "udp", "192.168.1.50:40003", "198.51.100.7:6881") // the other side's port
	flow(t, "tcp", "192.168.1.50:6883", "198.51.100.7:443")   // decided
	flow(t, "tcp", "198.51.100.7:40004", "192.168.1.50:6884")
	flow(t, "tcp", "192.168.1.50:6881", "198.51.100.7:6905") // the port is cut for UDP only
	flow(t, "udp", "[2001:db8:1::50]:6881", "[2001:db8:ff::7]:6906")
	host, host6 := addr("192.168.1.50"), addr("2001:db8:1::50")
	ports := map[HostPort]struct{}{
		{host, ProtoUDP, 6881}: {}, {host6, ProtoUDP, 6881}: {}, {host, ProtoTCP, 6883}: {}, {host, ProtoTCP, 6884}: {},
	}
	if n, err := CutFlows(testMarks, nil, ports, nil, lan, nil); n != 7 || err != nil {
		t.Errorf("%d connections went, error %v", n, err)
	}
	if got, want := tracked(t, "udp"), "192.168.1.51:6902, 198.51.100.7:6881, 198.51.100.7:6903, 198.51.100.7:6904"; got != want {
		t.Errorf("UDP: %s, want %s", got, want)
	}
	if got, want := tracked(t, "tcp"), "198.51.100.7:6905"; got != want {
		t.Errorf("TCP: %s, want %s", got, want)
	}
	if out := netns.Run(t, "", "conntrack", "-L", "-f", "ipv6"); strings.Contains(out, "2001:db8:ff::7") {
		t.Errorf("IPv6 is left:\n%s", out)
	}
	if n, err := CutFlows(testMarks, nil, ports, nil, lan, nil); n != 0 || err != nil {
		t.Errorf("the second time: %d, %v", n, err)
	}
}

// TestCutFlowsOfHosts: of a host's connections and UDP flows, those that may be anything
// become undecided again. All stay in the table, with other programs' bits of the mark.
func TestCutFlowsOfHosts(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "192.168.1.51/32", "198.51.100.7/32")
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}
	for _, port := range []string{"443", "6881", "6882", "6883", "6885"} {
		markFlow(t, "tcp", port, testMarks.Decided|5)
	}
	markFlow(t, "tcp", "6886", testMarks.Marked|5) // marked only
	markFlow(t, "tcp", "6887", testMarks.Sample|5) // another value
	for _, port := range []string{"6881", "3478", "6888", "6889"} {
		markFlow(t, "udp", port, testMarks.Decided|5)
	}
	flow(t, "tcp", "192.168.1.50:40001", "198.51.100.7:6881")
	flow(t, "tcp", "192.168.1.50:40002", "198.51.100.7:443")  // a well-known service
	flow(t, "tcp", "198.51.100.7:40003", "192.168.1.50:6882") // opened by the outside
	flow(t, "tcp", "192.168.1.50:40004", "192.168.1.51:6883") // within the LAN
	flow(t, "tcp", "192.168.1.50:40005", "198.51.100.7:6884") // not decided
	flow(t, "tcp", "192.168.1.51:40006", "198.51.100.7:6885") // another host
	flow(t, "tcp", "192.168.1.50:40007", "198.51.100.7:6886")
	flow(t, "tcp", "192.168.1.50:40008", "198.51.100.7:6887")
	flow(t, "udp", "192.168.1.50:40009", "198.51.100.7:6881")
	flow(t, "udp", "192.168.1.50:40010", "198.51.100.7:3478") // a well-known service
	flow(t, "udp", "198.51.100.7:40011", "192.168.1.50:6888") // the outside sent first
	flow(t, "udp", "192.168.1.51:40012", "198.51.100.7:6889") // another host
	hosts := map[Addr]struct{}{addr("192.168.1.50"): {}}
	but := func(_ uint8, port uint16) bool { return port == 443 || port == 3478 }
	if n, err := CutFlows(testMarks, nil, nil, hosts, lan, but); n != 3 || err != nil {
		t.Errorf("%d connections are undecided, error %v", n, err)
	}
	if got, want := tracked(t, "tcp"), "192.168.1.50:6882 5000005, 192.168.1.51:6883 5000005, 198.51.100.7:443 5000005, "+
		"198.51.100.7:6881 5, 198.51.100.7:6884, 198.51.100.7:6885 5000005, 198.51.100.7:6886 7000005, 198.51.100.7:6887 6000005"; got != want {
		t.Errorf("TCP:\n%s, want\n%s", got, want)
	}
	if got, want := tracked(t, "udp"), "192.168.1.50:6888 5, 198.51.100.7:3478 5000005, 198.51.100.7:6881 5, 198.51.100.7:6889 5000005"; got != want {
		t.Errorf("UDP: %s, want %s", got, want)
	}
	if n, err := CutFlows(testMarks, nil, nil, hosts, lan, but); n != 0 || err != nil {
		t.Errorf("the second time: %d, %v", n, err)
	}
}

// TestMarkFlows marks the flows that would be cut, and unmarks them again. Other
// programs' bits of the mark stay.
func TestMarkFlows(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "192.168.1.51/32", "198.51.100.7/32", "198.51.100.8/32")
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}
	m := testMarks
	m.Conn, m.ConnMask = 0x20000, 0xf0000
	for _, port := range []string{"6881", "6882", "6883", "6885"} {
		markFlow(t, "udp", port, m.Decided|0x90005)
	}
	flow(t, "udp", "192.168.1.50:40001", "198.51.100.7:6881") // the pair
	flow(t, "udp", "192.168.1.50:40002", "198.51.100.8:6882") // the port
	flow(t, "udp", "192.168.1.50:40003", "198.51.100.8:6883")
	flow(t, "udp", "192.168.1.50:40002", "192.168.1.51:6884") // within the LAN
	flow(t, "udp", "192.168.1.51:40002", "198.51.100.8:6885") // another host
	pairs := map[Pair]struct{}{{addr("192.168.1.50"), addr("198.51.100.7")}: {}}
	ports := map[HostPort]struct{}{{addr("192.168.1.50"), ProtoUDP, 40002}: {}}
	if n, err := MarkFlows(m, pairs, ports, nil, lan); n != 2 || err != nil {
		t.Errorf("%d connections are marked, error %v", n, err)
	}
	if n, err := MarkFlows(m, pairs, ports, nil, lan); n != 0 || err != nil {
		t.Errorf("the second time: %d, %v", n, err)
	}
	if got, want := tracked(t, "udp"), "192.168.1.51:6884, 198.51.100.7:6881 7020005, 198.51.100.8:6882 7020005, "+
		"198.51.100.8:6883 5090005, 198.51.100.8:6885 5090005"; got != want {
		t.Errorf("marked:\n%s, want\n%s", got, want)
	}
	if n, err := MarkFlows(m, nil, nil, map[Addr]struct{}{addr("192.168.1.50"): {}}, lan); n != 2 || err != nil {
		t.Errorf("%d connections are freed, error %v", n, err)
	}
	if got, want := tracked(t, "udp"), "192.168.1.51:6884, 198.51.100.7:6881 5, 198.51.100.8:6882 5, "+
		"198.51.100.8:6883 5090005, 198.51.100.8:6885 5090005"; got != want {
		t.Errorf("freed:\n%s, want\n%s", got, want)
	}
}

// ctGolden is a conntrack entry as the kernel dumps it (Linux 6.18, little-endian): TCP
// from 192.168.1.50:40002 to 198.51.100.7:443, marked with all bits.
const ctGolden = "02000000" +
	"34000180 14000180 08000100c0a80132 08000200c6336407 1c000280 0500010006000000 060002009c420000 0600030001bb0000" +
	"34000280 14000180 08000100c6336407 08000200c0a80132 1c000280 0500010006000000 0600020001bb0000 060003009c420000" +
	"080003000000000e 0800080007000000 08000c008c334842 08000b0000000001 0800070000069780" +
	"30000480 2c000180 0500010003000000 050002000a000000 050003000a000000 0600040023000000 0600050023000000" +
	"1c000980 0c0001000000000000000003 0c00020000000000000000a5 1c000a80 0c0001000000000000000002 0c0002000000000000000070"

func TestParseConntrack(t *testing.T) {
	b := []byte{unix.AF_INET, 0, 0, 0}
	tuple := func(b []byte, typ uint16, src, dst string, sport, dport uint16) []byte {
		b, at := beginAttr(b, typ|unix.NLA_F_NESTED)
		b, ip := beginAttr(b, ctaTupleIP|unix.NLA_F_NESTED)
		s, d := addr(src), addr(dst)
		b = appendAttr(b, ctaIP4Src, s[12:])
		b = endAttr(appendAttr(b, ctaIP4Dst, d[12:]), ip)
		b, proto := beginAttr(b, ctaTupleProto|unix.NLA_F_NESTED)
		b = appendAttr(b, ctaProtoNum, []byte{ProtoTCP})
		b = appendAttr(b, ctaProtoSrcPort, be.AppendUint16(nil, sport))
		b = endAttr(appendAttr(b, ctaProtoDstPort, be.AppendUint16(nil, dport)), proto)
		return endAttr(b, at)
	}
	b = tuple(b, ctaTupleOrig, "192.168.1.50", "198.51.100.7", 40002, 443)
	orig := b[nfgenLen+nlaHeaderLen:]
	b = tuple(b, ctaTupleReply, "198.51.100.7", "192.168.1.50", 443, 40002)
	b = appendAttr32(b, ctaMark, testMarks.Mask)
	b = appendAttr(b, ctaCounters|unix.NLA_F_NESTED, nil)
	b, info := beginAttr(b, ctaProtoInfo|unix.NLA_F_NESTED)
	b, ofTCP := beginAttr(b, ctaProtoInfoTCP|unix.NLA_F_NESTED)
	b = appendAttr(b, ctaProtoInfoTCPState, []byte{tcpEstablished})
	b = endAttr(endAttr(b, ofTCP), info)
	b = appendAttr32(b, ctaIDNum, 0x8c334842)
	want := ctEntry{
		unix.AF_INET,
		AddrPort{addr("192.168.1.50"), 40002},
		AddrPort{addr("198.51.100.7"), 443},
		AddrPort{addr("198.51.100.7"), 443},
		AddrPort{addr("192.168.1.50"), 40002},
		ProtoTCP, tcpEstablished, testMarks.Mask, true, false, orig,
		[]byte{0x8c, 0x33, 0x48, 0x42},
	}
	var got ctEntry
	if !got.parse(b) {
		t.Fatal("not parsed")
	}
	opt := cmp.AllowUnexported(ctEntry{})
	if diff := cmp.Diff(want, got, opt); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if native.Uint16([]byte{1, 0}) == 1 {
		var kernel ctEntry
		if !kernel.parse(unhex(ctGolden)) {
			t.Fatal("what the kernel writes is not parsed")
		}
		if diff := cmp.Diff(want, kernel, opt); diff != "" {
			t.Errorf("the kernel's, -want +got:\n%s", diff)
		}
	}
	for _, status := range []uint32{1 << 14, 1 << 15} {
		var e ctEntry
		if !e.parse(appendAttr32(slices.Clone(b), ctaStatus, status)) || !e.offloaded {
			t.Errorf("the status %x tells no offloaded connection", status)
		}
	}
	for i := range len(b) { // a shorter entry never tells more
		var e ctEntry
		e.parse(b[:i:i])
	}
}

func FuzzParseConntrack(f *testing.F) {
	f.Add(unhex(ctGolden))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e ctEntry
		if e.parse(b[:len(b):len(b)]) && (len(e.id) != 4 || e.orig == nil) {
			t.Error("an entry that cannot be named")
		}
	})
}

// TestCheckConntrack: this kernel has the module that the tests above need.
func TestCheckConntrack(t *testing.T) {
	netns.Enter(t)
	if err := CheckConntrack(); err != nil {
		t.Error(err)
	}
	dropCaps(t)
	if err := CheckConntrack(); !errors.Is(err, unix.EPERM) {
		t.Errorf("without privilege: %v", err)
	}
}

// service reports whether a port stands for a well-known service.
func service(_ uint8, port uint16) bool { return port < 1024 && port != 700 }

func TestLookAgain(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "192.168.1.51/32", "198.51.100.7/32", "198.51.100.8/32", "198.51.100.9/32")
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}
	markFlow(t, "tcp", "443", 5)
	flow(t, "tcp", "192.168.1.50:40001", "198.51.100.7:443")
	flow(t, "tcp", "192.168.1.50:40002", "198.51.100.7:6881")
	flow(t, "tcp", "198.51.100.7:40003", "192.168.1.50:22")
	flow(t, "udp", "192.168.1.50:40004", "198.51.100.7:123")
	flow(t, "udp", "192.168.1.50:40005", "192.168.1.51:7000")
	flow(t, "udp", "198.51.100.7:40006", "192.168.1.50:7001")
	// One host outside; the same host at two ports; two hosts, one of them a name server;
	// two hosts, at ports below 1024; two hosts and then a third one.
	flow(t, "udp", "192.168.1.50:40010", "198.51.100.7:7002")
	flow(t, "udp", "192.168.1.50:40011", "198.51.100.7:7003")
	flow(t, "udp", "192.168.1.50:40011", "198.51.100.7:7004")
	flow(t, "udp", "192.168.1.50:40012", "198.51.100.7:7005")
	flow(t, "udp", "192.168.1.50:40012", "198.51.100.8:53")
	flow(t, "udp", "192.168.1.50:40013", "198.51.100.7:700")
	flow(t, "udp", "192.168.1.50:40013", "198.51.100.8:700")
	flow(t, "udp", "192.168.1.51:40014", "198.51.100.7:7006")
	flow(t, "udp", "192.168.1.51:40014", "198.51.100.8:7007")
	flow(t, "udp", "192.168.1.51:40014", "198.51.100.9:7008")
	got, err := LookAgain(testMarks, lan, service)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]AddrPort{{addr("192.168.1.51"), 40014}}, got); diff != "" {
		t.Errorf("suspects (-want +got):\n%s", diff)
	}
	if got, want := tracked(t, "tcp"), "192.168.1.50:22, 198.51.100.7:443 5, 198.51.100.7:6881"; got != want {
		t.Errorf("TCP: %s, want %s", got, want)
	}
	if got, want := tracked(t, "udp"), "192.168.1.50:7001, 192.168.1.51:7000, 198.51.100.7:123, 198.51.100.8:53"; got != want {
		t.Errorf("UDP: %s, want %s", got, want)
	}
}

// TestLookAgainCounts: flows that the kernel counts stay, and begin anew; others are removed.
func TestLookAgainCounts(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "198.51.100.7/32")
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}
	flow(t, "udp", "192.168.1.50:40001", "198.51.100.7:7001") // not counted
	netns.Run(t, "", "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
	decided := int(testMarks.Decided) | 0x100
	markFlow(t, "udp", "7002", uint32(decided))
	markFlow(t, "udp", "7004", uint32(decided))
	markFlow(t, "udp", "7005", testMarks.Marked)
	const many = 3 * editsAtATime
	for i := range many {
		flow(t, "udp", fmt.Sprintf("192.168.1.50:%d", 41000+i), "198.51.100.7:7002")
	}
	flow(t, "udp", "198.51.100.7:40003", "192.168.1.50:7003") // opened by the outside
	flow(t, "tcp", "192.168.1.50:40004", "198.51.100.7:7004")
	flow(t, "udp", "192.168.1.50:40004", "198.51.100.7:7004")
	flow(t, "udp", "192.168.1.50:40005", "198.51.100.7:7005") // of a client
	if _, err := LookAgain(testMarks, []netip.Prefix{netip.MustParsePrefix("192.168.2.0/24")}, service); err != nil {
		t.Fatal(err)
	}
	if got := tracked(t, "udp"); !strings.Contains(got, fmt.Sprintf("7004 %x", decided)) {
		t.Errorf("of another network: %s", got)
	}
	if _, err := LookAgain(testMarks, lan, service); err != nil {
		t.Fatal(err)
	}
	want := []string{"192.168.1.50:7003"}
	for range many {
		want = append(want, "198.51.100.7:7002 100")
	}
	want = append(want, "198.51.100.7:7004 100")
	if diff := cmp.Diff(strings.Join(want, ", "), tracked(t, "udp")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	zero := 0
	for line := range strings.Lines(netns.Run(t, "", "conntrack", "-L", "-p", "udp")) {
		if n := strings.Count(line, "packets=0 "); n == 2 {
			zero++
		} else if !strings.Contains(line, "dport=7003 ") {
			t.Errorf("counted on: %s", line)
		}
	}
	if zero != many+1 {
		t.Errorf("%d flows begin anew, want %d", zero, many+1)
	}
	if got := netns.Run(t, "", "conntrack", "-L", "-p", "tcp"); !strings.Contains(got, "7004") || strings.Contains(got, "packets=0 ") {
		t.Errorf("TCP: %s", got)
	}
}

// TestManyFlows changes more connections than fit into one batch. Some of them end
// meanwhile.
func TestManyFlows(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "198.51.100.7/32")
	const flows, ended = 2*editsAtATime + 10, 5
	for i := range flows {
		flow(t, "udp", fmt.Sprintf("192.168.1.50:%d", 40000+i), "198.51.100.7:9")
	}
	first := true
	n, err := changeFlows(nil, func(*ctEntry) ctChange {
		for i := 0; first && i < ended; i++ {
			netns.Run(t, "", "conntrack", "-D", "-p", "udp", "--sport", strconv.Itoa(40000+i))
		}
		first = false
		return ctRemove
	})
	if n != flows-ended || err != nil {
		t.Errorf("%d changed, want %d; %v", n, flows-ended, err)
	}
	if left := tracked(t, "udp"); left != "" {
		t.Errorf("left: %s", left)
	}
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := editFlows(c, &testMarks, make([]byte, dumpSize), []ctEdit{{change: ctRemove, family: unix.AF_INET}, {change: ctUnmark, family: unix.AF_INET6}}); n != 0 || err == nil {
		t.Errorf("without a connection: %d changed, error %v", n, err)
	}
}

func TestAppendEdits(t *testing.T) {
	got := appendEdits(nil, &testMarks, []ctEdit{
		{ctRemove, unix.AF_INET, []byte{1, 2, 3, 4}, [4]byte{5, 6, 7, 8}},
		{ctAnew, unix.AF_INET, []byte{1, 2, 3, 4}, [4]byte{5, 6, 7, 8}},
		{ctUnmark, unix.AF_INET6, []byte{1, 2, 3, 4}, [4]byte{5, 6, 7, 8}},
	})
	want := unhex(
		// Delete the connection with this tuple and ID, without an answer.
		n32(36) + n16(0x102) + n16(1) + n32(2) + n32(0) + `02 00 0000` +
			n16(8) + n16(0x8001) + `01020304` + n16(8) + n16(12) + `05060708` +
			// Set the counters to zero, and clear the bits of the mask in the mark.
			n32(28) + n16(0x103) + n16(1) + n32(3) + n32(0) + `02 00 0000` + n16(8) + n16(0x8001) + `01020304` +
			n32(44) + n16(0x100) + n16(1) + n32(4) + n32(0) + `02 00 0000` +
			n16(8) + n16(0x8001) + `01020304` + n16(8) + n16(8) + `00000000` + n16(8) + n16(21) + `07000000` +
			// Clear the bits of the mask in the mark, and ask for an answer.
			n32(44) + n16(0x100) + n16(5) + n32(6) + n32(0) + `0a 00 0000` +
			n16(8) + n16(0x8001) + `01020304` + n16(8) + n16(8) + `00000000` + n16(8) + n16(21) + `07000000`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
