// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

const testQueue = 214

// family is what differs between the IPv4 run and the IPv6 run of a test.
type family struct {
	name, iptables, loopback string
	version                  uint8
}

var families = []family{
	{"IPv4", "iptables", "127.0.0.1", 4},
	{"IPv6", "ip6tables", "::1", 6},
}

// soon returns a deadline. It only limits how long a failing test waits.
func soon() time.Time { return time.Now().Add(20 * time.Second) }

func openQueue(t *testing.T, c Config) *Queue {
	t.Helper()
	c.Num = testQueue
	q, degraded, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range degraded {
		t.Errorf("this kernel lacks nothing, but: %s", line)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// queueUDP adds a rule that queues UDP packets to the ports 7000 to 7999.
func queueUDP(t *testing.T, f family, more ...string) {
	t.Helper()
	netns.Run(t, "", f.iptables, append([]string{
		"-w", "-t", "mangle", "-A", "OUTPUT", "-p", "udp", "--dport", "7000:7999",
		"-j", "NFQUEUE", "--queue-num", fmt.Sprint(testQueue),
	}, more...)...)
}

func listenUDP(t *testing.T, f family, port uint16) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.loopback), port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(soon()); err != nil {
		t.Fatal(err)
	}
	return c
}

func dialUDP(t *testing.T, f family, port uint16) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.loopback), port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// recvAll calls handle for n packets.
func recvAll(t *testing.T, q *Queue, n int, handle func(i int, p *Packet) Verdict) {
	t.Helper()
	for seen := 0; seen < n; {
		k, err := q.Recv(soon())
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			t.Fatalf("%d packets of %d came", seen, n)
		}
		for i := range k {
			q.Verdict(i, handle(seen, q.Packet(i)))
			seen++
		}
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueueVerdicts(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			netns.Enter(t)
			// Another program's mark. It must survive ours.
			netns.Run(t, "", f.iptables, "-w", "-t", "mangle", "-A", "OUTPUT", "-j", "MARK", "--set-mark", "0x100")
			queueUDP(t, f)
			for _, rule := range []string{"7000 0x100", "7002 0x5000100"} {
				port, mark, _ := strings.Cut(rule, " ")
				netns.Run(t, "", f.iptables, "-w", "-A", "OUTPUT", "-p", "udp", "--dport", port, "-m", "mark", "--mark", mark)
			}
			q := openQueue(t, Config{Marks: testMarks})
			const rounds = 100
			verdicts := []Verdict{Accept, Drop, AcceptDecided}
			listeners := make([]*net.UDPConn, len(verdicts))
			for i := range verdicts {
				listeners[i] = listenUDP(t, f, uint16(7000+i))
			}
			senders := make([]*net.UDPConn, len(verdicts))
			for i := range verdicts {
				senders[i] = dialUDP(t, f, uint16(7000+i))
			}
			for round := range rounds {
				for i := range senders {
					write(t, senders[i], fmt.Appendf(nil, "round %d", round))
				}
			}
			loopback := AddrFrom(netip.MustParseAddr(f.loopback))
			recvAll(t, q, rounds*len(verdicts), func(i int, p *Packet) Verdict {
				kind := i % len(verdicts)
				want := fmt.Sprintf("round %d", i/len(verdicts))
				local := senders[kind].LocalAddr().(*net.UDPAddr).AddrPort().Port()
				if p.Version != f.version || p.Proto != ProtoUDP || p.Hook != HookOutput ||
					p.Src != loopback || p.Dst != loopback ||
					p.SrcPort != local || p.DstPort != uint16(7000+kind) ||
					string(p.Payload) != want || p.PayloadLen != len(want) || p.Mark != 0x100 ||
					p.InDev != 0 || p.OutDev != 1 || p.Fragment || p.MoreFragments {
					t.Fatalf("packet %d: got %+v, want payload %q", i, p, want)
				}
				return verdicts[kind]
			})
			var buf [64]byte
			for kind, l := range listeners {
				if verdicts[kind] == Drop {
					continue
				}
				for round := range rounds {
					n, err := l.Read(buf[:])
					if want := fmt.Sprintf("round %d", round); err != nil || string(buf[:n]) != want {
						t.Fatalf("verdict %d: got %q, %v, want %q", verdicts[kind], buf[:n], err, want)
					}
				}
			}
			// The dropped packets were sent before others that have arrived.
			if got := pendingBytes(t, listeners[1]); got != 0 {
				t.Errorf("a dropped packet arrived (%d bytes)", got)
			}
			counts := netns.Run(t, "", f.iptables, "-w", "-nvxL", "OUTPUT")
			for _, rule := range []string{"dpt:7000 mark match 0x100", "dpt:7002 mark match 0x5000100"} {
				if got := ruleCount(t, counts, rule); got != rounds {
					t.Errorf("rule %q saw %d packets, want %d:\n%s", rule, got, rounds, counts)
				}
			}
			if c := q.Counters(); c.Packets != 3*rounds || c.Errors != 0 || c.Strange != 0 {
				t.Errorf("counters %+v", c)
			}
			s, err := q.Stats()
			if err != nil || s.Num != testQueue || s.Waiting != 0 || s.Dropped != 0 || s.UserDropped != 0 || s.PortID == 0 {
				t.Errorf("stats %+v, %v", s, err)
			}
		})
	}
}

