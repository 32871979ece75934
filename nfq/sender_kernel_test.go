// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

func openSender(t *testing.T) *Sender {
	t.Helper()
	s, err := OpenSender(testMarks.Own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestSender sends to the host inside. That host's kernel checks every checksum, sequence
// number and address before its sockets get anything.
func TestSender(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newRouter(t)
			inside, outside := r.address(f, "inside"), r.address(f, "outside")
			queue := func(proto string, match ...string) {
				netns.Run(t, "", f.iptables, append(append([]string{"-w", "-t", "mangle", "-A", "FORWARD", "-i", "lan", "-p", proto},
					match...), "-j", "NFQUEUE", "--queue-num", fmt.Sprint(testQueue))...)
			}
			queue("udp", "--dport", "7000")
			queue("tcp", "--dport", "7001")
			queue("tcp", "--dport", "7002", "--tcp-flags", "PSH", "PSH")
			netns.Run(t, "", f.iptables, "-w", "-A", "OUTPUT", "-m", "mark", "--mark", fmt.Sprintf("%#x", testMarks.Own))
			q, s := openQueue(t, Config{}), openSender(t)

			netns.Switch(t, r.outside)
			l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(outside, 7002)))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()

			netns.Switch(t, r.inside)
			udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, 0)))
			if err != nil {
				t.Fatal(err)
			}
			defer udp.Close()
			if err := udp.SetDeadline(soon()); err != nil {
				t.Fatal(err)
			}
			local := udp.LocalAddr().(*net.UDPAddr).AddrPort()

			// UDP, with even and odd lengths, in another host's name.
			stranger := map[uint8]string{4: "203.0.113.99", 6: "2001:db8:99::99"}[f.version]
			from := netip.AddrPortFrom(netip.MustParseAddr(stranger), 1214)
			for _, n := range []int{0, 1, 2, 17, MaxPayload} {
				payload := []byte(strings.Repeat("x", n))
				if err := s.UDP(0, addrPort(from), addrPort(local), payload); err != nil {
					t.Fatal(err)
				}
				var buf [2000]byte
				got, src, err := udp.ReadFromUDPAddrPort(buf[:])
				if err != nil || src != from || string(buf[:got]) != string(payload) {
					t.Fatalf("UDP of %d: got %d bytes from %v, %v", n, got, src, err)
				}
			}

			// ICMP: the error for a datagram reaches the socket that sent it.
			rejected, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(outside, 7000)))
			if err != nil {
				t.Fatal(err)
			}
			defer rejected.Close()
			for _, payload := range []string{"", "odd", strings.Repeat("long", 300)} {
				write(t, rejected, []byte(payload))
				recvAll(t, q, 1, func(_ int, p *Packet) Verdict {
					if err := s.Reject(p); err != nil {
						t.Error(err)
					}
					return Drop
				})
				if err := rejected.SetReadDeadline(soon()); err != nil {
					t.Fatal(err)
				}
				want := map[uint8]error{4: unix.EHOSTUNREACH, 6: unix.EACCES}[f.version]
				var buf [16]byte
				if _, err := rejected.Read(buf[:]); !errors.Is(err, want) {
					t.Errorf("rejected UDP of %d: %v, want %v", len(payload), err, want)
				}
			}

			// A reset for a SYN without an ACK.
			connect := func(port uint16) (chan net.Conn, chan error) {
				netns.Switch(t, r.inside)
				fd := connectTCP(t, outside, int(port))
				netns.Switch(t, r.router)
				conns, errs := make(chan net.Conn, 1), make(chan error, 1)
				go waitConnect(fd, conns, errs)
				return conns, errs
			}
			_, errs := connect(7001)
			recvAll(t, q, 1, func(_ int, p *Packet) Verdict {
				if err := s.Reset(p); err != nil {
					t.Error(err)
				}
				return Drop
			})
			if err := <-errs; !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("reset SYN: %v, want %v", err, unix.ECONNREFUSED)
			}

			// A reset for data in an open connection.
			conns, errs := connect(7002)
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
			c := <-conns
			defer c.Close()
			write(t, c, []byte("GET / HTTP/1.0\r\n\r\n"))
			recvAll(t, q, 1, func(_ int, p *Packet) Verdict {
				if string(p.Payload) != "GET / HTTP/1.0\r\n\r\n" {
					t.Errorf("got %+v", p)
				}
				if err := s.Reset(p); err != nil {
					t.Error(err)
				}
				return Drop
			})
			if err := c.SetReadDeadline(soon()); err != nil {
				t.Fatal(err)
			}
			var buf [16]byte
			if _, err := c.Read(buf[:]); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("reset connection: %v, want %v", err, unix.ECONNRESET)
			}

			netns.Switch(t, r.router)
			counts := netns.Run(t, "", f.iptables, "-w", "-nvxL", "OUTPUT")
			if got := ruleCount(t, counts, fmt.Sprintf("mark match %#x", testMarks.Own)); got != 5+3+2 {
				t.Errorf("%d packets of ours are marked, want 10:\n%s", got, counts)
			}
		})
	}
}

