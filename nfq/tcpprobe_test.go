// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// patient only limits how long a failing test waits.
const patient = 20 * time.Second

// silence stands for the answer of a host that accepts a connection and sends nothing.
const silence = "(silence)"

const testRequest = "GET / HTTP/1.0\r\n\r\n"

// server accepts connections and answers each with serve.
func server(t *testing.T, at netip.AddrPort, serve func(net.Conn)) (port uint16) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// readRequest reads the test's request.
func readRequest(c net.Conn) {
	_, _ = io.ReadFull(c, make([]byte, len(testRequest)))
}

// answerOf probes once and waits for the outcome.
func answerOf(t *testing.T, set func(*TCPProber), dev uint32, addr Addr, port uint16) string {
	t.Helper()
	return answerInParts(t, set, dev, addr, port, 0)
}

// answerInParts is answerOf, with the first bytes of the request sent alone.
func answerInParts(t *testing.T, set func(*TCPProber), dev uint32, addr Addr, port uint16, first int) string {
	t.Helper()
	type outcome struct {
		id     uint64
		answer []byte
	}
	done := make(chan outcome, 1)
	p := NewTCPProber(func(id uint64, answer []byte) { done <- outcome{id, answer} })
	if set != nil {
		set(p)
	}
	const id uint64 = 1<<40 | 7
	request := []byte(testRequest)
	if !p.ProbeTCP(id, dev, addr, port, request, first) {
		t.Fatal("the prober has no place")
	}
	clear(request) // it was copied
	select {
	case o := <-done:
		if o.id != id {
			t.Errorf("the outcome of %d, want %d", o.id, id)
		}
		if o.answer != nil && len(o.answer) == 0 {
			return silence
		}
		return string(o.answer)
	case <-time.After(2 * patient):
		t.Fatal("the probe does not end")
		return ""
	}
}

func TestTCPProbe(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		want  string
	}{
		{"answers and hangs up", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.0 404")
		}, "HTTP/1.0 404"},
		{"answers in parts", func(c net.Conn) {
			readRequest(c)
			for _, part := range []string{"HTTP", "/1.0", " 404"} {
				_, _ = io.WriteString(c, part)
				time.Sleep(time.Millisecond)
			}
		}, "HTTP/1.0 404"},
		{"answers and waits", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.0 404")
			_, _ = io.Copy(io.Discard, c)
		}, "HTTP/1.0 404"},
		{"answers too much", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, strings.Repeat("x", 5000))
			_, _ = io.Copy(io.Discard, c)
		}, strings.Repeat("x", tcpProbeMax)},
		{"hangs up", func(net.Conn) {}, silence},
		{"reads and hangs up", readRequest, silence},
		{"echoes", func(c net.Conn) { _, _ = io.CopyN(c, c, int64(len(testRequest))) }, ""},
		{"echoes after a greeting", func(c net.Conn) {
			_, _ = io.WriteString(c, "hello\r\n")
			_, _ = io.CopyN(c, c, int64(len(testRequest)))
		}, ""},
	} {
		for _, f := range families {
			t.Run(tt.name+" "+f.name, func(t *testing.T) {
				t.Parallel()
				at := netip.MustParseAddr(f.loopback)
				port := server(t, netip.AddrPortFrom(at, 0), tt.serve)
				// The quiet time ends only the probe of the server that waits. For others
				// it is long, because parts of an answer may come late on a busy machine.
				set := func(p *TCPProber) { p.whole, p.quiet = patient, patient }
				if tt.name == "answers and waits" {
					set = func(p *TCPProber) { p.whole, p.quiet = patient, 100*time.Millisecond }
				}
				// Loopback is device 1 in every namespace.
				if got := answerOf(t, set, 1, AddrFrom(at), port); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		}
	}
	t.Run("nobody there", func(t *testing.T) {
		at := netip.MustParseAddr("127.0.0.1")
		// A socket that does not listen reserves the port.
		l, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: at.As4()}); err != nil {
			t.Fatal(err)
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		if got := answerOf(t, nil, 0, AddrFrom(at), uint16(sa.(*unix.SockaddrInet4).Port)); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no such device", func(t *testing.T) {
		if got := answerOf(t, nil, 1<<30, addr("127.0.0.1"), 1); got != "" {
			t.Errorf("got %q", got)
		}
	})
}

// TestTCPProbeDeadline: a host that sends a byte now and then, without end, cannot hold a
// probe longer than the probe's own time.
func TestTCPProbeDeadline(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes int // that the server has to send
		whole time.Duration
		cut   bool
	}{
		{"more than there is time for", 3000, time.Second, true},
		{"in time", 30, time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := make(chan int, 1)
			at := netip.MustParseAddr("127.0.0.1")
			port := server(t, netip.AddrPortFrom(at, 0), func(c net.Conn) {
				readRequest(c)
				n := 0
				for n < tt.bytes {
					if _, err := c.Write([]byte{'x'}); err != nil {
						break // the prober hung up
					}
					n++
					time.Sleep(5 * time.Millisecond)
				}
				sent <- n
			})
			got := answerOf(t, func(p *TCPProber) { p.whole, p.quiet = tt.whole, patient }, 0, AddrFrom(at), port)
			n := <-sent
			if tt.cut && n == tt.bytes || !tt.cut && (n != tt.bytes || len(got) != tt.bytes) {
				t.Errorf("the server sent %d of %d bytes, the answer has %d", n, tt.bytes, len(got))
			}
		})
	}
}

