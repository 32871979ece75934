// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"golang.org/x/sys/unix"
)

// world is a router between two LANs and an outside network, each in a namespace.
//
//	c1 10.1.0.2 -- lan0 | router | wan0 -- 192.0.2.2 s
//	c2 10.2.0.2 -- lan1 |        |
type world struct {
	t       *testing.T
	name    string
	flavour string            // of iptables; "" means the nft backend
	ipset   bool              // the sets are ipsets
	old     bool              // the daemon cannot delete connections (no CutsFlows)
	full    bool              // the queue is full and fails open
	edit    *strings.Replacer // changes the rules' texts, for a control
	// patience is how long the test waits for an answer.
	patience time.Duration
}

// refused returns the world with a short patience, for packets that should get no answer.
func (w *world) refused() *world {
	r := *w
	r.patience = 300 * time.Millisecond
	return &r
}

func (w *world) ns(host string) string { return w.name + "-" + host }

// sh runs a command in a host's namespace.
func (w *world) sh(host, command string) string {
	w.t.Helper()
	return netns.Run(w.t, "", "ip", "netns", "exec", w.ns(host), "sh", "-c", command)
}

// in runs a function in a host's namespace.
func (w *world) in(host string, f func()) {
	w.t.Helper()
	ns, err := netns.Open(w.ns(host))
	if err == nil {
		err = ns.Do(func() error { f(); return nil })
		ns.Close()
	}
	if err != nil {
		w.t.Errorf("namespace %s: %v", host, err)
	}
}

func newWorld(t *testing.T, flavour string, ipset bool) *world {
	t.Helper()
	netns.Need(t, "nft")
	netns.Need(t, "ip")
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	w := &world{t: t, name: fmt.Sprintf("p2pw%d-%s", os.Getpid(), "rules"+flavour), flavour: flavour, ipset: ipset, patience: 10 * time.Second}
	if ipset {
		netns.Need(t, "ipset")
		w.name += "-ipset"
	}
	for _, h := range []string{"r", "c1", "c2", "s"} {
		netns.Run(t, "", "ip", "netns", "add", w.ns(h))
		t.Cleanup(func() { _, _ = netns.Try("", "ip", "netns", "delete", w.ns(h)) })
		// Link-local addresses are of use at once.
		w.sh(h, "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
	}
	for i, l := range [][3]string{{"c1", "lan0", "1"}, {"c2", "lan1", "2"}, {"s", "wan0", "9"}} {
		host, dev, net := l[0], l[1], l[2]
		four := "10." + net + ".0."
		if host == "s" {
			four = "192.0.2."
		}
		six := "fd0" + net + "::"
		netns.Run(t, "", "ip", "link", "add", dev, "netns", w.ns("r"), "type", "veth", "peer", "name", "eth0", "netns", w.ns(host))
		w.sh("r", "ip address add "+four+"1/24 dev "+dev+"; ip address add "+six+"1/64 dev "+dev+" nodad; ip link set "+dev+" up; ip link set lo up")
		w.sh(host, fmt.Sprintf("ip link set eth0 address 02:00:00:00:00:0%d; ip address add %s2/24 dev eth0; ip address add %s2/64 dev eth0 nodad; ip link set eth0 up; ip link set lo up; ip route add default via %s1; ip -6 route add default via %s1", i+1, four, six, four, six))
	}
	w.sh("r", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
	w.reach("c1")
	w.reach("c2")
	return w
}

// reach waits until a host reaches the outside. Later packets are then not lost because the
// address of a neighbour is unknown.
func (w *world) reach(host string) {
	w.t.Helper()
	w.sh(host, "for a in 192.0.2.2 fd09::2; do ping -c 1 -w 10 $a > /dev/null || exit 1; done")
}

// load loads the rules. Counters replace the queue statements of the nft backend. A counter
// accepts where the statement has bypass and drops where it has none, as if no program
// listened. If the queue is full and fails open, every counter accepts.
func (w *world) load(conf string) {
	w.t.Helper()
	c, err := config.Parse(strings.NewReader("config p2pwall\n"+conf), "f")
	if err != nil {
		w.t.Fatal(err)
	}
	target := Target{config.BackendNFT, config.SetsNFT, []string{"lan0", "lan1"}, !w.old}
	if w.flavour != "" {
		target.Backend = config.BackendIPTables
	}
	if w.ipset {
		target.Sets = config.SetsIPSet
	}
	r, err := MakeRules(&c, target)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.edit != nil {
		r.NFT, r.Mangle4, r.Mangle6 = w.edit.Replace(r.NFT), w.edit.Replace(r.Mangle4), w.edit.Replace(r.Mangle6)
	}
	in := []string{"netns", "exec", w.ns("r")}
	if w.flavour == "" {
		netns.Run(w.t, netns.QueueStatement.ReplaceAllStringFunc(r.NFT, func(s string) string {
			if w.full || strings.HasSuffix(s, "bypass") {
				return "counter accept"
			}
			return "counter drop"
		}), "ip", append(in, "nft", "-f", "-")...)
		return
	}
	if w.ipset {
		r.IPSet, r.Mangle4, r.Mangle6 = standIn.Replace(r.IPSet), standInMatch.Replace(r.Mangle4), standInMatch.Replace(r.Mangle6)
		netns.Run(w.t, r.IPSet, "ip", append(in, "ipset", "-exist", "restore")...)
	} else {
		netns.Run(w.t, r.NFT, "ip", append(in, "nft", "-f", "-")...)
	}
	for _, x := range [][2]string{{"iptables", r.Mangle4 + r.Raw}, {"ip6tables", r.Mangle6 + r.Raw}} {
		netns.Run(w.t, x[1], "ip", append(in, x[0]+"-"+w.flavour+"-restore")...)
	}
}

var (
	nftCounter      = regexp.MustCompile(`counter packets (\d+) bytes \d+ (?:accept|drop)`)
	iptablesCounter = regexp.MustCompile(`(?m)^\[(\d+):\d+\] .* -j NFQUEUE`)
)

// queued returns the number of packets that went to the queue so far.
func (w *world) queued() int {
	w.t.Helper()
	var text string
	re := iptablesCounter
	if w.flavour == "" {
		text, re = w.sh("r", "nft list table inet p2pwall"), nftCounter
	} else {
		text = w.sh("r", "iptables-"+w.flavour+"-save -c -t mangle; ip6tables-"+w.flavour+"-save -c -t mangle")
	}
	n := 0
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		x, _ := strconv.Atoi(m[1])
		n += x
	}
	return n
}

// during returns how many packets go to the queue while f runs.
func (w *world) during(f func()) int {
	w.t.Helper()
	before := w.queued()
	f()
	return w.queued() - before
}

// set changes elements of a set.
func (w *world) set(what, set, element string) {
	w.t.Helper()
	if w.ipset {
		if what == "delete" {
			what = "del"
		}
		element = ipsetElement.ReplaceAllString(element, "$1,$2:$3")
		w.sh("r", fmt.Sprintf("ipset %s p2pwall-%s %s", what, set, element))
		return
	}
	timeout := " timeout 1h"
	if what == "delete" {
		timeout = ""
	}
	w.sh("r", fmt.Sprintf("nft %s element inet p2pwall %s '{ %s%s }'", what, set, element, timeout))
}

// ipsetElement matches a port as nft writes it. ipset has another form.
var ipsetElement = regexp.MustCompile(`^(.*) \. (.*) \. (.*)$`)

// forget makes the rules sample the next packet of a blocked host.
func (w *world) forget() {
	w.t.Helper()
	if w.ipset {
		w.sh("r", "for s in seen4 seen6 talk4 talk6; do ipset flush p2pwall-$s; done")
		return
	}
	w.sh("r", "for s in seen4 seen6 talk4 talk6 met4 met6; do nft list set inet p2pwall $s > /dev/null 2>&1 && nft flush set inet p2pwall $s; done; true")
}

// echo answers UDP and TCP on a port of a host until the test ends: a TCP
// connection gets back what it sends.
func (w *world) echo(host string, port int) {
	w.in(host, func() {
		addr := fmt.Sprintf(":%d", port)
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			w.t.Error(err)
			return
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			w.t.Error(err)
			return
		}
		w.t.Cleanup(func() { u.Close(); l.Close() })
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = u.WriteTo(b[:n], from)
			}
		}()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(c, c)
					c.Close()
				}()
			}
		}()
	})
}

// udp sends packets of one flow and returns how many answers came.
func (w *world) udp(host, to string, size, count int) (answers int) {
	w.t.Helper()
	return w.say(host, to, string(make([]byte, size)), count)
}

// lastPort is the last source port used for UDP. If the kernel chose the port, it could be
// the port of an earlier flow that was already counted.
var lastPort atomic.Int32

// say is udp with a given payload.
func (w *world) say(host, to, what string, count int) (answers int) {
	return w.sayFrom(20000+int(lastPort.Add(1)), host, to, what, count)
}

// sayFrom is say from a given port.
func (w *world) sayFrom(port int, host, to, what string, count int) (answers int) {
	w.in(host, func() {
		from := net.Dialer{LocalAddr: &net.UDPAddr{Port: port}, Control: netns.Reusable}
		c, err := from.Dial("udp", to)
		if err != nil {
			w.t.Error(err)
			return
		}
		defer c.Close()
		b := make([]byte, len(what))
		for range count {
			_, _ = c.Write([]byte(what))
			_ = c.SetReadDeadline(time.Now().Add(w.patience))
			if _, err := c.Read(b); err != nil {
				return
			}
			answers++
		}
	})
	return answers
}

// tcp opens a connection, sends and receives size bytes, and reports whether that worked.
func (w *world) tcp(host, to string, size int) (ok bool) { return w.tcpFrom(0, host, to, size) }