// TestSenderDevice sends to the host outside, by the LAN device and by any device. A
// packet for the LAN must not leave the router on its other side, whatever the routes
// say.
func TestSenderDevice(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newRouter(t)
			outside := r.address(f, "outside")
			netns.Switch(t, r.outside)
			l, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(outside, 7000)))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if err := l.SetDeadline(soon()); err != nil {
				t.Fatal(err)
			}
			netns.Switch(t, r.router)
			linkLocalOf(t, "wan") // the router needs its own address to query IPv6 neighbours
			match := fmt.Sprintf("mark match %#x", testMarks.Own)
			netns.Run(t, "", f.iptables, "-w", "-A", "OUTPUT", "-o", "wan", "-m", "mark", "--mark", fmt.Sprintf("%#x", testMarks.Own))
			s := openSender(t)

			from := AddrPort{Addr: AddrFrom(r.address(f, "inside")), Port: 1214}
			to := AddrPort{Addr: AddrFrom(outside), Port: 7000}
			// send sends one packet of each kind. Each answers a packet that a host on
			// the device dev sent to the host outside.
			send := func(dev uint32, payload string) []error {
				tcp, udp := Packet{InDev: dev}, Packet{InDev: dev}
				ParsePacket(appendTCP(nil, &to, &from, SYN, nil), &tcp)
				ParsePacket(appendUDP(nil, &to, &from, []byte(payload)), &udp)
				return []error{s.UDP(dev, from, to, []byte(payload)), s.Reset(&tcp), s.Reject(&tcp), s.Reject(&udp)}
			}
			for _, err := range send(r.lan, "by the LAN") {
				// IPv4 searches for a neighbour, IPv6 has no route.
				if want := map[uint8]error{4: nil, 6: unix.ENETUNREACH}[f.version]; !errors.Is(err, want) {
					t.Errorf("by the LAN: %v, want %v", err, want)
				}
			}
			for _, err := range send(0, "by any") {
				if err != nil {
					t.Errorf("by any: %v", err)
				}
			}
			var buf [16]byte
			if n, err := l.Read(buf[:]); err != nil || string(buf[:n]) != "by any" {
				t.Errorf("outside: got %q first, %v", buf[:n], err)
			}
			counts := netns.Run(t, "", f.iptables, "-w", "-nvxL", "OUTPUT")
			if got := ruleCount(t, counts, match); got != 4 {
				t.Errorf("%d packets of ours left by the WAN's device, want 4:\n%s", got, counts)
			}
		})
	}
}