// pendingBytes returns the size of the datagram that waits at c, or 0.
func pendingBytes(t *testing.T, c *net.UDPConn) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ierr error
	if err := raw.Control(func(fd uintptr) { n, ierr = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); err != nil || ierr != nil {
		t.Fatal(err, ierr)
	}
	return n
}

// ruleCount returns how many packets the rule with the given text has matched.
func ruleCount(t *testing.T, list, rule string) (n int) {
	t.Helper()
	for line := range strings.Lines(list) {
		if strings.HasSuffix(strings.TrimSpace(line), rule) {
			if _, err := fmt.Sscan(line, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no rule %q in\n%s", rule, list)
	return 0
}

// TestQueueForward routes between two hosts. The devices, the MAC and the TCP header must
// be those of the packet.
func TestQueueForward(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newRouter(t)
			netns.Run(t, "", f.iptables, "-w", "-t", "mangle", "-A", "FORWARD", "-p", "tcp", "--syn",
				"-j", "NFQUEUE", "--queue-num", fmt.Sprint(testQueue))
			q := openQueue(t, Config{})

			netns.Switch(t, r.outside)
			server := r.address(f, "outside")
			l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(server, 8000)))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			netns.Switch(t, r.inside)
			fd := connectTCP(t, server, 8000)
			defer unix.Close(fd)
			netns.Switch(t, r.router)

			if err := l.SetDeadline(soon()); err != nil {
				t.Fatal(err)
			}
			accepted := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err == nil {
					err = c.Close()
				}
				accepted <- err
				q.Wake()
			}()
			// The SYN comes again if neighbour discovery loses the first one.
			for seen := 0; ; {
				n, err := q.Recv(soon())
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					seen++
					p := q.Packet(i)
					if p.Version != f.version || p.Proto != ProtoTCP || p.Hook != HookForward ||
						p.Src != AddrFrom(r.address(f, "inside")) || p.Dst != AddrFrom(server) || p.DstPort != 8000 ||
						p.TCPFlags&(SYN|ACK|RST|FIN) != SYN || p.PayloadLen != 0 ||
						p.InDev != r.lan || p.OutDev != r.wan || p.MAC != r.insideMAC {
						t.Errorf("got %+v, router %+v", p, r)
					}
				}
				select {
				case err := <-accepted:
					if err != nil || seen == 0 {
						t.Errorf("%d SYNs seen, accept: %v", seen, err)
					}
					return
				default:
				}
			}
		})
	}
}

