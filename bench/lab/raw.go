// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Raw sends IP packets of any content, well-formed or not, from a LAN host or from
// the internet to the router.
type Raw struct {
	fd    int
	frame []byte
}

// OpenRaw opens a raw sender on a LAN host, or on Lab.Inet.
func (h *Host) OpenRaw() (*Raw, error) {
	r := &Raw{fd: -1, frame: append(append([]byte(nil), h.gateway[:]...), h.MAC[:]...)}
	err := h.Do(func() error {
		ifi, err := net.InterfaceByName(HostDev)
		if err != nil {
			return err
		}
		if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return os.NewSyscallError("socket", err)
		}
		return os.NewSyscallError("bind", unix.Bind(r.fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}))
	})
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close closes the sender.
func (r *Raw) Close() {
	if r.fd >= 0 {
		unix.Close(r.fd)
		r.fd = -1
	}
}

// As sets the source hardware address of the packets.
func (r *Raw) As(mac [6]byte) { copy(r.frame[6:12], mac[:]) }

// Send sends an IP packet. The first four bits say whether it is IPv4 or IPv6.
func (r *Raw) Send(ip []byte) error {
	kind := uint16(unix.ETH_P_IP)
	if len(ip) > 0 && ip[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	b := binary.BigEndian.AppendUint16(r.frame[:12], kind)
	b = append(b, ip...)
	r.frame = b[:12]
	_, err := unix.Write(r.fd, b)
	return err
}

// UDPPacket returns an IP packet with a datagram and correct checksums.
func UDPPacket(src, dst netip.AddrPort, payload []byte) []byte {
	l4 := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(l4[4:], uint16(8+len(payload)))
	return ipPacket(UDP, 6, src, dst, append(l4, payload...))
}

// TCPPacket returns an IP packet with a TCP segment and correct checksums.
func TCPPacket(src, dst netip.AddrPort, flags byte, seq uint32, payload []byte) []byte {
	l4 := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint32(l4[4:], seq)
	l4[12], l4[13], l4[14] = 5<<4, flags, 0xff
	return ipPacket(TCP, 16, src, dst, append(l4, payload...))
}

func ipPacket(proto byte, sumAt int, src, dst netip.AddrPort, l4 []byte) []byte {
	binary.BigEndian.PutUint16(l4, src.Port())
	binary.BigEndian.PutUint16(l4[2:], dst.Port())
	return ipAround(proto, sumAt, src.Addr(), dst.Addr(), l4)
}

// ipAround puts an IP header before l4 and writes the checksum of l4 at sumAt.
func ipAround(proto byte, sumAt int, src, dst netip.Addr, l4 []byte) []byte {
	s, d := src.AsSlice(), dst.AsSlice()
	pseudo := uint32(proto) + uint32(len(l4))
	pseudo += sum16(s) + sum16(d)
	sum := fold(pseudo + sum16(l4))
	if sum == 0 && proto == UDP {
		sum = 0xffff // 0 would mean that there is no checksum
	}
	binary.BigEndian.PutUint16(l4[sumAt:], sum)
	if src.Is6() {
		h := []byte{0x60, 0, 0, 0, byte(len(l4) >> 8), byte(len(l4)), proto, 64}
		return append(append(append(h, s...), d...), l4...)
	}
	n := 20 + len(l4)
	h := []byte{0x45, 0, byte(n >> 8), byte(n), 0, 0, 0x40, 0, 64, proto, 0, 0}
	h = append(append(h, s...), d...)
	SetIPChecksum(h)
	return append(h, l4...)
}

// SetIPChecksum corrects the checksum of an IPv4 header, so that a packet that was
// damaged on purpose is not refused for its checksum alone.
func SetIPChecksum(ip []byte) {
	n := min(len(ip), int(ip[0]&15)*4)
	if n < 20 {
		return
	}
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], fold(sum16(ip[:n])))
}

func sum16(b []byte) (s uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}
