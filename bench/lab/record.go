// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// The protocol numbers and TCP flags of a Packet.
const (
	TCP = unix.IPPROTO_TCP
	UDP = unix.IPPROTO_UDP

	FlagFIN = 0x01
	FlagSYN = 0x02
	FlagRST = 0x04
	FlagPSH = 0x08
	FlagACK = 0x10
)

// Moment is a position in the order of all packets that a Recorder saw. Tests compare
// moments instead of times: the clocks of two processors may differ by more than a packet
// needs to pass the router.
type Moment int

// Packet is one IP packet that a Recorder saw.
type Packet struct {
	At       Moment
	Time     time.Time // for humans only
	WAN      bool      // on the device to the internet, not on the LAN's
	Out      bool      // sent by the router, not received
	MAC      [6]byte
	Proto    uint8
	Src, Dst netip.AddrPort
	Flags    uint8 // TCP only
	Len      int   // payload length from the headers
	Head     [16]byte
	print    uint64
}

// IsSYN reports whether p opens a TCP connection.
func (p *Packet) IsSYN() bool {
	return p.Proto == TCP && p.Flags&(FlagSYN|FlagACK) == FlagSYN
}

// String describes a packet on one line.
func (p *Packet) String() string {
	name := fmt.Sprintf("proto %d", p.Proto)
	switch p.Proto {
	case TCP:
		name = fmt.Sprintf("TCP flags %#02x", p.Flags)
	case UDP:
		name = "UDP"
	}
	return fmt.Sprintf("%s %s %s > %s, %d bytes % x", p.Time.Format("15:04:05.000000"), name, p.Src, p.Dst, p.Len, p.Head[:min(p.Len, len(p.Head))])
}

// Recorder keeps the header of every IP packet on the router's LAN and WAN devices. One
// socket sees both devices, so that the order is the kernel's. A forwarded packet is
// recorded twice: when it enters and when it leaves.
type Recorder struct {
	file  *os.File
	raw   syscall.RawConn
	ended sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	packets []Packet
	next    Moment
	dropped int
	wan     int // interface index
	seed    maphash.Seed
	buf, ob []byte
}

// newRecorder starts a recording in the router's namespace.
func newRecorder(ns *netns.Namespace) (*Recorder, error) {
	r := &Recorder{seed: maphash.MakeSeed(), buf: make([]byte, 2048), ob: make([]byte, 256)}
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		r.file = os.NewFile(uintptr(fd), "packet socket")
		bridge, err := net.InterfaceByName(BridgeDev)
		if err != nil {
			return err
		}
		wan, err := net.InterfaceByName(WANDev)
		if err != nil {
			return err
		}
		r.wan = wan.Index
		if err := onlyDevices(fd, bridge.Index, wan.Index); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL)})
	})
	if err == nil {
		r.raw, err = r.file.SyscallConn()
	}
	if err != nil {
		if r.file != nil {
			r.file.Close()
		}
		return nil, fmt.Errorf("recorder in %s: %w", ns.Name, err)
	}
	r.ended.Add(1)
	go func() {
		defer r.ended.Done()
		r.raw.Read(func(fd uintptr) bool {
			for more := true; more; {
				r.mu.Lock()
				if r.closed {
					r.mu.Unlock()
					return true
				}
				more = r.drain(int(fd))
				r.mu.Unlock()
			}
			return false
		})
	}()
	return r, nil
}

// onlyDevices installs a filter that passes the packets of two devices only, and not
// those of the bridge's ports.
func onlyDevices(fd, a, b int) error {
	const ifindex = 0xfffff000 + 8 // SKF_AD_OFF + SKF_AD_IFINDEX
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: ifindex},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(a), Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(b), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	f := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	return os.NewSyscallError("attach filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &f))
}

func htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// Close ends the recording.
func (r *Recorder) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.file.Close()
	r.ended.Wait()
}

