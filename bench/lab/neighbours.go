// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// AnswerFor makes a host answer ARP requests and neighbour solicitations for some
// addresses with its own hardware address. The host need not have these addresses. stop
// ends this.
func (h *Host) AnswerFor(has func(netip.Addr) bool) (stop func(), err error) {
	fd := -1
	err = h.Do(func() error {
		ifi, err := net.InterfaceByName(HostDev)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return os.NewSyscallError("socket", err)
		}
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifi.Index}))
	})
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "packet socket")
	var ended sync.WaitGroup
	ended.Go(func() {
		b := make([]byte, 2048)
		for {
			n, err := file.Read(b)
			if err != nil {
				return
			}
			if reply := h.answerFor(b[:n], has); reply != nil {
				file.Write(reply)
			}
		}
	})
	return sync.OnceFunc(func() {
		file.SetDeadline(time.Unix(1, 0))
		ended.Wait()
		file.Close()
	}), nil
}

// answerFor returns the answer to frame b, or nil.
func (h *Host) answerFor(b []byte, has func(netip.Addr) bool) []byte {
	if len(b) < 14 {
		return nil
	}
	asker, kind := b[6:12], binary.BigEndian.Uint16(b[12:])
	reply := append(append([]byte(nil), asker...), h.MAC[:]...)
	reply = binary.BigEndian.AppendUint16(reply, kind)
	b = b[14:]
	switch {
	case kind == unix.ETH_P_ARP && len(b) >= 28 && b[7] == 1:
		wanted := netip.AddrFrom4([4]byte(b[24:28]))
		if !has(wanted) {
			return nil
		}
		reply = append(append(reply, b[:6]...), 0, 2) // hardware and protocol type from the request; a reply
		reply = append(append(reply, h.MAC[:]...), b[24:28]...)
		return append(reply, b[8:18]...)
	case kind == unix.ETH_P_IPV6 && len(b) >= 40+24 && b[6] == unix.IPPROTO_ICMPV6 && b[40] == 135:
		wanted, from := netip.AddrFrom16([16]byte(b[48:64])), netip.AddrFrom16([16]byte(b[8:24]))
		if !has(wanted) || from.IsUnspecified() {
			return nil
		}
		// Flags: solicited, override. The advertisement contains the hardware address.
		advert := append([]byte{136, 0, 0, 0, 0x60, 0, 0, 0}, wanted.AsSlice()...)
		advert = append(append(advert, 2, 1), h.MAC[:]...)
		p := ipAround(unix.IPPROTO_ICMPV6, 2, wanted, from, advert)
		p[7] = 255 // the hop limit must be 255
		return append(reply, p...)
	}
	return nil
}