// tcpFrom is tcp from a given port. Port 0 means any.
func (w *world) tcpFrom(port int, host, to string, size int) (ok bool) {
	w.in(host, func() {
		from := net.Dialer{LocalAddr: &net.TCPAddr{Port: port}, Timeout: w.patience, Control: netns.Reusable}
		c, err := from.Dial("tcp", to)
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(3 * w.patience))
		go func() { _, _ = c.Write(make([]byte, size)) }()
		_, err = io.ReadFull(c, make([]byte, size))
		ok = err == nil
	})
	return ok
}

// lans are the LANs of the world.
var lans = []netip.Prefix{
	netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.2.0.0/24"),
	netip.MustParsePrefix("fd01::/64"), netip.MustParsePrefix("fd02::/64"),
}

const (
	serverFour = "192.0.2.2:7000"
	serverSix  = "[fd09::2]:7000"
)

// TestPackets sends real packets through the rules of each backend.
func TestPackets(t *testing.T) {
	for _, flavour := range []string{"", "nft", "legacy"} {
		name := "iptables-" + flavour
		if flavour == "" {
			name = "nft"
		} else {
			netns.Need(t, name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, flavour, false)
			w.load("list exempt 10.2.0.7\nlist exempt 02:00:00:00:00:77\n" + alone)
			for _, h := range []string{"s", "c2", "r"} {
				w.echo(h, 7000)
			}
			w.echo("s", 7001)
			w.echo("s", 7003)
			w.echo("s", 53)
			w.echo("r", 53)
			w.echo("r", 5000)
			for _, part := range []struct {
				name string
				f    func(*testing.T, *world)
			}{
				{"what is queued", partQueued},
				{"what is never touched", partUntouched},
				{"cut pairs", partCut},
				{"locked clients", partLocked},
				{"exempt hosts", partExempt},
				{"marks", partMarks},
				{"marks of others", partOthers},
				{"what the sets drop", partGone},
				{"locked clients that are refused", partRefused},
				{"what is looked at for BitTorrent", partLooks},
				{"what most connections begin with", partQuick},
				{"names", partNames},
				{"a client's own ports", partOwn},
				{"watched hosts", partWatched},
				{"hosts behind one MAC", partSameMAC},
				{"what is decided", partDecided},
				{"where one side speaks", partOneSide},
				{"what nobody asked for", partUnasked},
				// This part is the last: the server goes on answering a connection that it
				// should not have seen.
				{"a full queue", partFull},
			} {
				t.Run(part.name, func(t *testing.T) { w.t = t; part.f(t, w) })
			}
			w.t = t
		})
	}
}

// TestIPSetPackets does the same with ipsets, as far as this kernel has them. Another type of
// set replaces the one for pairs.
func TestIPSetPackets(t *testing.T) {
	for _, flavour := range []string{"nft", "legacy"} {
		netns.Need(t, "iptables-"+flavour)
		t.Run("iptables-"+flavour, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, flavour, true)
			w.load("")
			for _, h := range []string{"s", "c2", "r"} {
				w.echo(h, 7000)
			}
			w.echo("c1", 7000)
			for _, part := range []struct {
				name string
				f    func(*testing.T, *world)
			}{
				{"locked clients", partLocked},
				{"a client's own ports", partOwn},
				{"watched hosts", partWatched},
				{"hosts behind one MAC", partSameMAC},
			} {
				t.Run(part.name, func(t *testing.T) { w.t = t; part.f(t, w) })
			}
			w.t = t
		})
	}
}

// This kernel may have no sets of pairs. The type that replaces them matches other fields. So
// the rules can be loaded, but no pair is cut.
var (
	standIn      = strings.NewReplacer("hash:net,net", "hash:ip,port,net")
	standInMatch = strings.NewReplacer(" src,dst", " src,src,dst", " dst,src", " dst,dst,src")
)

func partQueued(t *testing.T, w *world) {
	for _, to := range []string{serverFour, serverSix} {
		if n := w.during(func() { w.udp("c1", to, 12, 1) }); n != 1 {
			t.Errorf("%s: a small UDP packet is queued %d times", to, n)
		}
		if n := w.during(func() { w.udp("c1", to, udpPayload, 1) }); n != 1 {
			t.Errorf("%s: the longest small UDP packet is queued %d times", to, n)
		}
		if n := w.during(func() { w.udp("c1", to, udpPayload+1, 3) }); n != 0 {
			t.Errorf("%s: long UDP is queued %d times", to, n)
		}
		if n := w.during(func() { w.udp("c1", to, 30, 100) }); n != udpPackets {
			t.Errorf("%s: of a long flow of small UDP %d packets are queued, want %d", to, n, udpPackets)
		}
		if n := w.during(func() {
			if !w.tcp("c1", to, 1<<20) {
				t.Errorf("%s: TCP does not pass", to)
			}
		}); n < 2 || n > 1+tcpPackets {
			t.Errorf("%s: of a long TCP connection %d packets are queued", to, n)
		}
		// The handshake alone: the SYN is queued, the bare acknowledgements are not.
		if n := w.during(func() { w.tcp("c1", to, 0) }); n != 1 {
			t.Errorf("%s: an empty connection is queued %d times", to, n)
		}
	}
	// TCP Fast Open: a SYN with data is queued with all its data.
	for _, to := range []string{"192.0.2.2:7999", "[fd09::2]:7999"} {
		to := netip.MustParseAddrPort(to)
		from := netip.MustParseAddr("10.1.0.2")
		if to.Addr().Is6() {
			from = netip.MustParseAddr("fd01::2")
		}
		if n := w.during(func() {
			w.inject("c1", 1, func(int) []byte {
				return segment(netip.AddrPortFrom(from, 999), to, nfq.SYN, []byte("GET /.hash=0 HTTP/1.1\r\n"))
			})
		}); n != 1 {
			t.Errorf("%v: a SYN with data is queued %d times", to, n)
		}
	}
	// A connection opened from outside: the data of the LAN host is queued, not the SYN.
	if n := w.during(func() { w.tcp("s", "10.2.0.2:7000", 100) }); n != 1 {
		t.Errorf("of a connection from outside %d packets are queued, want 1", n)
	}
	if n := w.during(func() { w.udp("s", "10.2.0.2:7000", 300, 50) }); n != 0 {
		t.Errorf("of long UDP from outside %d packets are queued", n)
	}
	// The answer to a probe goes to the router.
	if n := w.during(func() { w.refused().udp("c1", "10.1.0.1:1214", 12, 1) }); n != 1 {
		t.Errorf("an answer to a probe is queued %d times", n)
	}
}

func partUntouched(t *testing.T, w *world) {
	for what, f := range map[string]func(){
		"LAN to LAN, TCP":       func() { w.tcp("c1", "10.2.0.2:7000", 100) },
		"LAN to LAN, UDP":       func() { w.udp("c1", "10.2.0.2:7000", 12, 1) },
		"LAN to LAN, IPv6":      func() { w.tcp("c1", "[fd02::2]:7000", 100) },
		"router to outside":     func() { w.tcp("r", serverFour, 100); w.udp("r", serverFour, 12, 1) },
		"router to LAN":         func() { w.tcp("r", "10.2.0.2:7000", 100); w.udp("r", "10.2.0.2:7000", 12, 1) },
		"LAN to router":         func() { w.tcp("c1", "10.1.0.1:7000", 100); w.udp("c1", "10.1.0.1:7000", 12, 1) },
		"outside to router":     func() { w.refused().udp("s", "192.0.2.1:1214", 12, 1); w.tcp("s", "192.0.2.1:7000", 100) },
		"ping":                  func() { w.sh("c1", "ping -c 1 -W 1 192.0.2.2; ping -c 1 -W 1 fd09::2") },
		"IPv6 neighbours again": func() { w.sh("r", "ip neighbour flush all"); w.sh("c1", "ping -c 1 -W 2 fd01::1") },
	} {
		if n := w.during(f); n != 0 {
			t.Errorf("%s: %d packets are queued", what, n)
		}
	}
}

func partCut(t *testing.T, w *world) {
	for _, c := range []struct{ set, element, to, ping string }{
		{"cut4", "10.1.0.2 . 192.0.2.2", serverFour, "192.0.2.2"},
		{"cut6", "fd01::2 . fd09::2", serverSix, "fd09::2"},
	} {
		w.set("add", c.set, c.element)
		if w.refused().udp("c1", c.to, 500, 1) != 0 || w.refused().tcp("c1", c.to, 1) {
			t.Errorf("%s: passes", c.set)
		}
		if _, err := netns.Try("", "ip", "netns", "exec", w.ns("c1"), "ping", "-c", "1", "-W", "1", c.ping); err == nil {
			t.Errorf("%s: a ping passes", c.set)
		}
		if w.udp("c2", c.to, 500, 1) != 1 {
			t.Errorf("%s: another client is cut too", c.set)
		}
		if w.udp("c1", "10.1.0.1:7000", 12, 1) != 1 {
			t.Errorf("%s: the router is cut too", c.set)
		}
		w.set("delete", c.set, c.element)
		if w.udp("c1", c.to, 500, 1) != 1 {
			t.Errorf("%s: still cut", c.set)
		}
	}
	// The other direction alone: the server sends first.
	w.echo("c1", 7000)
	if w.udp("s", "10.1.0.2:7000", 500, 1) != 1 {
		t.Fatal("the outside does not reach the client")
	}
	w.set("add", "cut4", "10.1.0.2 . 192.0.2.2")
	before := w.sh("c1", "grep ^Udp: /proc/net/snmp | tail -1 | cut -d ' ' -f 2")
	w.refused().udp("s", "10.1.0.2:7000", 500, 1)
	if after := w.sh("c1", "grep ^Udp: /proc/net/snmp | tail -1 | cut -d ' ' -f 2"); after != before {
		t.Error("a packet of the peer reaches the client")
	}
	w.set("delete", "cut4", "10.1.0.2 . 192.0.2.2")
}