// drain takes the packets that the socket holds. Packets may come as fast as drain takes
// them, so it stops at a packet that came after it began. more reports that there may be
// others.
func (r *Recorder) drain(fd int) (more bool) {
	for begin := time.Now(); ; {
		n, on, _, from, err := unix.Recvmsg(fd, r.buf, r.ob, unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false
		}
		var p Packet
		if ll, ok := from.(*unix.SockaddrLinklayer); ok {
			p.Out, p.WAN = ll.Pkttype == unix.PACKET_OUTGOING, ll.Ifindex == r.wan
		}
		p.Time = stamp(r.ob[:on])
		if p.parse(r.buf[:n], r.seed) {
			r.next++
			p.At = r.next
			r.packets = append(r.packets, p)
		}
		if p.Time.After(begin) {
			return true
		}
	}
}

func stamp(oob []byte) time.Time {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range msgs {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS {
				if ts, err := parseTimespec(m.Data); err == nil {
					return ts
				}
			}
		}
	}
	return time.Now()
}

// parseTimespec reads a kernel timespec. Its fields are one machine word each.
func parseTimespec(b []byte) (time.Time, error) {
	switch len(b) {
	case 16:
		return time.Unix(int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:]))), nil
	case 8:
		return time.Unix(int64(binary.NativeEndian.Uint32(b)), int64(binary.NativeEndian.Uint32(b[4:]))), nil
	}
	return time.Time{}, fmt.Errorf("timespec of %d bytes", len(b))
}

// parse reads an Ethernet frame. It shares no code with the program under test, so that
// one mistake cannot hide another.
func (p *Packet) parse(b []byte, seed maphash.Seed) bool {
	if len(b) < 14 {
		return false
	}
	copy(p.MAC[:], b[6:12])
	kind := binary.BigEndian.Uint16(b[12:])
	b = b[14:]
	var src, dst netip.Addr
	var total int
	fragment := false
	switch {
	case kind == unix.ETH_P_IP && len(b) >= 20:
		total = int(binary.BigEndian.Uint16(b[2:])) - int(b[0]&15)*4
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		p.Proto = b[9]
		fragment = binary.BigEndian.Uint16(b[6:])&0x1fff != 0
		b = b[min(len(b), int(b[0]&15)*4):]
	case kind == unix.ETH_P_IPV6 && len(b) >= 40:
		total = int(binary.BigEndian.Uint16(b[4:]))
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		p.Proto = b[6]
		b = b[40:]
	default:
		return false
	}
	b = b[:max(0, min(len(b), total))]
	p.Len = total
	var sport, dport uint16
	// The print excludes the checksum: the kernel may not have filled it in yet.
	sumAt := -1
	head := 0
	switch {
	case fragment:
	case p.Proto == TCP && len(b) >= 20:
		p.Flags = b[13]
		head, sumAt = int(b[12]>>4)*4, 16
	case p.Proto == UDP && len(b) >= 8:
		head, sumAt = 8, 6
	}
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteByte(p.Proto)
	h.Write(dst.AsSlice())
	if sumAt >= 0 {
		sport, dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		h.Write(b[2:sumAt])
		h.Write(b[sumAt+2:])
	} else {
		h.Write(b)
	}
	p.print = h.Sum64()
	p.Len -= head
	copy(p.Head[:], b[min(head, len(b)):])
	p.Src, p.Dst = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	return true
}

// All returns the packets so far for which match is true, in their order. nil matches
// all.
func (r *Recorder) All(match func(*Packet) bool) []Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.raw.Control(func(fd uintptr) { r.drain(int(fd)) })
	}
	var out []Packet
	for i := range r.packets {
		if match == nil || match(&r.packets[i]) {
			out = append(out, r.packets[i])
		}
	}
	return out
}

// Now returns the moment of the last packet so far. Each later packet has a later moment.
func (r *Recorder) Now() Moment {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.raw.Control(func(fd uintptr) { r.drain(int(fd)) })
	}
	return r.next
}

// Dropped returns how many packets the recorder missed. It must be 0 if a test concludes
// anything from the absence of packets.
func (r *Recorder) Dropped() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.raw.Control(func(fd uintptr) {
			if st, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				r.dropped += int(st.Drops)
			}
		})
	}
	return r.dropped
}
