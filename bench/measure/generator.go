// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// traffic has packets that are sent again and again, at a rate.
type traffic struct {
	frames [][]byte
	rate   int // packets a second; 0: as many as the processor makes
	burst  int // packets at a time
	// With sleep the thread sleeps until the next burst, so that its CPU time is
	// that of sending. Otherwise it waits in a loop, which is more even.
	sleep bool
}

// frame adds the Ethernet header of a frame to the router.
func frame(from [6]byte, ip []byte) []byte {
	kind := []byte{8, 0}
	if ip[0]>>4 == 6 {
		kind = []byte{0x86, 0xdd}
	}
	b := append(append([]byte(nil), lab.RouterMAC[:]...), from[:]...)
	return append(append(b, kind...), ip...)
}

// generator sends traffic from a host's device.
type generator struct {
	stop atomic.Bool
	done chan struct{}
	sent atomic.Uint64
	cpu  time.Duration // of the sending thread, when done
	err  error
}

// generate starts the traffic.
func generate(h *lab.Host, t traffic) (*generator, error) {
	fd := -1
	err := h.Do(func() error {
		dev, err := net.InterfaceByName(lab.HostDev)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return os.NewSyscallError("socket", err)
		}
		// Frames go straight to the device. Listening sockets get no copies.
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return os.NewSyscallError("PACKET_QDISC_BYPASS", err)
		}
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: dev.Index}))
	})
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, err
	}
	g := &generator{done: make(chan struct{})}
	go func() {
		defer close(g.done)
		defer unix.Close(fd)
		unpin, err := pin(loadCPU)
		if err != nil {
			g.err = err
			return
		}
		defer unpin()
		begin := threadTime()
		g.err = g.run(fd, t)
		g.cpu = threadTime() - begin
	}()
	return g, nil
}

// end stops the traffic.
func (g *generator) end() error {
	g.stop.Store(true)
	<-g.done
	return g.err
}

// mmsghdr is what sendmmsg takes.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   uint32
}

func (g *generator) run(fd int, t traffic) error {
	burst := t.burst
	if burst == 0 {
		burst = 64
	}
	iovecs := make([]unix.Iovec, burst)
	messages := make([]mmsghdr, burst)
	for i := range messages {
		messages[i].hdr.Iov = &iovecs[i]
		messages[i].hdr.SetIovlen(1)
	}
	var gap time.Duration
	if t.rate > 0 {
		gap = time.Duration(burst) * time.Second / time.Duration(t.rate)
	}
	// The kernel must not prolong sleeps.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	at := 0
	next := time.Now()
	for !g.stop.Load() {
		for i := range messages {
			f := t.frames[at]
			at = (at + 1) % len(t.frames)
			iovecs[i].Base = &f[0]
			iovecs[i].SetLen(len(f))
		}
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(burst), 0, 0, 0)
		switch errno {
		case 0:
			g.sent.Add(uint64(n))
		case unix.ENOBUFS, unix.EAGAIN, unix.EINTR:
		default:
			return os.NewSyscallError("sendmmsg", errno)
		}
		if gap == 0 {
			continue
		}
		// Missed packets are not sent later: they would come as a burst.
		next = next.Add(gap)
		if time.Since(next) > gap {
			next = time.Now()
		}
		for time.Until(next) > 0 && !g.stop.Load() {
			if t.sleep {
				pause := unix.NsecToTimespec(time.Until(next).Nanoseconds())
				_ = unix.Nanosleep(&pause, nil)
			}
		}
	}
	return nil
}

// once sends each frame once, at a rate.
func once(h *lab.Host, frames [][]byte, rate int) error {
	g, err := generate(h, traffic{frames: frames, rate: rate, burst: 1})
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); g.sent.Load() < uint64(len(frames)); time.Sleep(time.Millisecond) {
		select {
		case <-g.done:
			return g.err
		default:
		}
		if time.Now().After(end) {
			return errors.Join(g.end(), errors.New("sending lasts too long"))
		}
	}
	return g.end()
}