func partLocked(t *testing.T, w *world) {
	for _, c := range []struct{ set, element, to string }{
		{"lock4", "10.1.0.2", serverFour},
		{"lock6", "fd01::2", serverSix},
	} {
		w.forget()
		w.set("add", c.set, c.element)
		n := w.during(func() {
			for range 3 {
				if w.refused().tcp("c1", c.to, 1) {
					t.Errorf("%s: a connection passes", c.set)
				}
			}
		})
		// One packet of the host is queued now and then to keep the lock up to date. It does
		// not pass, although no program listens on the queue. iptables counts it once, and so
		// does nft.
		if n != 1 {
			t.Errorf("%s: %d packets are sampled", c.set, n)
		}
		if w.udp("c1", c.to, 500, 1) != 1 {
			t.Errorf("%s: UDP is locked too", c.set)
		}
		if !w.tcp("c2", c.to, 1) {
			t.Errorf("%s: another client is locked too", c.set)
		}
		if !w.tcp("c1", "10.2.0.2:7000", 1) {
			t.Errorf("%s: the LAN is locked too", c.set)
		}
		w.set("delete", c.set, c.element)
		if !w.tcp("c1", c.to, 1) {
			t.Errorf("%s: still locked", c.set)
		}
	}
}

// partRefused tests locked clients that are not to wait: the kernel refuses their
// connections, all but the sample that the daemon refuses.
func partRefused(t *testing.T, w *world) {
	k := Keeper{loaded: true, target: Target{Sets: config.SetsNFT}, rules: Rules{NFT: "some"}}
	defer k.hangUp()
	for _, action := range []string{"drop", "reset", "reject"} {
		w.load("option action " + action + "\n" + alone)
		for _, c := range []struct{ set, element, to string }{
			{"lock4", "10.1.0.2", serverFour},
			{"lock6", "fd01::2", serverSix},
			{"cut4", "10.1.0.2 . 192.0.2.2", serverFour},
			{"cut6", "fd01::2 . fd09::2", serverSix},
		} {
			w.forget()
			w.in("r", func() { k.Gone() })
			w.set("add", c.set, c.element)
			const tries = 3
			// The error may come while the program still holds the socket. Then it counts
			// when the SYN is sent again, after a second.
			patience := w.refused().patience
			if action == "reject" {
				patience = 1500 * time.Millisecond
			}
			refused := 0
			n := w.during(func() {
				for range tries {
					w.in("c1", func() {
						c, err := net.DialTimeout("tcp", c.to, patience)
						switch {
						case err == nil:
							t.Errorf("%s: a connection to %s passes", action, c.RemoteAddr())
							c.Close()
						case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES):
							refused++
						}
					})
				}
			})
			want := tries - 1
			if action == "drop" {
				want = 0
			}
			// The sampled one may be sent again.
			if n != 1 || refused < want || refused > want && action == "drop" {
				t.Errorf("%s, %s: of %d connections %d are queued and %d refused, want 1 and %d", action, c.set, tries, n, refused, want)
			}
			w.in("r", func() {
				if tcp, udp := k.Gone(); tcp < tries-1 || udp != 0 {
					t.Errorf("%s, %s: %d TCP packets are counted", action, c.set, tcp)
				}
			})
			if !w.tcp("c2", c.to, 1) {
				t.Errorf("%s, %s: another client is refused too", action, c.set)
			}
			w.set("delete", c.set, c.element)
			if !w.tcp("c1", c.to, 1) {
				t.Errorf("%s, %s: still refused", action, c.set)
			}
		}
	}
	w.load(alone)
}

// partSameMAC tests two hosts behind one MAC, as behind a repeater: set elements for one must
// not affect the other.
func partSameMAC(t *testing.T, w *world) {
	// from makes c1 send from one of its addresses.
	from := func(last string) {
		w.sh("c1", "ip route replace default via 10.1.0.1 src 10.1.0."+last+"; ip -6 route replace default via fd01::1 src fd01::"+last)
	}
	w.sh("c1", "ip address add 10.1.0.3/24 dev eth0; ip -6 address add fd01::3/64 dev eth0 nodad")
	for _, c := range []struct{ set, element, to string }{
		{"lock4", "10.1.0.2", serverFour},
		{"lock6", "fd01::2", serverSix},
		{"own4", "10.1.0.2 . tcp . 7010", serverFour},
		{"own6", "fd01::2 . tcp . 7010", serverSix},
	} {
		w.set("add", c.set, c.element)
		from("2")
		if w.refused().tcpFrom(7010, "c1", c.to, 1000) {
			t.Errorf("%s: TCP of the host itself passes", c.set)
		}
		from("3")
		if !w.tcpFrom(7010, "c1", c.to, 1000) || w.udp("c1", c.to, 500, 50) != 50 {
			t.Errorf("%s: a second host behind the same MAC is touched", c.set)
		}
		w.set("delete", c.set, c.element)
	}
	w.sh("c1", "ip route replace default via 10.1.0.1; ip -6 route replace default via fd01::1; ip address delete 10.1.0.3/24 dev eth0; ip -6 address delete fd01::3/64 dev eth0")
}

// partFull tests packets of a locked client that a full queue lets pass: the rules drop the
// answers to them.
func partFull(t *testing.T, w *world) {
	w.full = true
	w.edit = strings.NewReplacer("-j NFQUEUE --queue-num 214\n", "-j NFQUEUE --queue-num 214 --queue-bypass\n")
	w.load(alone)
	for _, c := range []struct{ set, element, to string }{
		{"lock4", "10.1.0.2", serverFour},
		{"lock6", "fd01::2", serverSix},
	} {
		w.forget()
		w.set("add", c.set, c.element)
		if n := w.during(func() {
			if w.refused().tcp("c1", c.to, 1) {
				t.Errorf("%s: a connection of a locked client opens", c.to)
			}
		}); n != 1 {
			t.Errorf("%s: %d packets are sampled", c.to, n)
		}
		w.set("delete", c.set, c.element)
		if !w.tcp("c1", c.to, 1) {
			t.Errorf("%s: still locked", c.to)
		}
	}
	w.full, w.edit = false, nil
	w.load(alone)
}

func partExempt(t *testing.T, w *world) {
	w.sh("c2", "ip address add 10.2.0.7/24 dev eth0; ip route replace default via 10.2.0.1 src 10.2.0.7")
	w.set("add", "lock4", "10.2.0.7")
	w.set("add", "cut4", "10.2.0.7 . 192.0.2.2")
	if n := w.during(func() {
		if !w.tcp("c2", serverFour, 1000) || w.udp("c2", serverFour, 12, 3) != 3 {
			t.Error("the exempt address is blocked")
		}
	}); n != 0 {
		t.Errorf("%d packets of the exempt address are queued", n)
	}
	w.set("delete", "cut4", "10.2.0.7 . 192.0.2.2")
	w.sh("c2", "ip route replace default via 10.2.0.1; ip address delete 10.2.0.7/24 dev eth0")

	w.sh("c2", "ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:77; ip link set eth0 up; ip route replace default via 10.2.0.1; ip -6 address add fd02::2/64 dev eth0 nodad; ip -6 route replace default via fd02::1")
	w.reach("c2")
	w.set("add", "lock4", "10.2.0.2")
	for _, to := range []string{serverFour, serverSix} {
		if n := w.during(func() {
			if !w.tcp("c2", to, 1000) {
				t.Errorf("%s: the exempt MAC is blocked", to)
			}
		}); n != 0 {
			t.Errorf("%s: %d packets of the exempt MAC are queued", to, n)
		}
	}
	w.set("delete", "lock4", "10.2.0.2")
}

// sent returns how many TCP segments and UDP packets a host has sent, from the host's own
// counters.
func (w *world) sent(host string) (tcp, udp uint64) {
	w.t.Helper()
	for _, l := range strings.Split(w.sh(host, "cat /proc/net/snmp"), "\n") {
		f := strings.Fields(l)
		number := func(i int) uint64 {
			n, _ := strconv.ParseUint(f[i], 10, 64) // 0 in the header line
			return n
		}
		switch {
		case strings.HasPrefix(l, "Tcp: "):
			tcp = number(11) + number(12) // segments sent and retransmitted
		case strings.HasPrefix(l, "Udp: "):
			udp = number(4)
		}
	}
	return tcp, udp
}

// partGone compares the kernel's count with the number of packets sent. All of them are
// dropped. The daemon counts the sampled ones, so the kernel must not.
func partGone(t *testing.T, w *world) {
	k := Keeper{loaded: true, target: Target{Sets: config.SetsNFT}, rules: Rules{NFT: "some"}}
	gone := func() (tcp, udp uint64) {
		w.in("r", func() { tcp, udp = k.Gone() })
		return tcp, udp
	}
	defer k.hangUp()
	gone()
	if tcp, udp := gone(); tcp != 0 || udp != 0 {
		t.Errorf("%d and %d packets are gone although none was sent", tcp, udp)
	}
	w.forget()
	w.set("add", "lock4", "10.1.0.2")
	w.set("add", "cut4", "10.1.0.2 . 192.0.2.2")
	tcp0, udp0 := w.sent("c1")
	sampled := w.during(func() {
		for range 3 {
			w.refused().tcp("c1", serverFour, 1)
			w.refused().udp("c1", serverFour, 500, 1)
		}
	})
	w.load(alone) // a reload keeps the counts
	sampled += w.during(func() {
		for range 3 {
			w.refused().tcp("c1", serverFour, 1)
			w.refused().udp("c1", serverFour, 500, 1)
		}
	})
	tcp1, udp1 := w.sent("c1")
	if tcp1-tcp0 < 6 || udp1-udp0 != 6 || sampled < 1 {
		t.Fatalf("%d TCP and %d UDP packets were sent, %d sampled", tcp1-tcp0, udp1-udp0, sampled)
	}
	tcp, udp := gone()
	if want := tcp1 - tcp0 + udp1 - udp0 - uint64(sampled); tcp+udp != want || tcp < 5 || udp < 5 {
		t.Errorf("%d TCP and %d UDP packets are gone, want %d in all", tcp, udp, want)
	}
	// A packet from outside, and packets that are neither TCP nor UDP.
	w.refused().udp("s", "10.1.0.2:7000", 500, 1)
	if tcp, udp := gone(); tcp != 0 || udp != 1 {
		t.Errorf("%d and %d packets are gone of one from the outside", tcp, udp)
	}
	// On a busy machine, the next sample may be due.
	sampled = w.during(func() {
		_, _ = netns.Try("", "ip", "netns", "exec", w.ns("c1"), "ping", "-c", "2", "-i", "0.2", "-W", "1", "192.0.2.2")
	})
	if tcp, udp := gone(); tcp != 0 || udp+uint64(sampled) != 2 {
		t.Errorf("%d and %d packets are gone of two pings, and %d sampled", tcp, udp, sampled)
	}
	w.set("delete", "lock4", "10.1.0.2")
	w.set("delete", "cut4", "10.1.0.2 . 192.0.2.2")
	if !w.tcp("c1", serverFour, 100) {
		t.Error("TCP does not pass")
	}
	if tcp, udp := gone(); tcp != 0 || udp != 0 {
		t.Errorf("%d and %d packets are gone of a connection that passes", tcp, udp)
	}
	w.sh("r", "nft delete table inet p2pwall")
	if tcp, udp := gone(); tcp != 0 || udp != 0 {
		t.Errorf("%d and %d packets are gone without a table", tcp, udp)
	}
}

