// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"
	"math"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// setID is one of the kernel sets that this program keeps.
type setID uint8

const (
	setCut4 setID = iota
	setCut6
	setLockMAC
	setLock4
	setLock6
	setSiftMAC
	setSift4
	setSift6
	setCount
)

// setNames are the names of the sets in nftables, and with ipsetPrefix in
// ipset.
var setNames = [setCount]string{"cut4", "cut6", "lockmac", "lock4", "lock6", "siftmac", "sift4", "sift6"}

// setKeyLen is the length of a set's key: addresses and MAC as on the wire, the
// two addresses of a pair one after the other.
var setKeyLen = [setCount]uint8{8, 32, 6, 4, 16, 6, 4, 16}

// optional reports whether the rules may do without the set.
func (s setID) optional() bool { return s >= setSiftMAC }

// maxSetOps is how many changes are collected at most before they are sent
// even without a Flush.
const maxSetOps = 128

// setOp is one change: add key, or refresh its timeout, or delete it.
type setOp struct {
	set     setID
	timeout uint32 // milliseconds, 0 deletes
	key     [32]byte
}

// SetError says which kernel set could not be changed. It unwraps to the
// kernel's error; unix.ENOENT means that the set (or its table) is missing.
type SetError struct {
	Set   string
	Errno unix.Errno
}

func (e *SetError) Error() string {
	// ipset has error numbers of its own, which have no text.
	const ipsetPrivate, ipsetHashFull = 4096, 4352
	switch {
	case e.Errno == unix.ENOENT:
		return e.Set + ": missing in the kernel, load the rules again"
	case e.Errno == unix.EPERM:
		return e.Set + ": no permission: run as root or with CAP_NET_ADMIN"
	case e.Errno == ipsetHashFull || e.Errno == unix.ENFILE:
		return e.Set + ": full"
	case e.Errno >= ipsetPrivate:
		return fmt.Sprintf("%s: ipset error %d", e.Set, uint(e.Errno))
	}
	return e.Set + ": " + e.Errno.Error()
}

// Unwrap returns the kernel's error.
func (e *SetError) Unwrap() error { return e.Errno }

// sets collects changes and sends them. It is the common part of NFTSets and
// IPSets, which differ in the messages.
type sets struct {
	conn *netlink.Conn
	raw  syscall.RawConn
	ops  [maxSetOps]setOp
	n    int
	err  error // of a send that no Flush asked for

	out, in []byte
	errno   unix.Errno // the first error of the last exchange
	errSeq  uint32     // and the message it is about
	call    func(fd uintptr)

	send func() error // sends ops[:n]
	name func(setID) string
}

func (s *sets) open(size int) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err == nil {
		s.conn = conn
		// Error reports without a copy of the refused message, where the
		// kernel can (4.2); and without them piling up.
		_ = conn.SetOption(netlink.CapAcknowledge, true)
		_ = conn.SetOption(netlink.NoENOBUFS, true)
		s.raw, err = conn.SyscallConn()
	}
	if err != nil {
		return fmt.Errorf("kernel sets: %w", err)
	}
	s.out = make([]byte, 0, size)
	s.in = make([]byte, 1024)
	s.call = s.exchange
	return nil
}

// Close closes the socket. It leaves the sets' elements to their timeouts.
func (s *sets) Close() error { return s.conn.Close() }

// Cut has the kernel drop everything between client and peer for d, from now
// on. Of two families, of none, or for no time, it does nothing.
func (s *sets) Cut(client, peer Addr, d time.Duration) { s.pair(client, peer, d) }

// Uncut ends a Cut.
func (s *sets) Uncut(client, peer Addr) { s.pair(client, peer, 0) }

// Lock has the kernel drop the connection attempts of a host for d, from now
// on: by its MAC, or by its address when the MAC is zero.
func (s *sets) Lock(mac MAC, addr Addr, d time.Duration) {
	if mac.IsZero() {
		s.host(setLock4, addr, d)
	} else {
		s.mac(setLockMAC, mac, d)
	}
}

// Unlock ends a Lock.
func (s *sets) Unlock(mac MAC, addr Addr) { s.Lock(mac, addr, 0) }

// Sift has the kernel let a host have, for d from now on, only connections that
// are marked as harmless, and the first packets of others. What a host
// sends is known by MAC or address, what it gets by address only: so both count,
// and either may be zero.
func (s *sets) Sift(mac MAC, addr Addr, d time.Duration) {
	if !mac.IsZero() {
		s.mac(setSiftMAC, mac, d)
	}
	s.host(setSift4, addr, d)
}