// TestQueueRepeat: a verdict sends the packet back to the rules. If the rules do not
// recognise its mark, the packet is queued a second time, but not a third time.
func TestQueueRepeat(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint("known ", known), func(t *testing.T) {
			f := families[0]
			r := newRouter(t)
			mark := "-m mark --mark 0x5000000/0x7000000 -j ACCEPT"
			if !known {
				mark = "-m mark --mark 0x8000000/0x8000000 -j ACCEPT"
			}
			for _, rule := range []string{mark, "-j NFQUEUE --queue-num " + fmt.Sprint(testQueue)} {
				netns.Run(t, "", f.iptables, append([]string{"-w", "-t", "mangle", "-A", "FORWARD", "-p", "udp"}, strings.Fields(rule)...)...)
			}
			q := openQueue(t, Config{Marks: testMarks})
			q.SetRepeat(true)

			netns.Switch(t, r.outside)
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.address(f, "outside"), 8000))
			l, err := net.ListenUDP("udp", to)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			netns.Switch(t, r.inside)
			c, err := net.DialUDP("udp", nil, to)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			netns.Switch(t, r.router)

			const sent = 3
			for i := range sent {
				write(t, c, []byte{byte(i)})
			}
			want := sent
			if !known {
				want *= 2
			}
			recvAll(t, q, want, func(_ int, p *Packet) Verdict {
				if p.Hook != HookForward || p.Mark != 0 && known {
					t.Errorf("got %+v", p)
				}
				return AcceptDecided
			})
			if err := l.SetDeadline(soon()); err != nil {
				t.Fatal(err)
			}
			var buf [1]byte
			for i := range sent {
				if _, err := l.Read(buf[:]); err != nil || int(buf[0]) != i {
					t.Fatalf("got %v, %v, want packet %d", buf, err, i)
				}
			}
			if known {
				if n := ruleCount(t, netns.Run(t, "", f.iptables, "-w", "-t", "mangle", "-L", "FORWARD", "-v", "-n", "-x"), "mark match 0x5000000/0x7000000"); n != sent {
					t.Errorf("%d packets came back to the rules, want %d", n, sent)
				}
			}
		})
	}
}

// router is three namespaces: a host inside, a router, a host outside.
type router struct {
	inside, router, outside *os.File
	insideMAC               MAC
	lan, wan                uint32 // the router's devices
}

var routerAddrs = map[string]string{
	"IPv4 inside": "192.0.2.10", "IPv4 outside": "198.51.100.10",
	"IPv6 inside": "2001:db8:1::10", "IPv6 outside": "2001:db8:2::10",
}

func (r *router) address(f family, host string) netip.Addr {
	return netip.MustParseAddr(routerAddrs[f.name+" "+host])
}