func partMarks(t *testing.T, w *world) {
	netns.Need(t, "conntrack")
	w.sh("r", "conntrack -F")
	w.tcp("c1", serverFour, 1<<20)
	w.udp("c1", serverFour, 12, udpPackets+5)
	marks := nfq.DefaultMarks()
	mark := fmt.Sprintf("mark=%d ", marks.Decided)
	list := w.sh("r", "conntrack -L")
	for _, proto := range []string{"tcp", "udp"} {
		found := false
		for _, l := range strings.Split(list, "\n") {
			found = found || strings.HasPrefix(l, proto) && strings.Contains(l, mark)
		}
		if !found {
			t.Errorf("a long %s flow is not marked as decided:\n%s", proto, list)
		}
	}
	// The kernel does not track our own packets.
	w.sh("r", "conntrack -F")
	w.in("r", func() {
		for to, m := range map[string]uint32{
			"10.1.0.2:4000": 0, "10.1.0.2:4001": marks.Own, "10.1.0.2:4002": marks.Own & -marks.Own,
			"192.0.2.2:4003": marks.Own, // another program's packet: ours only go into the LAN
		} {
			d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
				return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(m)) })
			}}
			c, err := d.Dial("udp", to)
			if err != nil {
				t.Error(err)
				continue
			}
			_, _ = c.Write([]byte("x"))
			c.Close()
		}
	})
	list = w.sh("r", "conntrack -L")
	for port, want := range map[string]bool{"4000": true, "4001": false, "4002": true, "4003": true} {
		if strings.Contains(list, "dport="+port) != want {
			t.Errorf("port %s: tracked is %v:\n%s", port, !want, list)
		}
	}
}

// partOthers tests other programs that also use marks, and among them one of our bits. They
// must not switch the wall off, nor cause drops.
func partOthers(t *testing.T, w *world) {
	netns.Need(t, "conntrack")
	m := nfq.DefaultMarks()
	single := func(f func(bit uint32)) {
		for rest := m.Mask; rest != 0; rest &= rest - 1 {
			f(rest & -rest)
		}
	}
	others := func(chain string, f func()) {
		w.sh("r", "nft 'table inet others { chain c { "+chain+"\n}\n}'")
		defer w.sh("r", "nft delete table inet others")
		f()
	}
	// Packets that come in, and their connections.
	unseen := func() (n int) {
		single(func(bit uint32) {
			others(fmt.Sprintf("type filter hook prerouting priority -140; meta mark set meta mark | %#x\nct mark set ct mark | %#x", bit, bit), func() {
				for _, to := range []string{serverFour, serverSix} {
					seen := w.during(func() {
						if w.udp("c1", to, 30, 5) != 5 || !w.tcp("c1", to, 100) {
							t.Errorf("%#x: what another marks is dropped", bit)
						}
					})
					if seen < 5+2 {
						n++
					}
				}
			})
		})
		return n
	}
	for _, w.old = range []bool{false, true} {
		w.load("")
		if n := unseen(); n != 0 {
			t.Errorf("what another marks is not looked at in %d cases", n)
		}
	}
	w.old = false
	w.edit = strings.NewReplacer(
		fmt.Sprintf("ct mark & 0x%08x == 0x%08x", m.Decided, m.Decided), fmt.Sprintf("ct mark & 0x%08x != 0x0", m.Decided),
		fmt.Sprintf("-m connmark --mark 0x%08x/0x%08x", m.Decided, m.Decided), fmt.Sprintf("-m connmark ! --mark 0x0/0x%08x", m.Decided))
	w.load("")
	if unseen() == 0 {
		t.Error("the control: a connection of which another marks one of our bits is looked at, although one is enough")
	}
	w.edit = nil

	// Packets of the router itself, with any value of the bits, including ours.
	lost := func() (n int) {
		for v := range uint32(1 << nfq.MarkBits) {
			var mark uint32
			single(func(bit uint32) {
				mark |= bit * (v & 1)
				v >>= 1
			})
			others(fmt.Sprintf("type route hook output priority -140; meta mark set %#x", mark), func() {
				for _, to := range []string{serverFour, serverSix, "10.2.0.2:7000", "[fd02::2]:7000"} {
					if w.refused().udp("r", to, 30, 1) != 1 || !w.refused().tcp("r", to, 100) {
						n++
					}
				}
			})
		}
		return n
	}
	for _, w.old = range []bool{false, true} {
		w.load("")
		if n := lost(); n != 0 {
			t.Errorf("the router's own packets are dropped in %d cases", n)
		}
	}
	w.old = false
	// An earlier version of the iptables rules: the chain for forwarded packets dropped
	// sampled ones.
	jump := fmt.Sprintf("-A POSTROUTING -m mark --mark 0x%08x/0x%08x -j p2pwall-post", m.Decided, m.Decided)
	w.edit = strings.NewReplacer(jump, fmt.Sprintf(
		"-A p2pwall-post -m mark --mark 0x%08x/0x%08x -j DROP\n-A POSTROUTING -m mark ! --mark 0x0/0x%08x -j p2pwall-post", m.Sample, m.Mask, m.Mask))
	w.load("")
	if n := lost(); w.flavour != "" && n == 0 {
		t.Error("the control: the router's own packets are not dropped")
	}
	w.edit = nil
	w.load(alone)
}