// Unsift ends a Sift, of the MAC and of the address.
func (s *sets) Unsift(mac MAC, addr Addr) { s.Sift(mac, addr, 0) }

func (s *sets) pair(client, peer Addr, d time.Duration) {
	if client.Is4() != peer.Is4() || client.IsZero() || peer.IsZero() {
		return
	}
	var op setOp
	if client.Is4() {
		op.set = setCut4
		copy(op.key[:4], client[12:])
		copy(op.key[4:], peer[12:])
	} else {
		op.set = setCut6
		copy(op.key[:16], client[:])
		copy(op.key[16:], peer[:])
	}
	s.add(&op, d)
}

func (s *sets) mac(set setID, mac MAC, d time.Duration) {
	op := setOp{set: set}
	copy(op.key[:], mac[:])
	s.add(&op, d)
}

// host changes the set of IPv4 addresses, or the one of IPv6 that is next to it.
func (s *sets) host(set4 setID, addr Addr, d time.Duration) {
	op := setOp{set: set4}
	switch {
	case addr.IsZero():
		return
	case addr.Is4():
		copy(op.key[:], addr[12:])
	default:
		op.set++
		copy(op.key[:], addr[:])
	}
	s.add(&op, d)
}

// add collects one change. A later change of the same element replaces an
// earlier one, so that a key is in a message only once.
func (s *sets) add(op *setOp, d time.Duration) {
	d = max(d, 0)
	ms := d / time.Millisecond
	if d%time.Millisecond != 0 {
		ms++
	}
	op.timeout = uint32(min(ms, math.MaxUint32))
	for i := range s.ops[:s.n] {
		if o := &s.ops[i]; o.set == op.set && o.key == op.key {
			o.timeout = op.timeout
			return
		}
	}
	if s.n == len(s.ops) {
		if err := s.send(); err != nil && s.err == nil {
			s.err = err
		}
		s.n = 0
	}
	s.ops[s.n] = *op
	s.n++
}

// Flush sends what was collected, in one write, and returns the first error.
// What the kernel refused is not sent again: the owner of the state sends it
// anew when it has mended the cause.
func (s *sets) Flush() error {
	err := s.err
	s.err = nil
	if s.n > 0 {
		if serr := s.send(); err == nil {
			err = serr
		}
		s.n = 0
	}
	return err
}

// transact sends s.out and returns the first error that the kernel reports.
// Messages are numbered by setSeq.
func (s *sets) transact() error {
	if len(s.out) == 0 {
		return nil
	}
	if err := s.raw.Control(s.call); err != nil {
		return err
	}
	if s.errno == 0 {
		return nil
	}
	set := setID(s.errSeq - 1)
	if set >= setCount {
		return os.NewSyscallError("kernel sets", s.errno)
	}
	return &SetError{Set: s.name(set), Errno: s.errno}
}

// cleared sends the message that empties a set.
func (s *sets) cleared(set setID) error {
	err := s.transact()
	if set.optional() && s.errno == unix.ENOENT {
		return nil
	}
	return err
}

// setSeq is the sequence number of the messages for a set.
func setSeq(set setID) uint32 { return uint32(set) + 1 }

// exchange writes s.out and reads the reports about it. The kernel works on
// the messages within the write and reports only errors, as no acknowledgement
// is asked for: when the write is done, all reports are there. It may wait for
// another program that changes the rules, so it is no RawSyscall.
func (s *sets) exchange(fd uintptr) {
	s.errSeq = 0
	_, _, s.errno = syscall.Syscall6(unix.SYS_SENDTO, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(s.out))), uintptr(len(s.out)), 0, 0, 0)
	// The loop is bounded by the reports one write can cause.
	for range 4 * maxSetOps {
		n, _, errno := syscall.Syscall6(unix.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(&s.in[0])), uintptr(len(s.in)), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return
		}
		s.report(s.in[:n])
	}
}

// report keeps the first error among the messages of b.
func (s *sets) report(b []byte) {
	for s.errno == 0 {
		typ, body, rest, ok := nextMessage(b)
		if !ok {
			return
		}
		if typ == unix.NLMSG_ERROR {
			if errno := messageErrno(body); errno != 0 {
				s.errno = errno
				s.errSeq = native.Uint32(b[8:])
			}
		}
		b = rest
	}
}