// linkLocalOf returns the IPv6 link-local address of a device in the current namespace.
func linkLocalOf(t *testing.T, dev string) netip.Addr {
	t.Helper()
	d, err := net.InterfaceByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	// The kernel assigns the address when the link is up, and then checks for duplicates.
	for range 1000 {
		addrs, err := d.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			ip, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
			if ip.Is6() && !ip.Is4In6() && ip.IsLinkLocalUnicast() &&
				!strings.Contains(netns.Run(t, "", "ip", "-6", "addr", "show", "dev", dev), "tentative") {
				return ip
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s has no link-local address", dev)
	return netip.Addr{}
}

// TestSenderLinkLocal sends to a host's link-local address, which is valid on every link.
func TestSenderLinkLocal(t *testing.T) {
	r := newRouter(t)
	mine := linkLocalOf(t, "lan")
	netns.Switch(t, r.inside)
	host := linkLocalOf(t, "eth0")
	l, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host.WithZone("eth0"), 7000)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.SetDeadline(soon()); err != nil {
		t.Fatal(err)
	}
	netns.Switch(t, r.router)
	s := openSender(t)
	from, to := AddrPort{Addr: AddrFrom(mine), Port: 1214}, AddrPort{Addr: AddrFrom(host), Port: 7000}
	if err := s.UDP(r.wan, from, to, []byte("by the WAN")); err != nil {
		t.Error(err)
	}
	if err := s.UDP(r.lan, from, to, []byte("by the LAN")); err != nil {
		t.Error(err)
	}
	var buf [16]byte
	n, src, err := l.ReadFromUDPAddrPort(buf[:])
	if err != nil || string(buf[:n]) != "by the LAN" || src.Addr().WithZone("") != mine {
		t.Errorf("got %q from %v, %v", buf[:n], src, err)
	}
}

func addrPort(a netip.AddrPort) AddrPort {
	return AddrPort{Addr: AddrFrom(a.Addr()), Port: a.Port()}
}

func TestSenderUnprivileged(t *testing.T) {
	netns.Enter(t)
	dropCaps(t)
	if _, err := OpenSender(testMarks.Own); !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("OpenSender without privilege: %v", err)
	}
}

func TestSenderAllocs(t *testing.T) {
	netns.Enter(t)
	s := openSender(t)
	payload := make([]byte, 100)
	for _, f := range families {
		loopback := AddrFrom(netip.MustParseAddr(f.loopback))
		src, dst := AddrPort{Addr: loopback, Port: 1214}, AddrPort{Addr: loopback, Port: 1}
		for dev := range uint32(2) { // any device, and loopback
			tcp, data, udp := Packet{InDev: dev}, Packet{InDev: dev}, Packet{InDev: dev}
			ParsePacket(appendTCP(nil, &src, &dst, SYN, nil), &tcp)
			ParsePacket(appendTCP(nil, &src, &dst, PSH|ACK, payload), &data)
			ParsePacket(appendUDP(nil, &src, &dst, payload), &udp)
			if n := testing.AllocsPerRun(100, func() {
				for _, err := range []error{s.UDP(dev, src, dst, payload), s.Reset(&tcp), s.Answer(&data, payload), s.Reject(&tcp), s.Reject(&udp)} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}); n != 0 {
				t.Errorf("%s, device %d: %v allocations", f.name, dev, n)
			}
		}
	}
	// Errors do not allocate either.
	netns.Run(t, "", "ip", "link", "set", "lo", "down")
	var far AddrPort
	far.Addr = AddrFrom(netip.MustParseAddr("192.0.2.1"))
	if n := testing.AllocsPerRun(100, func() {
		if err := s.UDP(0, far, far, payload); !errors.Is(err, unix.ENETUNREACH) {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for an error", n)
	}
}

// waitConnect waits for the end of a connection attempt.
func waitConnect(fd int, conns chan<- net.Conn, errs chan<- error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		if n, err := unix.Poll(fds, 20000); n > 0 || !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
		unix.Close(fd)
		errs <- errors.Join(err, unix.Errno(errno))
		return
	}
	f := os.NewFile(uintptr(fd), "tcp")
	defer f.Close()
	c, err := net.FileConn(f)
	conns <- c
	errs <- err
}