// partLooks tests hosts that the daemon knows nothing about.
func partLooks(t *testing.T, w *world) {
	w.load("")
	w.forget()
	listed := asks("dht.transmissionbt.com")
	var g nfq.Groups
	defer g.Leave()
	w.in("r", func() {
		var devices []uint32
		for _, name := range []string{"lan0", "lan1"} {
			d, err := net.InterfaceByName(name)
			if err != nil {
				t.Error(err)
				return
			}
			devices = append(devices, uint32(d.Index))
		}
		var groups []nfq.Addr
		for _, x := range detect.BitTorrent.Groups {
			groups = append(groups, nfq.AddrFrom(netip.MustParseAddr(x.Addr)))
		}
		if err := g.Join(groups, devices); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		what string
		f    func()
		want int
	}{
		{"long UDP", func() { w.udp("c1", serverFour, 500, 30) }, 1},
		{"long UDP, IPv6", func() { w.udp("c1", serverSix, 500, 30) }, 1},
		{"small UDP", func() { w.udp("c1", serverFour, 30, 100) }, udpPackets},
		{"long UDP from outside", func() { w.udp("s", "10.2.0.2:7000", 500, 30) }, 1},
		{"no name, to a name server outside", func() { w.udp("c1", "192.0.2.2:53", 30, 1) }, 1},
		{"no name, to the router", func() { w.udp("c1", "10.1.0.1:53", 30, 1) }, 0},
		{"a name, of a server outside", func() { w.say("c1", "192.0.2.2:53", listed, 1) }, 2},
		{"a name, of the router", func() { w.say("c1", "10.1.0.1:53", listed, 1) }, 1},
		{"a name, of the LAN", func() { w.refused().say("c1", "10.2.0.2:53", listed, 1) }, 0},
		{"a name for the router", func() { w.say("r", "192.0.2.2:53", listed, 1) }, 0},
		{"a name for the outside", func() { w.say("s", "192.0.2.1:53", listed, 1) }, 0},
		{"NAT-PMP", func() { w.refused().udp("c1", "10.1.0.1:5351", 12, 1) }, 1},
		{"NAT-PMP from outside", func() { w.refused().udp("s", "192.0.2.1:5351", 12, 1) }, 0},
		{"an answer to a probe", func() { w.refused().udp("c1", "10.1.0.1:1214", 12, 1) }, 1},
		{"UPnP", func() { w.tcp("c1", "10.1.0.1:5000", 100) }, 1},
		{"UPnP that only connects", func() { w.tcp("c1", "10.1.0.1:5000", 0) }, 0},
		{"a search in the LAN", func() { w.refused().udp("c1", "239.192.152.143:6771", 12, 1) }, 1},
		{"a search in the LAN, IPv6", func() { w.refused().udp("c1", "[ff15::efc0:988f%eth0]:6771", 12, 1) }, 1},
		{"a search outside", func() { w.refused().udp("s", "239.192.152.143:6771", 12, 1) }, 0},
		{"another search", func() { w.refused().udp("c1", "239.192.152.143:6772", 12, 1) }, 0},
	} {
		if n := w.during(c.f); n != c.want {
			t.Errorf("%s: %d packets are queued, want %d", c.what, n, c.want)
		}
	}
}

// helloOf makes the beginning of a TLS hello with these first cipher suites.
func helloOf(suites string) string {
	return "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 32) + "\x20" + strings.Repeat("s", 32) +
		"\x00\x22" + suites + strings.Repeat("x", 400)
}

const (
	chromeSuites  = "\x5a\x5a\x13\x01\x13\x02\x13\x03\xc0\x2b"
	firefoxSuites = "\x13\x01\x13\x03\x13\x02\xc0\x2b\xc0\x2f"
	opensslSuites = "\x13\x02\x13\x03\x13\x01\xc0\x2c\xc0\x30"
	torrentHello  = "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x05"
)

// partQuick tests what stays in the kernel of connections to well-known services, and that
// all else is queued.
func partQuick(t *testing.T, w *world) {
	w.load("")
	for _, port := range []int{21, 22, 25, 80, 443} {
		w.echo("s", port)
	}
	quic := func(version string) string { return "\xc3" + version + strings.Repeat("q", 1195) }
	marks := nfq.DefaultMarks()
	begins := marks.Decided
	if w.flavour == "" {
		begins = marks.Watch
	}
	w.sh("r", fmt.Sprintf("nft 'table inet begins { chain c { type filter hook forward priority 10; meta mark & %#x == %#x counter\n}\n}'", marks.Mask, begins))
	defer w.sh("r", "nft delete table inet begins")
	begun := func() int {
		n, _ := strconv.Atoi(gotCounter.FindStringSubmatch(w.sh("r", "nft list table inet begins"))[1])
		return n
	}
	for _, c := range []struct{ digit, host, server, blank string }{
		{"4", "10.1.0.2", "192.0.2.2", "192.0.2.77"},
		{"6", "fd01::2", "fd09::2", "fd09::77"},
	} {
		// say opens a connection and sends the parts, each after the answer to the one before.
		say := func(port string, parts ...string) func() {
			return func() {
				talk := w.talk("c1", net.JoinHostPort(c.server, port))
				for _, part := range parts {
					_ = talk.SetDeadline(time.Now().Add(w.patience))
					if _, err := talk.Write([]byte(part)); err != nil {
						t.Error(err)
					}
					if _, err := io.ReadFull(talk, make([]byte, len(part))); err != nil {
						t.Errorf("%s: %v", port, err)
					}
				}
				talk.Close()
			}
		}
		tell := func(port, what string) func() {
			return func() { w.say("c1", net.JoinHostPort(c.server, port), what, 1) }
		}
		syns := func(payload string, count int) func() {
			return func() {
				from := netip.AddrPortFrom(netip.MustParseAddr(c.host), uint16(30000+lastPort.Add(1)))
				to := netip.AddrPortFrom(netip.MustParseAddr(c.blank), 443)
				for range count {
					w.inject("c1", 1, func(int) []byte { return segment(from, to, nfq.SYN, []byte(payload)) })
				}
			}
		}
		w.forget()
		for _, x := range []struct {
			what    string
			f       func()
			queued  int
			begun   int
			decided string // the port of a TCP connection that is decided
		}{
			{"the first SYN in a while, and what follows", say("443", helloOf(chromeSuites)), 2, 0, ""},
			{"the hello of Chrome", say("443", helloOf(chromeSuites), "more", "and more"), 0, 0, "443"},
			{"the hello of Firefox", say("443", helloOf(firefoxSuites)), 0, 0, "443"},
			{"another hello", say("443", helloOf(opensslSuites)), 1, 1, ""},
			{"a hello at another port", say("80", helloOf(chromeSuites)), 1, 1, ""},
			{"a hello in two parts", say("443", helloOf(chromeSuites)[:3]), 1, 1, ""},
			{"a session between peers, 443", say("443", torrentHello), 1, 1, ""},
			{"a session between peers, 80", say("80", torrentHello), 1, 1, ""},
			{"a session between peers, 22", say("22", torrentHello), 1, 1, ""},
			{"a session between peers, 25", say("25", torrentHello), 1, 1, ""},
			{"a session between peers, another port", say("7000", torrentHello), 2, 0, ""},
			{"HTTP", say("80", "GET / HTTP/1.1\r\n\r\n"), 1, 1, ""},
			{"SSH", say("22", "SSH-2.0-OpenSSH_9.2\r\n"), 1, 1, ""},
			{"mail", say("25", "EHLO host\r\n"), 1, 1, ""},
			{"FTP", say("21", "USER anonymous\r\n"), 1, 1, ""},
			{"only connects", say("443"), 0, 0, ""},
			{"SYNs that nobody answers", syns("", 3), 2, 0, ""},
			{"a SYN with data", syns(torrentHello+strings.Repeat("h", 40), 1), 1, 0, ""},
			{"QUIC", tell("443", quic("\x00\x00\x00\x01")), 0, 0, ""},
			{"QUIC, version 2", tell("443", quic("\x6b\x33\x43\xcf")), 0, 0, ""},
			{"QUIC, another version", tell("443", quic("\x00\x00\x00\x03")), 1, 0, ""},
			{"QUIC at another port", tell("7000", quic("\x00\x00\x00\x01")), 1, 0, ""},
			{"QUIC, shorter", tell("443", quic("\x00\x00\x00\x01")[:1199]), 1, 0, ""},
			{"a ping of FastTrack", tell("443", "\x27\x00\x00\x00\xa9\x80KaZaA\x00"), 1, 0, ""},
			{"a question for a name", tell("53", asks("www.example.org")), 0, 0, ""},
			{"a question for a listed name", tell("53", asks("router.bittorrent.com")), 1, 0, ""}, // the answer
			{"no question for a name", tell("53", "\x27\x00\x00\x00\xa9\x80KaZaA\x00"), 1, 0, ""},
		} {
			if x.decided != "" {
				w.sh("r", "conntrack -F")
			}
			before := begun()
			if n := w.during(x.f); n != x.queued {
				t.Errorf("IPv%s, %s: %d packets are queued, want %d", c.digit, x.what, n, x.queued)
			}
			if n := begun() - before; n != x.begun {
				t.Errorf("IPv%s, %s: %d packets are marked as the first data, want %d", c.digit, x.what, n, x.begun)
			}
			if x.decided != "" {
				if ok, list := w.marked("tcp", x.decided, marks.Decided); !ok {
					t.Errorf("IPv%s, %s: not decided:\n%s", c.digit, x.what, list)
				}
			}
		}
		// Of a watched host all is queued, also the first data of a connection that it opened
		// before.
		talk := w.talk("c1", net.JoinHostPort(c.server, "443"))
		w.set("add", "watch"+c.digit, c.host)
		before := begun()
		if n := w.during(func() {
			if _, err := talk.Write([]byte(helloOf(chromeSuites))); err != nil {
				t.Error(err)
			}
			_ = talk.SetDeadline(time.Now().Add(w.patience))
			_, _ = io.ReadFull(talk, make([]byte, 400))
		}); n < 1 || begun()-before != 1 {
			t.Errorf("IPv%s: %d packets are queued of a watched host's connection from before, %d begin it", c.digit, n, begun()-before)
		}
		talk.Close()
		if n := w.during(say("443", helloOf(chromeSuites))); n < 2 {
			t.Errorf("IPv%s: %d packets are queued of a watched host's connection", c.digit, n)
		}
		w.set("delete", "watch"+c.digit, c.host)
		// Of a host that was found once, the beginnings are queued, and no more.
		w.set("add", "cut"+c.digit, c.host+" . "+c.host)
		if n := w.during(say("443", helloOf(chromeSuites), "more", "and more")); n < 2 || n > 8 {
			t.Errorf("IPv%s: %d packets are queued of a connection of a host that was found once", c.digit, n)
		}
		if n := w.during(func() { w.udp("c1", net.JoinHostPort(c.server, "7000"), 500, 30) }); n != 1 {
			t.Errorf("IPv%s: %d packets of long UDP are queued of a host that was found once, want 1", c.digit, n)
		}
		w.set("delete", "cut"+c.digit, c.host+" . "+c.host)
		if n := w.during(say("443", helloOf(chromeSuites))); n != 0 {
			t.Errorf("IPv%s: %d packets are queued after it was forgotten", c.digit, n)
		}
	}
	// A datagram after a question for a name, in the same flow.
	port := 20000 + int(lastPort.Add(1))
	w.sayFrom(port, "c1", "192.0.2.2:53", asks("www.example.org"), 1)
	if n := w.during(func() { w.sayFrom(port, "c1", "192.0.2.2:53", "\x27\x00\x00\x00\xa9\x80KaZaA\x00", 1) }); n != 1 {
		t.Errorf("a ping of FastTrack after a question for a name: %d packets are queued, want 1", n)
	}
}

// asks returns a question for a name. An echo of it will do as an answer.
func asks(name string) string {
	b := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return string(b) + "\x00\x00\x01\x00\x01"
}

// partNames tests which answers of name servers are queued: of the router's own, and of those
// outside.
func partNames(t *testing.T, w *world) {
	w.load("config protocol gnutella\nlist name *.gtkgnutella.com\nlist name a.b.cd\nlist name router.example.org\nlist name cache.ce3c.be\n" + justNames)
	long := strings.Repeat("l", 40) + "."
	for _, x := range []struct {
		name   string
		queued int
	}{
		{"www.example.org", 0},
		{"tracker.example.org", 0},
		{"gtkgnutella.com.example.org", 0},
		{"router.example.org", 1},
		{"RoUtEr.eXaMpLe.ORG", 1},
		{"cache.ce3c.be", 1},
		{"cache.ce.be", 0},
		{"a.b.cd", 1},
		{"a.b.de", 0},
		{"c.gtkgnutella.com", 1},
		{"ca.gtkgnutella.com", 1},
		{"cac.gtkgnutella.com", 1},
		{"cach.gtkgnutella.com", 1},
		{"cache.gtkgnutella.com", 1},
		{"cache1.gtkgnutella.com", 1},
		{"cache12.gtkgnutella.com", 1},
		{"cache123.GTKgnutella.com", 1},
		{"a.cache123.gtkgnutella.com", 1},
		{"b.a.cache123.gtkgnutella.com", 1},
		{long + "c.gtkgnutella.com", 1},
		{long + "cache1.example.gtkgnutella.com", 1}, // it begins at byte 56, the last
		{"cache.gtk.com", 0},
	} {
		for _, server := range []string{"192.0.2.2:53", "[fd09::2]:53", "10.1.0.1:53", "[fd01::1]:53"} {
			w.say("c1", server, asks("www.example.org"), 1) // the first in a while is queued
			if n := w.during(func() { w.say("c1", server, asks(x.name), 1) }); n != x.queued {
				t.Errorf("%s, asked of %s: %d packets are queued, want %d", x.name, server, n, x.queued)
			}
		}
	}
	// A flow with a name server is never decided, or its answers would pass unseen.
	if n := w.during(func() {
		port := 20000 + int(lastPort.Add(1))
		w.sayFrom(port, "c1", "192.0.2.2:53", asks("www.example.org"), 2*udpPackets)
		w.sayFrom(port, "c1", "192.0.2.2:53", asks("router.example.org"), 3)
	}); n != 3 {
		t.Errorf("after many answers in one flow %d of 3 answers are queued", n)
	}
	// What the kernel cannot tell is queued, all of it.
	w.load("config protocol gnutella\nlist name *.b.cd\n" + justNames)
	if n := w.during(func() { w.say("c1", "192.0.2.2:53", asks("www.example.org"), 1) }); n != 1 {
		t.Errorf("with a name that the kernel cannot tell, %d answers are queued, want 1", n)
	}
}

// justNames leaves Gnutella alone, whose section is before it.
var justNames = strings.Replace(alone, "config protocol gnutella\noption mode off\n", "", 1)

// got returns how many packets of a kind a host gets while f runs. For TCP it counts only
// packets that open a connection, because others may be retransmitted.
func (w *world) got(host, proto, match string, f func()) int {
	w.t.Helper()
	if proto == "tcp" {
		match += " tcp flags & (syn | ack) == syn"
	}
	w.sh(host, "nft 'table inet got { chain c { type filter hook input priority 0; "+proto+" "+match+" counter\n}\n}'")
	defer w.sh(host, "nft delete table inet got")
	f()
	n, _ := strconv.Atoi(gotCounter.FindStringSubmatch(w.sh(host, "nft list table inet got"))[1])
	return n
}

var gotCounter = regexp.MustCompile(`counter packets (\d+)`)

// The port on which c1 listens, a port from which it sends, and a port of another program.
const (
	listenPort = 7004
	sendPort   = 7005
	otherPort  = 7006
	// watchedPort is the port on which c1 listens in partWatched.
	watchedPort = 7008
)

// partOwn tests a client's own ports: they are closed in both directions, and all other
// traffic of its host passes.
func partOwn(t *testing.T, w *world) {
	w.load("")
	w.echo("c1", listenPort)
	w.echo("c1", otherPort)
	w.echo("c2", listenPort)
	for _, c := range []struct{ set, host, to, at, neighbour string }{
		{"own4", "10.1.0.2", "192.0.2.2:7000", "10.1.0.2", "10.2.0.2"},
		{"own6", "fd01::2", "[fd09::2]:7000", "[fd01::2]", "[fd02::2]"},
	} {
		element := func(what, proto string, port int) {
			w.forget()
			w.set(what, c.set, fmt.Sprintf("%s . %s . %d", c.host, proto, port))
		}
		long, small := string(make([]byte, 500)), string(make([]byte, 30))
		// out returns how many packets from a port of c1 reach the server. in returns how
		// many packets from the server reach a port of c1.
		out := func(proto string, port int) int {
			return w.got("s", proto, fmt.Sprintf("sport %d", port), func() {
				if proto == "tcp" {
					w.refused().tcpFrom(port, "c1", c.to, 100)
				} else {
					w.refused().sayFrom(port, "c1", c.to, long, 1)
				}
			})
		}
		in := func(proto string, port int) int {
			return w.got("c1", proto, fmt.Sprintf("dport %d", port), func() {
				to := fmt.Sprintf("%s:%d", c.at, port)
				if proto == "tcp" {
					w.refused().tcp("s", to, 100)
				} else {
					w.refused().say("s", to, long, 1)
				}
			})
		}
		for _, proto := range []string{"udp", "tcp"} {
			other := map[string]string{"udp": "tcp", "tcp": "udp"}[proto]
			if out(proto, sendPort) == 0 || in(proto, listenPort) == 0 {
				t.Errorf("%s, %s: cut before", c.set, proto)
			}
			w.sh("r", "conntrack -F")
			element("add", proto, sendPort)
			element("add", proto, listenPort)
			if n := out(proto, sendPort); n != 0 {
				t.Errorf("%s, %s: %d packets go out from the port", c.set, proto, n)
			}
			if n := in(proto, listenPort); n != 0 {
				t.Errorf("%s, %s: %d packets come in at the port", c.set, proto, n)
			}
			if out(other, sendPort) == 0 || in(other, listenPort) == 0 {
				t.Errorf("%s, %s: the same port of %s is cut too", c.set, proto, other)
			}
			if out(proto, otherPort+1) == 0 || in(proto, otherPort) == 0 {
				t.Errorf("%s, %s: another port is cut too", c.set, proto)
			}
			if w.sayFrom(sendPort, "c2", c.to, long, 3) != 3 || !w.tcpFrom(sendPort, "c2", c.to, 100) ||
				w.say("s", fmt.Sprintf("%s:%d", c.neighbour, listenPort), long, 1) != 1 {
				t.Errorf("%s, %s: another host is cut too", c.set, proto)
			}
			to := c.neighbour + ":7000"
			if w.sayFrom(sendPort, "c1", to, long, 3) != 3 || !w.tcpFrom(sendPort, "c1", to, 100) {
				t.Errorf("%s, %s: the LAN is cut too", c.set, proto)
			}
			// All other traffic of the host is queued like that of any host.
			if n := w.during(func() {
				if w.udp("c1", c.to, 30, 100) != 100 {
					t.Errorf("%s, %s: small UDP of another port does not pass", c.set, proto)
				}
			}); n != udpPackets {
				t.Errorf("%s, %s: %d packets of small UDP are queued, want %d", c.set, proto, n, udpPackets)
			}
			if n := w.during(func() {
				if !w.tcp("c1", c.to, 1<<20) {
					t.Errorf("%s, %s: much TCP of another port does not pass", c.set, proto)
				}
			}); n < 2 || n > 1+tcpPackets {
				t.Errorf("%s, %s: %d packets of much TCP are queued", c.set, proto, n)
			}
			element("delete", proto, sendPort)
			element("delete", proto, listenPort)
			if out(proto, sendPort) == 0 || in(proto, listenPort) == 0 {
				t.Errorf("%s, %s: still cut", c.set, proto)
			}
		}

		// Some dropped packets go to the queue: one packet in a long time, and small UDP more
		// often.
		element("add", "udp", sendPort)
		if n := w.during(func() {
			for range 5 {
				w.refused().sayFrom(sendPort, "c1", c.to, long, 1)
			}
		}); n != 1 {
			t.Errorf("%s: %d packets of long UDP are sampled, want 1", c.set, n)
		}
		if n := w.during(func() {
			for range 5 {
				w.refused().sayFrom(sendPort, "c1", c.to, small, 1)
				time.Sleep(talkEvery)
			}
		}); n != 5 && !w.ipset || n < 1 { // ipset counts in seconds
			t.Errorf("%s: %d packets of small UDP are sampled, want 5", c.set, n)
		}
		element("delete", "udp", sendPort)

		// A decided flow goes on until its connection is deleted.
		if w.sayFrom(sendPort, "c1", c.to, small, udpPackets+5) != udpPackets+5 {
			t.Errorf("%s: still cut", c.set)
		}
		element("add", "udp", sendPort)
		element("add", "tcp", listenPort)
		if out("udp", sendPort) != 1 {
			t.Errorf("%s: a decided flow meets the sets", c.set)
		}
		w.in("r", func() {
			ports := map[nfq.HostPort]struct{}{{Addr: nfq.AddrFrom(netip.MustParseAddr(c.host)), Proto: nfq.ProtoUDP, Port: sendPort}: {}}
			if n, err := nfq.CutFlows(nfq.Marks{}, nil, ports, nil, lans, nil); n != 1 || err != nil {
				t.Errorf("%s: %d connections went, error %v", c.set, n, err)
			}
		})
		if n := out("udp", sendPort); n != 0 {
			t.Errorf("%s: %d packets of what was decided go out", c.set, n)
		}
		// The controls: the rules of one direction are missing.
		for _, open := range []struct {
			what            string
			edit            *strings.Replacer
			outward, inward bool
		}{
			{"outbound", strings.NewReplacer("@own4 goto blocked", "@own4", "@own6 goto blocked", "@own6", "src,src -g p2pwall-blocked", "src,src"), true, false},
			{"inbound", strings.NewReplacer("@own4 goto gone", "@own4", "@own6 goto gone", "@own6", "dst,dst -j DROP", "dst,dst"), false, true},
		} {
			w.edit = open.edit
			w.load("")
			if o, i := out("udp", sendPort) != 0, in("tcp", listenPort) != 0; o != open.outward || i != open.inward {
				t.Errorf("%s: the control without the rules %s: out %v, in %v", c.set, open.what, o, i)
			}
			w.edit = nil
			w.load("")
		}
		element("delete", "udp", sendPort)
		element("delete", "tcp", listenPort)
	}
}

// conversation is a TCP connection whose other end echoes what it gets.
type conversation struct {
	t *testing.T
	net.Conn
}

// talk opens a conversation.
func (w *world) talk(host, to string) *conversation {
	w.t.Helper()
	c := &conversation{t: w.t}
	w.in(host, func() {
		conn, err := net.DialTimeout("tcp", to, w.patience)
		if err != nil {
			w.t.Error(err)
			return
		}
		// A reset ends it at once. A FIN might be sent again later, and be queued then.
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
			w.t.Error(err)
		}
		c.Conn = conn
	})
	if c.Conn == nil {
		w.t.FailNow()
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// say sends a small segment count times and waits for each answer.
func (c *conversation) say(count int) {
	c.t.Helper()
	b := make([]byte, 100)
	for range count {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(b); err != nil {
			c.t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			c.t.Fatal(err)
		}
	}
}

// marked reports whether the connections to or from a port have the mark.
func (w *world) marked(network, port string, mark uint32) (all bool, list string) {
	w.t.Helper()
	list = w.sh("r", "(conntrack -L -p "+network+"; conntrack -L -f ipv6 -p "+network+") 2> /dev/null")
	n := 0
	all = true
	for _, l := range strings.Split(list, "\n") {
		if strings.Contains(l, "dport="+port+" ") {
			n++
			all = all && strings.Contains(l, fmt.Sprintf("mark=%d ", mark))
		}
	}
	return all && n > 0, list
}

// partWatched tests watched hosts: their packets on undecided connections are queued for as
// long as the host is watched.
func partWatched(t *testing.T, w *world) {
	netns.Need(t, "conntrack")
	w.echo("c1", watchedPort)
	for _, w.old = range []bool{false, true} {
		w.load("")
		watched(t, w)
	}
	w.old = false
	w.load("")
}

func watched(t *testing.T, w *world) {
	marks := nfq.DefaultMarks()
	w.sh("r", "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose")
	defer w.sh("r", "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose")
	const most = 2 * tcpPackets
	for _, c := range []struct{ set, host, server, at string }{
		{"watch4", "10.1.0.2", "192.0.2.2", "10.1.0.2:7008"},
		{"watch6", "fd01::2", "fd09::2", "[fd01::2]:7008"},
	} {
		to := net.JoinHostPort(c.server, "7000")
		// Packets of an old connection, opened in either direction, and of another host.
		for _, x := range []struct {
			what, from, to string
			watched        int // packets queued while c1 is watched
		}{
			{"of it", "c1", to, 1 + 2*most},         // including the SYN, and what comes in
			{"from outside", "s", c.at, 1 + 2*most}, // including the SYN-ACK of c1
			{"of another host", "c2", to, 1 + tcpPackets},
		} {
			for _, on := range []bool{false, true} {
				if on {
					w.set("add", c.set, c.host)
				}
				w.sh("r", "conntrack -F")
				var talk *conversation
				n := w.during(func() {
					talk = w.talk(x.from, x.to)
					talk.say(most)
				})
				_, port, _ := net.SplitHostPort(x.to)
				decided, list := w.marked("tcp", port, marks.Decided)
				if want := !on || x.watched <= 1+tcpPackets; decided != want {
					t.Errorf("%s, a connection %s, watched %v: decided %v:\n%s", c.set, x.what, on, decided, list)
				}
				// Acknowledgements without data count too. On a busy machine, segments may be
				// retransmitted. That does not raise the count where only the first packets
				// are queued.
				again := 0
				if on && x.watched > 1+tcpPackets {
					again = 4
				}
				if again > 0 && n < x.watched || n < 2 || n > x.watched+again {
					t.Errorf("%s, a connection %s, watched %v: %d packets are queued, %d", c.set, x.what, on, n, x.watched)
				}
				talk.Close()
				if on {
					w.set("delete", c.set, c.host)
				}
			}
		}
		// Packets of a decided connection, after it became undecided again.
		talk := w.talk("c1", to)
		talk.say(most)
		w.set("add", c.set, c.host)
		if n := w.during(func() { talk.say(5) }); n != 0 {
			t.Errorf("%s: %d packets of a decided connection are queued", c.set, n)
		}
		hosts := map[nfq.Addr]struct{}{nfq.AddrFrom(netip.MustParseAddr(c.host)): {}}
		w.in("r", func() {
			if n, err := nfq.CutFlows(marks, nil, nil, hosts, lans, func(uint8, uint16) bool { return false }); n < 1 || err != nil {
				t.Errorf("%s: %d connections are undecided, error %v", c.set, n, err)
			}
		})
		if n := w.during(func() { talk.say(5) }); n != 10 {
			t.Errorf("%s: %d packets of a connection that is undecided again are queued, want 10", c.set, n)
		}
		w.set("delete", c.set, c.host)
		if n := w.during(func() { talk.say(5) }); n != 0 {
			t.Errorf("%s: %d packets are queued of a host that is watched no more", c.set, n)
		}
		talk.Close()

		// Packets of no connection.
		from := netip.AddrPortFrom(netip.MustParseAddr(c.host), 7777)
		server := netip.AddrPortFrom(netip.MustParseAddr(c.server), 7778)
		segments := func(host string, from, to netip.AddrPort, flags byte, payload string) int {
			return w.during(func() {
				w.inject(host, 3, func(int) []byte { return segment(from, to, flags, []byte(payload)) })
			})
		}
		long := strings.Repeat("x", 100)
		for _, on := range []bool{false, true} {
			want := 0
			if on {
				w.set("add", c.set, c.host)
				want = 3
			}
			for _, x := range []struct {
				what string
				n    int
				want int
			}{
				{"pushed data", segments("c1", from, server, nfq.ACK|nfq.PSH, "x"), want},
				{"data", segments("c1", from, server, nfq.ACK, long), want},
				{"acknowledgements", segments("c1", from, server, nfq.ACK, ""), want},
				{"SYN-ACKs", segments("c1", from, server, nfq.SYN|nfq.ACK, ""), want},
				{"resets", segments("c1", from, server, nfq.RST|nfq.ACK, ""), 0},
				{"data from outside", segments("s", server, from, nfq.ACK|nfq.PSH, long), 0},
			} {
				if x.n != x.want {
					t.Errorf("%s, watched %v: %d of %s of no connection are queued, want %d", c.set, on, x.n, x.what, x.want)
				}
			}
		}
		// Packets as they come back from the queue with a verdict.
		if w.flavour == "" && !w.old {
			w.sh("r", fmt.Sprintf("nft 'table inet verdict { chain c { type filter hook forward priority -11; tcp dport 7778 meta mark set %d\n}\n}'", marks.Decided))
			if n := segments("c1", from, server, nfq.ACK, long); n != 0 {
				t.Errorf("%s: %d packets that a verdict brings back are queued again", c.set, n)
			}
			w.sh("r", "nft delete table inet verdict")
		}
		w.set("delete", c.set, c.host)
	}
	// Only so much of what comes in is queued.
	w.edit = strings.NewReplacer("limit rate 500/second burst 250 packets", "limit rate 1/hour burst 5 packets", "--limit 500/sec --limit-burst 250", "--limit 1/hour --limit-burst 5")
	w.load("")
	w.set("add", "watch4", "10.1.0.2")
	if n := w.during(func() { w.talk("c1", serverFour).say(most) }); n < 1+most || n > 1+most+10 {
		t.Errorf("%d packets are queued with a limit of 5 for those that come in", n)
	}
	w.set("delete", "watch4", "10.1.0.2")
	// The control: without the rule for inbound packets, those decide the connection.
	w.edit = strings.NewReplacer("ip daddr @watch4 goto heard_watched", "ip daddr @watch4", "ip daddr @watch4 goto watched", "ip daddr @watch4", "dst -g p2pwall-heard-watched", "dst")
	w.load("")
	w.set("add", "watch4", "10.1.0.2")
	if n := w.during(func() { w.talk("c1", serverFour).say(most) }); n > 1+tcpPackets {
		t.Errorf("the control without the rule inbound: %d packets are queued", n)
	}
	w.set("delete", "watch4", "10.1.0.2")
	w.edit = nil
	w.load("")
}

// partDecided marks packets as the daemon's verdict does, and checks the marks of their
// connections.
func partDecided(t *testing.T, w *world) {
	decided(t, w, "7001")
	if w.flavour == "" {
		w.old = true
		w.load("")
		decided(t, w, "7003")
		w.old = false
		w.load("")
	}
}

func decided(t *testing.T, w *world, port string) {
	netns.Need(t, "conntrack")
	verdict := nfq.DefaultMarks().Decided
	// The chain is between our chain and the one after the queue. If a verdict sends packets
	// through our chain again, it is before ours. It does not mark the SYN.
	priority, seen := -10, 1
	if w.flavour == "" && !w.old {
		priority, seen = -11, 0
	}
	to := "192.0.2.2:" + port
	if n := w.during(func() { w.udp("c1", to, 30, 10) }); n != 10 {
		t.Errorf("the control: %d packets of small UDP are queued, want 10", n)
	}
	w.sh("r", fmt.Sprintf(`nft 'table inet verdict { chain c {
		type filter hook forward priority %d;
		udp dport %s meta mark set %d
		tcp dport %s tcp flags & psh == psh meta mark set %d
	}
	}'`, priority, port, verdict, port, verdict))
	w.sh("r", "conntrack -F")
	n := w.during(func() {
		if w.udp("c1", to, 30, 10) != 10 {
			t.Error("decided UDP does not pass")
		}
	})
	if n != seen {
		t.Errorf("%d packets of decided UDP are queued, want %d", n, seen)
	}
	n = w.during(func() { w.talk("c1", to).say(10) })
	if n != 1+seen {
		t.Errorf("%d packets of decided TCP are queued, want %d", n, 1+seen)
	}
	for _, proto := range []string{"tcp", "udp"} {
		if ok, list := w.marked(proto, port, verdict); !ok {
			t.Errorf("decided %s is not marked:\n%s", proto, list)
		}
	}
	w.sh("r", "nft delete table inet verdict")
}

// partOneSide tests connections in which only the outside sends data. The data is not queued,
// but the connection is still decided.
func partOneSide(t *testing.T, w *world) {
	w.load("")
	w.sh("r", "conntrack -F")
	for i, host := range []string{"192.0.2.2", "fd09::2"} {
		port := 7020 + i
		to := net.JoinHostPort(host, strconv.Itoa(port))
		w.in("s", func() {
			l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					for range 20 * tcpPackets {
						_, _ = c.Write(make([]byte, 1000))
						time.Sleep(time.Millisecond)
					}
					c.Close()
				}
			}()
		})
		if n := w.during(func() {
			w.in("c1", func() {
				c, err := net.DialTimeout("tcp", to, w.patience)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(w.patience))
				if n, err := io.Copy(io.Discard, c); n != 20*tcpPackets*1000 {
					t.Errorf("%s: %d bytes, error %v", to, n, err)
				}
			})
		}); n != 1 {
			t.Errorf("%s: %d packets are queued where only the server speaks, want the SYN", to, n)
		}
		if ok, list := w.marked("tcp", strconv.Itoa(port), nfq.DefaultMarks().Decided); !ok {
			t.Errorf("%s: a connection where only the server speaks is not decided:\n%s", to, list)
		}
	}
	// UDP: one packet out and many in.
	w.in("s", func() {
		u, err := net.ListenPacket("udp", ":7022")
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { u.Close() })
		go func() {
			b := make([]byte, 100)
			for {
				_, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				for range udpPackets + 5 {
					_, _ = u.WriteTo(b[:30], from)
				}
			}
		}()
	})
	for _, to := range []string{"192.0.2.2:7022", "[fd09::2]:7022"} {
		if n := w.during(func() {
			w.in("c1", func() {
				c, err := net.Dial("udp", to)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				_, _ = c.Write([]byte("go on"))
				b := make([]byte, 100)
				for i := range udpPackets + 5 {
					_ = c.SetReadDeadline(time.Now().Add(w.patience))
					if _, err := c.Read(b); err != nil {
						t.Errorf("%s: %d packets come: %v", to, i, err)
						return
					}
				}
			})
		}); n != 1 {
			t.Errorf("%s: %d packets are queued where only the server speaks, want 1", to, n)
		}
	}
	if ok, list := w.marked("udp", "7022", nfq.DefaultMarks().Decided); !ok {
		t.Errorf("UDP where only the server speaks is not decided:\n%s", list)
	}
}