// newRouter leaves the test's thread in the router's namespace.
func newRouter(t *testing.T) *router {
	t.Helper()
	r := &router{}
	host := func(dev string) *os.File {
		netns.Enter(t)
		netns.Run(t, "", "ip", "link", "add", dev, "type", "veth", "peer", "name", "eth0")
		return netns.Current(t)
	}
	r.inside = host("lan")
	insideDev, err := net.InterfaceByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	copy(r.insideMAC[:], insideDev.HardwareAddr)
	r.outside = host("wan")
	netns.Enter(t)
	r.router = netns.Current(t)
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), r.router.Fd())
	for ns, dev := range map[*os.File]string{r.inside: "lan", r.outside: "wan"} {
		netns.Switch(t, ns)
		netns.Run(t, "", "ip", "link", "set", dev, "netns", path)
		netns.Run(t, "", "ip", "link", "set", "eth0", "up")
	}
	netns.Switch(t, r.router)
	for _, f := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if err := os.WriteFile("/proc/sys/"+f, []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	// Add addresses after the links are up: an address that exists before the carrier
	// does not always join its multicast group.
	addrs := func(dev, net4, net6, host string) uint32 {
		netns.Run(t, "", "ip", "link", "set", dev, "up")
		netns.Run(t, "", "ip", "addr", "add", net4+"."+host+"/24", "dev", dev)
		netns.Run(t, "", "ip", "addr", "add", net6+"::"+host+"/64", "dev", dev, "nodad")
		d, err := net.InterfaceByName(dev)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(d.Index)
	}
	r.lan = addrs("lan", "192.0.2", "2001:db8:1", "1")
	r.wan = addrs("wan", "198.51.100", "2001:db8:2", "1")
	gateway := func(ns *os.File, net4, net6 string) {
		netns.Switch(t, ns)
		addrs("eth0", net4, net6, "10")
		netns.Run(t, "", "ip", "route", "add", "default", "via", net4+".1")
		netns.Run(t, "", "ip", "-6", "route", "add", "default", "via", net6+"::1")
	}
	gateway(r.inside, "192.0.2", "2001:db8:1")
	gateway(r.outside, "198.51.100", "2001:db8:2")
	for _, ns := range []*os.File{r.inside, r.outside, r.router} {
		netns.Switch(t, ns)
		if err := netns.Settle(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// connectTCP starts a connection and does not wait for it. The caller closes the
// descriptor.
func connectTCP(t *testing.T, to netip.Addr, port int) int {
	t.Helper()
	domain := unix.AF_INET
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: port}
	if to.Is4() {
		sa.(*unix.SockaddrInet4).Addr = to.As4()
	} else {
		domain = unix.AF_INET6
		sa = &unix.SockaddrInet6{Port: port, Addr: to.As16()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		t.Fatal(err)
	}
	return fd
}

func TestQueueOverrun(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
	}{
		{"queue full", Config{MaxLen: 32}},
		{"receive buffer full", Config{MaxLen: 4096, ReadBuffer: 4096}},
		{"both, small batches", Config{MaxLen: 128, ReadBuffer: 4096, Batch: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			netns.Enter(t)
			f := families[0]
			queueUDP(t, f)
			q := openQueue(t, tt.config)
			listener, sender := listenUDP(t, f, 7000), dialUDP(t, f, 7000)
			for range 3 {
				const sent = 3000
				before, err := q.Stats()
				if err != nil {
					t.Fatal(err)
				}
				for range sent {
					// A local sender gets EPERM for a drop.
					if _, err := sender.Write([]byte("flood")); err != nil && !errors.Is(err, unix.EPERM) {
						t.Fatal(err)
					}
				}
				s, err := q.Stats()
				if err != nil {
					t.Fatal(err)
				}
				lost := s.Dropped + s.UserDropped - before.Dropped - before.UserDropped
				if lost == 0 || int(lost)+int(s.Waiting) != sent {
					t.Fatalf("sent %d, but %+v: the queue was not overrun as meant", sent, s)
				}
				recvAll(t, q, int(s.Waiting), func(_ int, p *Packet) Verdict {
					if string(p.Payload) != "flood" {
						t.Fatalf("got %+v", p)
					}
					return Drop
				})
				// The queue works as before.
				write(t, sender, []byte("after"))
				recvAll(t, q, 1, func(_ int, p *Packet) Verdict {
					if string(p.Payload) != "after" {
						t.Fatalf("got %+v", p)
					}
					return Accept
				})
				var buf [16]byte
				if n, err := listener.Read(buf[:]); err != nil || string(buf[:n]) != "after" {
					t.Fatalf("got %q, %v", buf[:n], err)
				}
			}
		})
	}
}

func TestQueueFailOpen(t *testing.T) {
	netns.Enter(t)
	f := families[0]
	queueUDP(t, f)
	q := openQueue(t, Config{MaxLen: 16, FailOpen: true})
	listener, sender := listenUDP(t, f, 7000), dialUDP(t, f, 7000)
	const sent, held = 100, 16
	for i := range sent {
		write(t, sender, []byte{byte(i)})
	}
	var buf [1]byte
	for i := held; i < sent; i++ {
		if _, err := listener.Read(buf[:]); err != nil || buf[0] != byte(i) {
			t.Fatalf("got %v, %v, want packet %d to pass", buf, err, i)
		}
	}
	recvAll(t, q, held, func(i int, p *Packet) Verdict {
		if p.Payload[0] != byte(i) {
			t.Fatalf("got packet %v, want %d", p.Payload, i)
		}
		return Accept
	})
	for i := range held {
		if _, err := listener.Read(buf[:]); err != nil || buf[0] != byte(i) {
			t.Fatalf("got %v, %v, want packet %d after its verdict", buf, err, i)
		}
	}
}

// TestQueueCloseDropsSamples closes a queue that fails open. Waiting packets pass, except
// those that the rules queued only as samples.
func TestQueueCloseDropsSamples(t *testing.T) {
	f := families[0]
	r := newRouter(t)
	const plain, sampled, sent = 8000, 8001, 5
	for _, rule := range []string{
		fmt.Sprintf("-p udp --dport %d -j MARK --set-xmark %#x/%#x", sampled, testMarks.Sample, testMarks.Mask),
		"-p udp -j NFQUEUE --queue-num " + fmt.Sprint(testQueue),
	} {
		netns.Run(t, "", f.iptables, append([]string{"-w", "-t", "mangle", "-A", "FORWARD"}, strings.Fields(rule)...)...)
	}
	for _, port := range []int{plain, sampled} {
		netns.Run(t, "", f.iptables, "-w", "-t", "mangle", "-A", "POSTROUTING", "-p", "udp", "--dport", fmt.Sprint(port))
	}
	q := openQueue(t, Config{Marks: testMarks, FailOpen: true})
	netns.Switch(t, r.inside)
	var to []*net.UDPConn
	for _, port := range []uint16{sampled, plain} {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.address(f, "outside"), port)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		to = append(to, c)
	}
	netns.Switch(t, r.router)
	for range sent {
		for _, c := range to {
			write(t, c, []byte{0})
		}
	}
	count := func(chain, rule string) int {
		return ruleCount(t, netns.Run(t, "", f.iptables, "-w", "-t", "mangle", "-L", chain, "-v", "-n", "-x"), rule)
	}
	for end := soon(); count("FORWARD", "NFQUEUE num "+fmt.Sprint(testQueue)) < 2*sent; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not all came to the queue")
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count("POSTROUTING", fmt.Sprint("udp dpt:", plain)); n != sent {
		t.Errorf("%d of %d packets went on", n, sent)
	}
	if n := count("POSTROUTING", fmt.Sprint("udp dpt:", sampled)); n != 0 {
		t.Errorf("%d samples went on", n)
	}
}

// TestQueueCopyRange cuts long packets off and still reads their headers.
func TestQueueCopyRange(t *testing.T) {
	netns.Enter(t)
	f := families[0]
	queueUDP(t, f)
	q := openQueue(t, Config{CopyRange: 40})
	listener, sender := listenUDP(t, f, 7000), dialUDP(t, f, 7000)
	write(t, sender, make([]byte, 1000))
	recvAll(t, q, 1, func(_ int, p *Packet) Verdict {
		if p.DstPort != 7000 || p.PayloadLen != 1000 || len(p.Payload) != 12 || len(p.Raw) != 40 {
			t.Errorf("got %+v", p)
		}
		return Accept
	})
	var buf [2000]byte
	if n, err := listener.Read(buf[:]); err != nil || n != 1000 {
		t.Fatalf("got %d, %v", n, err)
	}
}

func TestOpenHeld(t *testing.T) {
	netns.Enter(t)
	q := openQueue(t, Config{})
	_, _, err := Open(Config{Num: testQueue})
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "held by another program") {
		t.Errorf("second Open: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q, _, err = Open(Config{Num: testQueue})
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	q.Close()
}

func TestOpenUnprivileged(t *testing.T) {
	netns.Enter(t)
	dropCaps(t)
	_, _, err := Open(Config{Num: testQueue})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("Open without privilege: %v", err)
	}
}

// dropCaps takes CAP_NET_ADMIN and CAP_NET_RAW from the test's thread. enterNetNS has
// locked that thread, and it ends with the test.
func dropCaps(t *testing.T) {
	t.Helper()
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		t.Fatal(err)
	}
	d[0].Effective &^= 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	if err := unix.Capset(&h, &d[0]); err != nil {
		t.Fatal(err)
	}
}

