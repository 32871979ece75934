// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxPayload is the longest payload that Sender.UDP takes: what fits into a
// packet that no usual link has to fragment.
const MaxPayload = 1280 - ip6HeaderLen - udpHeaderLen

var (
	errTooLong     = errors.New("payload is longer than MaxPayload")
	errMixedFamily = errors.New("source and destination are of different IP versions")
	errNoIPv6      = errors.New("this system has no IPv6")
	errNotTCP      = errors.New("a reset answers whole TCP segments that are no resets")
	errNoReject    = errors.New("only whole TCP and UDP packets can be rejected")
)

// Sender sends IP packets in the name of other hosts. It belongs to one
// goroutine. Its methods do not allocate and do not block: a packet that the
// system cannot take at once is an error and is lost.
type Sender struct {
	fd4, fd6, fdICMP6 int // fd6 and fdICMP6 are -1 without IPv6
	to4               unix.RawSockaddrInet4
	to6               unix.RawSockaddrInet6
	buf               []byte
}

// OpenSender opens the raw sockets. Every packet sent has the mark, so that
// rules can tell it from those of the host it seems to come from. errors.Is
// tells unix.EPERM.
func OpenSender(mark uint32) (*Sender, error) {
	s := &Sender{fd4: -1, fd6: -1, fdICMP6: -1, buf: make([]byte, 0, 1500)}
	s.to4.Family = unix.AF_INET
	s.to6.Family = unix.AF_INET6
	// IPPROTO_RAW: we write the IP header, and nothing is ever received.
	var err error
	if s.fd4, err = rawSocket(unix.AF_INET, unix.IPPROTO_RAW, mark); err != nil {
		return nil, err
	}
	s.fd6, err = rawSocket(unix.AF_INET6, unix.IPPROTO_RAW, mark)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return s, nil
	}
	if err == nil {
		s.fdICMP6, err = rawSocket(unix.AF_INET6, protoICMPv6, mark)
	}
	if err == nil {
		// A raw ICMPv6 socket gets a copy of all that the host gets: refuse it.
		var none unix.ICMPv6Filter
		for i := range none.Data {
			none.Data[i] = ^uint32(0)
		}
		err = unix.SetsockoptICMPv6Filter(s.fdICMP6, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &none)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func rawSocket(domain, proto int, mark uint32) (int, error) {
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err == nil && mark != 0 {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
			_ = unix.Close(fd)
		}
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return -1, fmt.Errorf("raw socket: no permission: run as root or with CAP_NET_RAW (before Linux 5.17 also CAP_NET_ADMIN): %w", unix.EPERM)
	}
	if err != nil {
		return -1, fmt.Errorf("raw socket: %w", err)
	}
	return fd, nil
}

// Close closes the sockets.
func (s *Sender) Close() {
	for _, fd := range []*int{&s.fd4, &s.fd6, &s.fdICMP6} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}

// UDP sends a datagram from src to dst.
func (s *Sender) UDP(src, dst AddrPort, payload []byte) error {
	if src.Addr.Is4() != dst.Addr.Is4() {
		return errMixedFamily
	}
	if len(payload) > MaxPayload {
		return errTooLong
	}
	s.buf = appendUDP(s.buf[:0], &src, &dst, payload)
	return s.sendIP(&dst.Addr)
}

// Reset sends a TCP reset to the sender of p, in the name of p's destination.
func (s *Sender) Reset(p *Packet) error {
	if p.Version == 0 || p.Proto != ProtoTCP || p.Fragment || p.TCPFlags&RST != 0 {
		return errNotTCP
	}
	s.buf = appendReset(s.buf[:0], p)
	return s.sendIP(&p.Src)
}

// Reject tells the sender of p by ICMP or ICMPv6 that its packet was
// administratively prohibited. The caller limits the rate.
func (s *Sender) Reject(p *Packet) error {
	if p.Version == 0 || p.Fragment || (p.Proto != ProtoTCP && p.Proto != ProtoUDP) {
		return errNoReject
	}
	if p.Version == 4 {
		s.buf = appendReject4(s.buf[:0], p)
		return s.sendIP(&p.Src)
	}
	s.buf = appendReject6(s.buf[:0], p)
	return s.send6(s.fdICMP6, &p.Src)
}

// sendIP sends the packet in s.buf, which begins with an IP header.
func (s *Sender) sendIP(to *Addr) error {
	if !to.Is4() {
		return s.send6(s.fd6, to)
	}
	copy(s.to4.Addr[:], to[12:])
	return s.send(s.fd4, unsafe.Pointer(&s.to4), unix.SizeofSockaddrInet4)
}

func (s *Sender) send6(fd int, to *Addr) error {
	if fd < 0 {
		return errNoIPv6
	}
	s.to6.Addr = *to
	return s.send(fd, unsafe.Pointer(&s.to6), unix.SizeofSockaddrInet6)
}

func (s *Sender) send(fd int, to unsafe.Pointer, toLen uintptr) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(s.buf))), uintptr(len(s.buf)),
		unix.MSG_DONTWAIT, uintptr(to), toLen)
	if errno != 0 {
		return errno // a small number in an interface: no allocation
	}
	return nil
}