// partUnasked tests packets from outside that no LAN host asked for or answered. Without the
// rule for them, all would be queued. The control shows that.
func partUnasked(t *testing.T, w *world) {
	w.load("")
	// One port of the router is forwarded to c1. Another is forwarded to an open port of c1.
	w.sh("r", `nft 'table ip forward { chain c {
		type nat hook prerouting priority -100;
		iifname wan0 tcp dport 7100 dnat to 10.1.0.2:7100
		iifname wan0 tcp dport 7101 dnat to 10.1.0.2:7000
		iifname wan0 udp dport 7100 dnat to 10.1.0.2:7100
	}
	}'`)
	defer w.sh("r", "nft delete table ip forward")
	w.echo("c1", 7000) // somebody listens at one of the ports
	const count = 2000
	give := []byte("GIVE 1\r\n")
	answer := append([]byte{0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1}, asks("router.bittorrent.com")[8:]...)
	cases := []struct {
		what string
		to   netip.AddrPort
		udp  bool
	}{
		{"segments, IPv6", netip.MustParseAddrPort("[fd01::2]:7100"), false},
		{"segments to an open port, IPv6", netip.MustParseAddrPort("[fd01::2]:7000"), false},
		{"segments, IPv4", netip.MustParseAddrPort("10.1.0.2:7100"), false},
		{"segments to a forwarded port", netip.MustParseAddrPort("192.0.2.1:7100"), false},
		{"segments to a forwarded port that is open", netip.MustParseAddrPort("192.0.2.1:7101"), false},
		{"DNS answers, IPv6", netip.MustParseAddrPort("[fd01::2]:7100"), true},
		{"DNS answers, IPv4", netip.MustParseAddrPort("10.1.0.2:7100"), true},
		{"DNS answers to a forwarded port", netip.MustParseAddrPort("192.0.2.1:7100"), true},
	}
	// flood sends packets of all cases. It expects that many queued DNS answers, and no other
	// queued packets.
	flood := func(answers int) {
		t.Helper()
		for _, c := range cases {
			want := 0
			if c.udp {
				want = answers
			}
			from := netip.MustParseAddr("192.0.2.2")
			if c.to.Addr().Is6() {
				from = netip.MustParseAddr("fd09::2")
			}
			n := w.during(func() {
				w.inject("s", count, func(i int) []byte {
					if c.udp {
						return datagram(netip.AddrPortFrom(from, 53), c.to, answer)
					}
					return segment(netip.AddrPortFrom(from, uint16(20000+i)), c.to, nfq.PSH|nfq.ACK, give)
				})
			})
			// The kernel may lose some under load, but must not queue any more than expected.
			if n > want || n < want*9/10 {
				t.Errorf("of %d unasked-for %s %d packets are queued, want %d", count, c.what, n, want)
			}
		}
	}
	flood(0)
	// A watched host gets these packets too: the firewall decides whether they pass.
	for _, e := range [][2]string{{"watch4", "10.1.0.2"}, {"watch6", "fd01::2"}} {
		w.set("add", e[0], e[1])
	}
	before := w.received("c1")
	flood(0)
	if n := w.received("c1") - before; n < len(cases)*count*9/10 {
		t.Errorf("a host that is watched gets %d of %d packets that nobody asked for", n, len(cases)*count)
	}
	for _, e := range [][2]string{{"watch4", "10.1.0.2"}, {"watch6", "fd01::2"}} {
		w.set("delete", e[0], e[1])
	}
	// The data that the LAN side sends on a connection from outside is queued, with a
	// forwarded port and without.
	for _, to := range []string{"10.2.0.2:7000", "[fd02::2]:7000", "192.0.2.1:7101"} {
		if n := w.during(func() {
			if !w.tcp("s", to, 100) {
				t.Errorf("%s cannot be reached from outside", to)
			}
		}); n != 1 {
			t.Errorf("%s: %d packets of an echo are queued, want 1", to, n)
		}
	}
	w.forget()
	if n := w.during(func() { w.say("c1", "192.0.2.2:53", asks("router.bittorrent.com"), 1) }); n != 2 {
		t.Errorf("%d packets of a question for a listed name are queued, want 2", n)
	}
	// The control: the same without the rule.
	w.edit = strings.NewReplacer("ct status seen-reply goto", "goto", "-m conntrack --ctstatus SEEN_REPLY -g", "-g")
	w.load("")
	flood(count)
	w.edit = nil
	w.load("")
}