// TestTCPProbeInParts: a host that answers before the request is complete has not
// understood it.
func TestTCPProbeInParts(t *testing.T) {
	at := netip.MustParseAddr("127.0.0.1")
	first := len(testRequest) - 1
	for _, tt := range []struct {
		name string
		wait int // bytes that it reads before it answers
		want string
	}{
		{"understands it", first + 1, "a key"},
		{"answers its beginning", 1, ""},
		{"answers the first part", first, ""},
		{"hangs up", 0, ""},
	} {
		port := server(t, netip.AddrPortFrom(at, 0), func(c net.Conn) {
			if tt.wait == 0 {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, tt.wait))
			_, _ = io.WriteString(c, "a key")
			_, _ = io.Copy(io.Discard, c)
		})
		if got := answerInParts(t, nil, 0, AddrFrom(at), port, first); got != tt.want {
			t.Errorf("%s: answer %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestTCPProbeHeld: the answer says whether the host kept the connection and said nothing.
func TestTCPProbeHeld(t *testing.T) {
	at := netip.MustParseAddr("127.0.0.1")
	hold := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		want  string
	}{
		{"holds", hold, "G"},
		{"closes", readRequest, silence},
		{"is slow to close", func(c net.Conn) {
			readRequest(c)
			time.Sleep(300 * time.Millisecond)
		}, silence},
		{"closes without reading", func(net.Conn) {}, silence},
		{"answers", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "?")
			hold(c)
		}, silence},
		{"greets", func(c net.Conn) {
			_, _ = io.WriteString(c, "hello")
			hold(c)
		}, silence},
		{"echoes", func(c net.Conn) { _, _ = io.Copy(c, c) }, silence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			port := server(t, netip.AddrPortFrom(at, 0), tt.serve)
			if got := answerInParts(t, nil, 1, AddrFrom(at), port, -1); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		if got := answerInParts(t, nil, 1, addr("127.0.0.1"), 1, -1); got != "" {
			t.Errorf("got %q", got)
		}
	})
}

func TestTCPProbePlaces(t *testing.T) {
	at := netip.MustParseAddr("127.0.0.1")
	hold := make(chan struct{})
	port := server(t, netip.AddrPortFrom(at, 0), func(c net.Conn) { <-hold })
	done := make(chan struct{}, tcpProbers+1)
	p := NewTCPProber(func(uint64, []byte) { done <- struct{}{} })
	for i := range tcpProbers {
		if !p.ProbeTCP(uint64(i), 0, AddrFrom(at), port, nil, 0) {
			t.Fatalf("no place for probe %d", i)
		}
	}
	if p.ProbeTCP(99, 0, AddrFrom(at), port, nil, 0) {
		t.Error("there is a place too many")
	}
	close(hold)
	for range tcpProbers {
		<-done
	}
}

// TestTCPProbeDevice: a probe reaches a host at its link-local address, and leaves only
// by its own device.
func TestTCPProbeDevice(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := newRouter(t)
			name := func(who string) func(net.Conn) {
				return func(c net.Conn) {
					readRequest(c)
					_, _ = io.WriteString(c, who)
				}
			}
			netns.Switch(t, r.inside)
			inside := r.address(f, "inside")
			if f.version == 6 {
				inside = linkLocalOf(t, "eth0")
				server(t, netip.AddrPortFrom(inside.WithZone("eth0"), 7000), name("inside"))
			} else {
				server(t, netip.AddrPortFrom(inside, 7000), name("inside"))
			}
			netns.Switch(t, r.outside)
			outside := r.address(f, "outside")
			server(t, netip.AddrPortFrom(outside, 7000), name("outside"))
			netns.Switch(t, r.router)
			linkLocalOf(t, "lan") // the router needs its own address to query IPv6 neighbours
			linkLocalOf(t, "wan")

			// The sockets are opened on this thread, which is in the namespace.
			p := NewTCPProber(nil)
			p.whole = patient
			ask := func(dev uint32, to netip.Addr) string {
				c := dialTCP(dev, AddrFrom(to), 7000)
				if c == nil {
					return "no way"
				}
				defer c.Close()
				return string(p.ask(c, []byte(testRequest), 0))
			}
			if got := ask(r.lan, inside); got != "inside" {
				t.Errorf("inside by the LAN: %q", got)
			}
			if got := ask(0, outside); got != "outside" {
				t.Errorf("outside by any: %q", got)
			}
			p.whole = 200 * time.Millisecond // nobody answers
			if got := ask(r.lan, outside); got != "" && got != "no way" {
				t.Errorf("outside by the LAN: %q", got)
			}
		})
	}
}

// TestBindToDevice also tries the method for kernels before 5.1.
func TestBindToDevice(t *testing.T) {
	netns.Enter(t)
	for _, old := range []bool{false, true} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		bind := bindToDevice
		if old {
			bind = bindToName
		}
		if err := bind(fd, 1); err != nil {
			t.Fatal(err)
		}
		if dev, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err != nil || dev != "lo" {
			t.Errorf("bound to %q, %v", dev, err)
		}
		// The newer method accepts every number. The connection fails later.
		if err := bind(fd, 1<<30); old && !errors.Is(err, unix.ENODEV) {
			t.Errorf("no such device: %v", err)
		}
	}
}
