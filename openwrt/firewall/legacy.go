// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// getsockopt on any IP socket reads the rules of legacy iptables, see
// linux/netfilter_ipv4/ip_tables.h. IPv6 uses the same numbers at its own level.
const (
	iptGetInfo    = 64
	iptGetEntries = 65
	tableNameLen  = 32
	infoLen       = 84 // struct ipt_getinfo
	infoSize      = 80 // offset in it of the length of all entries
)

// entriesHead is the length of struct ipt_get_entries before the entries. The entries are
// aligned like a 64-bit number.
var entriesHead = align64(tableNameLen + 4)

// align64 rounds up to the next offset at which the C compiler puts a 64-bit number: a
// multiple of 8, but of 4 on i386.
func align64(n int) int {
	if runtime.GOARCH == "386" {
		return n
	}
	return (n + 7) &^ 7
}

// legacyFamily is one of ip_tables and ip6_tables.
type legacyFamily struct {
	domain, level int
	next          int // offset in an entry of its length (u16)
	counters      int // offset in an entry of its counters (16 bytes)
}

var (
	legacy4 = legacyFamily{unix.AF_INET, unix.SOL_IP, 90, align64(96)}
	legacy6 = legacyFamily{unix.AF_INET6, unix.SOL_IPV6, 142, align64(148)}
)

// fingerprint returns a hash of the rules of a table, without their counters. It takes two
// system calls and runs no program.
func (f legacyFamily) fingerprint(table string) (uint64, error) {
	fd, err := unix.Socket(f.domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	info := make([]byte, infoLen)
	copy(info, table)
	if err := getsockopt(fd, f.level, iptGetInfo, info); err != nil {
		return 0, fmt.Errorf("table %s: %w", table, err)
	}
	size := int(binary.NativeEndian.Uint32(info[infoSize:]))
	buf := make([]byte, entriesHead+size)
	copy(buf, table)
	binary.NativeEndian.PutUint32(buf[tableNameLen:], uint32(size))
	if err := getsockopt(fd, f.level, iptGetEntries, buf); err != nil {
		return 0, fmt.Errorf("table %s: %w", table, err)
	}
	return f.hash(buf[entriesHead:]), nil
}

// hash hashes the entries without their counters.
func (f legacyFamily) hash(entries []byte) uint64 {
	h := fnv.New64a()
	for len(entries) >= f.counters+16 {
		n := int(binary.NativeEndian.Uint16(entries[f.next:]))
		if n < f.counters+16 || n > len(entries) {
			break
		}
		h.Write(entries[:f.counters])
		h.Write(entries[f.counters+16 : n])
		entries = entries[n:]
	}
	return h.Sum64()
}

func getsockopt(fd, level, opt int, buf []byte) error {
	n := uint32(len(buf))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return e
	}
	return nil
}