// received returns how many IP packets a host has received, from the host's own counters.
func (w *world) received(host string) (n int) {
	w.t.Helper()
	for _, l := range strings.Split(w.sh(host, "cat /proc/net/snmp /proc/net/snmp6"), "\n") {
		f := strings.Fields(l)
		switch {
		case len(f) > 3 && f[0] == "Ip:" && f[3] != "InReceives":
			x, _ := strconv.Atoi(f[3])
			n += x
		case len(f) == 2 && f[0] == "Ip6InReceives":
			x, _ := strconv.Atoi(f[1])
			n += x
		}
	}
	return n
}

// inject sends made-up IP packets, all of one IP version, from a host.
func (w *world) inject(host string, count int, packet func(i int) []byte) {
	w.in(host, func() {
		domain := unix.AF_INET
		if packet(0)[0]>>4 == 6 {
			domain = unix.AF_INET6
		}
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			w.t.Error(err)
			return
		}
		defer unix.Close(fd)
		for i := range count {
			b := packet(i)
			var to unix.Sockaddr
			if domain == unix.AF_INET {
				to = &unix.SockaddrInet4{Addr: [4]byte(b[16:20])}
			} else {
				to = &unix.SockaddrInet6{Addr: [16]byte(b[24:40])}
			}
			if err := unix.Sendto(fd, b, 0, to); err != nil {
				w.t.Error(err)
				return
			}
		}
	})
}