// TestClose leaves packets without a verdict, some of them received.
func TestClose(t *testing.T) {
	for _, failOpen := range []bool{true, false} {
		t.Run(fmt.Sprint("fail open ", failOpen), func(t *testing.T) {
			netns.Enter(t)
			f := families[0]
			queueUDP(t, f, "--queue-bypass")
			q := openQueue(t, Config{FailOpen: failOpen, Batch: 2})
			listener, sender := listenUDP(t, f, 7000), dialUDP(t, f, 7000)
			const sent = 5
			for i := range sent {
				write(t, sender, []byte{byte(i)})
			}
			if n, err := q.Recv(soon()); n != 2 || err != nil {
				t.Fatal(n, err)
			}
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			want := []byte{0, 1, 2, 3, 4, 100}
			if !failOpen {
				want = []byte{0, 1, 100}
			}
			write(t, sender, []byte{100}) // passes by the rule's bypass
			for _, w := range want {
				var buf [1]byte
				if _, err := listener.Read(buf[:]); err != nil || buf[0] != w {
					t.Fatalf("got %d, %v, want %d", buf[0], err, w)
				}
			}
		})
	}
}

// TestOpenUnderTraffic opens a queue while its rule already sends packets to it.
func TestOpenUnderTraffic(t *testing.T) {
	netns.Enter(t)
	f := families[0]
	queueUDP(t, f)
	sender := dialUDP(t, f, 7000)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = sender.Write([]byte("early"))
			}
		}
	})
	for range 30 {
		q := openQueue(t, Config{})
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestWake(t *testing.T) {
	netns.Enter(t)
	q := openQueue(t, Config{})
	const rounds = 2000
	// Each Wake must end a Recv that would wait for an hour, whatever the owner is doing.
	asked, served := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		for range rounds {
			asked <- struct{}{}
			q.Wake()
			<-served
		}
	}()
	for range rounds {
		<-asked
		if _, err := q.Recv(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		served <- struct{}{}
	}
	// After all that, the queue still works.
	q.Wake()
	if n, err := q.Recv(time.Time{}); n != 0 || err != nil {
		t.Errorf("Recv after Wake: %d, %v", n, err)
	}
	if n, err := q.Recv(time.Now().Add(-time.Second)); n != 0 || err != nil {
		t.Errorf("Recv with a deadline in the past: %d, %v", n, err)
	}
}

func TestQueueAllocs(t *testing.T) {
	netns.Enter(t)
	f := families[0]
	queueUDP(t, f)
	q := openQueue(t, Config{})
	listenUDP(t, f, 7000)
	sender := dialUDP(t, f, 7000)
	payload := []byte("payload")
	deadline := soon()
	verdicts := []Verdict{Drop, AcceptDecided, Accept}
	allocs := testing.AllocsPerRun(500, func() {
		for range 3 {
			if _, err := sender.Write(payload); err != nil {
				t.Fatal(err)
			}
		}
		for n := 0; n < 3; {
			k, err := q.Recv(deadline)
			if err != nil || k == 0 {
				t.Fatal(k, err)
			}
			for i := range k {
				q.Verdict(i, verdicts[n])
				n++
			}
			if err := q.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		// Waiting in the netpoller must not allocate either.
		if n, err := q.Recv(time.Now().Add(time.Microsecond)); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a round", allocs)
	}
}
