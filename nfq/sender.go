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

// MaxAnswer is the longest payload that Sender.Answer takes, for the same reason.
const MaxAnswer = 1280 - ip6HeaderLen - tcpHeaderLen - timestampsLen

var (
	errTooLong     = errors.New("payload is longer than MaxPayload")
	errMixedFamily = errors.New("source and destination are of different IP versions")
	errNoIPv6      = errors.New("this system has no IPv6")
	errNotTCP      = errors.New("a reset answers whole TCP segments that are no resets")
	errNoReject    = errors.New("only whole TCP and UDP packets can be rejected")
	errNoAnswer    = errors.New("only whole TCP segments of an open connection can be answered: ACK set, no SYN, FIN or RST")
	errLongAnswer  = errors.New("payload is longer than MaxAnswer")
)

// Sender sends IP packets in the name of other hosts. It belongs to one
// goroutine. Its methods do not allocate and do not block: a packet that the
// system cannot take at once is an error and is lost.
//
// The caller names the device that a packet is sent by; the routes do not decide. A packet
// that seems to come from a LAN host may be forged, with any source address. The answer to
// it must not leave the router on its WAN side. And IPv6 link-local addresses mean nothing
// without a device.
type Sender struct {
	fd4, fd6, fdICMP6 int // fd6 and fdICMP6 are -1 without IPv6
	to4               unix.RawSockaddrInet4
	to6               unix.RawSockaddrInet6
	by4, by6          []byte // control messages that name the device
	msg               unix.Msghdr
	iov               unix.Iovec
	buf               []byte
}

// Where the index of the device is in the control messages: struct in_pktinfo begins
// with it, struct in6_pktinfo has an address before it.
var (
	device4 = unix.CmsgLen(0)
	device6 = unix.CmsgLen(0) + 16
)

// OpenSender opens the raw sockets. Every packet sent has the mark, so that
// rules can tell it from those of the host it seems to come from. errors.Is
// tells unix.EPERM.
func OpenSender(mark uint32) (*Sender, error) {
	s := &Sender{
		fd4: -1, fd6: -1, fdICMP6: -1, buf: make([]byte, 0, 1500),
		by4: unix.PktInfo4(&unix.Inet4Pktinfo{}), by6: unix.PktInfo6(&unix.Inet6Pktinfo{}),
	}
	s.to4.Family = unix.AF_INET
	s.to6.Family = unix.AF_INET6
	s.msg.Iov = &s.iov
	s.msg.SetIovlen(1)
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

// UDP sends a datagram from src to dst by the device with the index dev. If dev is 0, the
// routes choose the device. If dst cannot be reached by dev, IPv6 returns an error; IPv4
// takes dst for a neighbour, and the datagram is lost if it is none.
func (s *Sender) UDP(dev uint32, src, dst AddrPort, payload []byte) error {
	if src.Addr.Is4() != dst.Addr.Is4() {
		return errMixedFamily
	}
	if len(payload) > MaxPayload {
		return errTooLong
	}
	s.buf = appendUDP(s.buf[:0], &src, &dst, payload)
	return s.sendIP(dev, &dst.Addr)
}

// Reset sends a TCP reset to the sender of p, in the name of p's destination, by the
// device that p came in by.
func (s *Sender) Reset(p *Packet) error {
	if p.Version == 0 || p.Proto != ProtoTCP || p.Fragment || p.TCPFlags&RST != 0 {
		return errNotTCP
	}
	s.buf = appendReset(s.buf[:0], p)
	return s.sendIP(p.InDev, &p.Src)
}

// Answer sends a TCP segment with the payload to the sender of p, in the name of p's
// destination, by the device that p came in by. The segment acknowledges all data of p.
// The caller drops p. The real destination does not know of the answer, so the two hosts
// cannot use this connection any more.
func (s *Sender) Answer(p *Packet, payload []byte) error {
	if p.Version == 0 || p.Proto != ProtoTCP || p.Fragment || p.MoreFragments || p.TCPFlags&(FIN|SYN|RST|ACK) != ACK {
		return errNoAnswer
	}
	if len(payload) > MaxAnswer {
		return errLongAnswer
	}
	s.buf = appendAnswer(s.buf[:0], p, payload)
	return s.sendIP(p.InDev, &p.Src)
}

// Reject tells the sender of p by ICMP or ICMPv6 that its packet was
// administratively prohibited, by the device that p came in by. The caller limits the
// rate.
func (s *Sender) Reject(p *Packet) error {
	if p.Version == 0 || p.Fragment || (p.Proto != ProtoTCP && p.Proto != ProtoUDP) {
		return errNoReject
	}
	if p.Version == 4 {
		s.buf = appendReject4(s.buf[:0], p)
		return s.sendIP(p.InDev, &p.Src)
	}
	s.buf = appendReject6(s.buf[:0], p)
	return s.send6(s.fdICMP6, p.InDev, &p.Src)
}

// sendIP sends the packet in s.buf, which begins with an IP header.
func (s *Sender) sendIP(dev uint32, to *Addr) error {
	if !to.Is4() {
		return s.send6(s.fd6, dev, to)
	}
	copy(s.to4.Addr[:], to[12:])
	s.msg.Name, s.msg.Namelen = (*byte)(unsafe.Pointer(&s.to4)), unix.SizeofSockaddrInet4
	return s.send(s.fd4, dev, s.by4, device4)
}

func (s *Sender) send6(fd int, dev uint32, to *Addr) error {
	if fd < 0 {
		return errNoIPv6
	}
	s.to6.Addr = *to
	s.msg.Name, s.msg.Namelen = (*byte)(unsafe.Pointer(&s.to6)), unix.SizeofSockaddrInet6
	return s.send(fd, dev, s.by6, device6)
}

// send sends s.buf to where s.msg says. The index of the device goes into the control
// message by, at the offset at.
func (s *Sender) send(fd int, dev uint32, by []byte, at int) error {
	native.PutUint32(by[at:], dev) // 0 is none here, too
	s.msg.Control = &by[0]
	s.msg.SetControllen(len(by))
	s.iov.Base = unsafe.SliceData(s.buf)
	s.iov.SetLen(len(s.buf))
	_, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.msg)), unix.MSG_DONTWAIT)
	if errno != 0 {
		return errno // a small number in an interface: no allocation
	}
	return nil
}