// segment makes a TCP segment with its IP header. datagram makes a UDP datagram with its IP
// header.
func segment(from, to netip.AddrPort, flags byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = append(b, 0, 0, 1, 0, 0, 0, 2, 0, 5<<4, flags, 0x40, 0, 0, 0, 0, 0)
	return ipPacket(from.Addr(), to.Addr(), nfq.ProtoTCP, 16, append(b, payload...))
}

func datagram(from, to netip.AddrPort, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return ipPacket(from.Addr(), to.Addr(), nfq.ProtoUDP, 6, append(append(b, 0, 0), payload...))
}

// ipPacket adds an IP header to a transport header and its payload. It writes the checksum of
// the transport header.
func ipPacket(from, to netip.Addr, proto byte, sumAt int, b []byte) []byte {
	pseudo := append(append(from.AsSlice(), to.AsSlice()...), 0, proto)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(b)))
	var sum uint32
	for _, part := range [][]byte{pseudo, b} {
		for i := range part {
			sum += uint32(part[i]) << (8 * (1 - i&1))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[sumAt:], ^uint16(sum))
	if from.Is4() {
		head := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0} // the kernel fills in the rest
		return append(append(append(head, from.AsSlice()...), to.AsSlice()...), b...)
	}
	head := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(b)))
	head = append(head, proto, 64)
	return append(append(append(head, from.AsSlice()...), to.AsSlice()...), b...)
}
