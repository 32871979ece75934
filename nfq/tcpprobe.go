// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// tcpProbers is how many TCP probes may be under way at once.
const tcpProbers = 4

const (
	// tcpProbeTime bounds a probe as a whole: connecting, writing and reading. A host
	// that sends one byte now and then must not hold a place for longer.
	tcpProbeTime = 5 * time.Second
	// tcpProbeQuiet ends an answer that has begun: many clients leave the connection
	// open and wait.
	tcpProbeQuiet = time.Second
	// tcpProbePause is how long an answer to the first part of a question is waited for,
	// and for more of an answer to the whole: such an answer comes at once.
	tcpProbePause = 250 * time.Millisecond
	// tcpProbeMax is how much of an answer is read, in bytes.
	tcpProbeMax = 4096
)

// TCPProber asks clients on the LAN for their name over TCP.
type TCPProber struct {
	slots chan struct{}
	done  func(id uint64, answer []byte)
	// For tests.
	whole, quiet, pause time.Duration
}

// NewTCPProber returns a prober that hands the answer to each probe to done, on a
// goroutine of the probe's own. The answer is nil where nobody took the connection, and also
// where the host only sent back what it was sent; it is empty where the host took the
// connection and said nothing.
func NewTCPProber(done func(id uint64, answer []byte)) *TCPProber {
	return &TCPProber{slots: make(chan struct{}, tcpProbers), done: done, whole: tcpProbeTime, quiet: tcpProbeQuiet, pause: tcpProbePause}
}

// ProbeTCP connects to addr and port by the device with the index dev, whatever the
// routes say (0: as they say), sends the request, which it copies, and reads the
// answer, at most 4 KiB, for at most 5 s in all. The first bytes of the request, where
// that is not 0, are sent alone: whoever answers them is another program, and its answer
// is taken for none. Where first is negative, the answer is a byte if the host keeps the
// connection and says nothing for twice the quiet time, and empty if not. ProbeTCP does not
// wait for any of that. The caller finds what the answer is about by the id. ProbeTCP returns
// false, and does nothing, when too many probes are under way.
func (p *TCPProber) ProbeTCP(id uint64, dev uint32, addr Addr, port uint16, request []byte, first int) bool {
	select {
	case p.slots <- struct{}{}:
	default:
		return false
	}
	request = bytes.Clone(request)
	go func() {
		var answer []byte
		if f := dialTCP(dev, addr, port); f != nil {
			answer = p.ask(f, request, first)
			f.Close()
		}
		<-p.slots // the next may begin when this one is done
		p.done(id, answer)
	}()
	return true
}

// ask has the request sent and the answer read in the time for all of it.
func (p *TCPProber) ask(f *os.File, request []byte, first int) []byte {
	end := time.Now().Add(p.whole)
	if f.SetDeadline(end) != nil || !connected(f) {
		return nil
	}
	quiet := p.quiet
	if first < 0 { // a host that is busy closes a connection late
		if p.silent(f, request, 2*quiet) {
			return request[:1]
		}
		return request[:0]
	}
	if first > 0 {
		if quiet = p.pause; !p.silent(f, request[:first], p.pause) || f.SetDeadline(end) != nil {
			return nil
		}
	}
	answer := make([]byte, 0, tcpProbeMax)
	if _, err := f.Write(request[first:]); err != nil {
		return answer // it has closed at once
	}
	for len(answer) < cap(answer) {
		n, err := f.Read(answer[len(answer):cap(answer)])
		answer = answer[:len(answer)+n]
		if err != nil {
			break
		}
		until := time.Now().Add(quiet)
		if until.After(end) {
			until = end
		}
		if f.SetReadDeadline(until) != nil {
			break
		}
	}
	if len(request) > 0 && bytes.Contains(answer, request) {
		return nil // an echo says nothing about a program
	}
	return answer
}

// silent sends the first part of a request, and reports whether nothing comes back to
// that in that time, not even the end of the connection.
func (p *TCPProber) silent(f *os.File, first []byte, wait time.Duration) bool {
	if _, err := f.Write(first); err != nil || f.SetReadDeadline(time.Now().Add(wait)) != nil {
		return false
	}
	_, err := f.Read(make([]byte, 1))
	return os.IsTimeout(err)
}

// dialTCP begins a connection, or returns nil. It makes plain system calls: the net
// package's dialer would bring the resolver into the binary.
func dialTCP(dev uint32, addr Addr, port uint16) *os.File {
	domain := unix.AF_INET6
	// The kernel takes the scope only where the address needs one.
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(port), Addr: addr, ZoneId: dev}
	if addr.Is4() {
		domain = unix.AF_INET
		to = &unix.SockaddrInet4{Port: int(port), Addr: [4]byte(addr[12:])}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	if dev != 0 {
		err = bindToDevice(fd, dev)
	}
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return nil
	}
	// Only now: a socket that is not connecting yet is taken for hung up.
	return os.NewFile(uintptr(fd), "probe")
}

// connected waits until the connection stands and reports whether it does.
func connected(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	errno, failed := 0, error(nil)
	err = raw.Write(func(fd uintptr) bool {
		// There is a peer's address as soon as the connection stands.
		if errno, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); errno != 0 || failed != nil {
			return true
		}
		_, perr := unix.Getpeername(int(fd))
		return perr == nil
	})
	return err == nil && errno == 0 && failed == nil
}

// bindToDevice has a socket use one device only.
func bindToDevice(fd int, dev uint32) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, int(dev))
	if err == unix.ENOPROTOOPT {
		return bindToName(fd, dev)
	}
	return err
}

// bindToName does the same before Linux 5.1, which takes only the device's name.
func bindToName(fd int, dev uint32) error {
	req, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	req.SetUint32(dev)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, req); err != nil {
		return err
	}
	return unix.BindToDevice(fd, req.Name())
}
