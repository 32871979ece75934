// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// setID is one of the kernel sets that this program keeps.
type setID uint8

const (
	setCut4 setID = iota
	setCut6
	setLock4
	setLock6
	setOwn4
	setOwn6
	setWatch4
	setWatch6
	setMark4
	setMark6
	setCount
)

// setNames are the names of the sets in nftables, and with ipsetPrefix in
// ipset.
var setNames = [setCount]string{"cut4", "cut6", "lock4", "lock6", "own4", "own6", "watch4", "watch6", "mark4", "mark6"}

// setKeyLen is the length of a set's key as nftables has it: addresses as on the
// wire, the two addresses of a pair one after the other. A port has its address,
// the protocol and the number, each in a field of four bytes or a multiple of that.
var setKeyLen = [setCount]uint8{8, 32, 4, 16, 12, 24, 4, 16, 4, 16}

// maxSetOps is how many changes go to the kernel at a time, at most.
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

// KernelSets writes changes into the kernel's sets. Every call waits for the kernel,
// which may be busy with what another program changes for as long as it likes: the
// packet goroutine leaves that to a SetWriter. It belongs to one goroutine.
type KernelSets struct {
	conn *netlink.Conn
	raw  syscall.RawConn

	out, in []byte
	errno   unix.Errno // the first error of the last exchange
	errSeq  uint32     // and the message it is about
	call    func(fd uintptr)

	// What differs between nftables and ipset: write has the kernel make up to
	// maxSetOps changes and returns the first error, appendNone appends what empties
	// a set.
	write      func([]setOp) error
	appendNone func(b []byte, set setID) []byte
	name       func(setID) string
}

func (s *KernelSets) open(size int) (*KernelSets, error) {
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
		return nil, fmt.Errorf("kernel sets: %w", err)
	}
	s.out = make([]byte, 0, size)
	s.in = make([]byte, 1024)
	s.call = s.exchange
	return s, nil
}

// Close closes the socket. It leaves the sets' elements to their timeouts.
func (s *KernelSets) Close() error { return s.conn.Close() }

// transact sends s.out and returns the first error that the kernel reports.
// Messages are numbered by setSeq.
func (s *KernelSets) transact() error {
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

// Clear empties all sets. It returns the first error and goes on with the other sets.
func (s *KernelSets) Clear() error {
	var first error
	for set := range setCount {
		s.out = s.appendNone(s.out[:0], set)
		if err := s.transact(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// setSeq is the sequence number of the messages for a set.
func setSeq(set setID) uint32 { return uint32(set) + 1 }

// exchange writes s.out and reads the reports about it. The kernel works on
// the messages within the write and reports only errors, as no acknowledgement
// is asked for: when the write is done, all reports are there. It may wait for
// another program that changes the rules, so it is no RawSyscall.
func (s *KernelSets) exchange(fd uintptr) {
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
func (s *KernelSets) report(b []byte) {
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
