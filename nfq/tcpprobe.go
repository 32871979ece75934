// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"
)

// tcpProbers is how many TCP probes may be under way at once; a probe holds a
// thread while it waits.
const tcpProbers = 2

// tcpProbePatience bounds each step of a probe: connecting, writing, reading.
const tcpProbePatience = 2 * time.Second

// TCPProber asks clients on the LAN for their name over TCP.
type TCPProber struct {
	slots chan struct{}
	// done is called with what the client answered, which may be nothing,
	// on a goroutine of the probe's own.
	done func(client int32, addr Addr, answer []byte)
}

// NewTCPProber returns a prober that hands answers to done.
func NewTCPProber(done func(client int32, addr Addr, answer []byte)) *TCPProber {
	return &TCPProber{slots: make(chan struct{}, tcpProbers), done: done}
}

// ProbeTCP connects to the client, sends the request, which it copies, and reads
// the answer, at most 4 KiB. It returns false when too many probes are under way.
func (p *TCPProber) ProbeTCP(client int32, addr Addr, port uint16, request []byte) bool {
	select {
	case p.slots <- struct{}{}:
	default:
		return false
	}
	request = bytes.Clone(request)
	go func() {
		defer func() { <-p.slots }()
		p.done(client, addr, ask(addr, port, request))
	}()
	return true
}

// ask makes the connection with plain system calls: the net package's dialer
// would bring the resolver into the binary.
func ask(addr Addr, port uint16, request []byte) []byte {
	domain := unix.AF_INET6
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(port), Addr: addr}
	if addr.Is4() {
		domain = unix.AF_INET
		to = &unix.SockaddrInet4{Port: int(port), Addr: [4]byte(addr[12:])}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(tcpProbePatience.Nanoseconds())
	for _, opt := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} { // the first bounds connect, too
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, opt, &limit); err != nil {
			return nil
		}
	}
	if err := unix.Connect(fd, to); err != nil {
		return nil
	}
	if _, err := unix.Write(fd, request); err != nil {
		return nil
	}
	answer := make([]byte, 0, 4096)
	for len(answer) < cap(answer) {
		n, err := unix.Read(fd, answer[len(answer):cap(answer)])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		answer = answer[:len(answer)+n]
	}
	return answer
}
