// SPDX-License-Identifier: GPL-2.0-or-later

package lan

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Watch is a socket that hears from the kernel when devices, addresses or routes change. To
// ask for all of them each second costs a small router system calls and garbage, and more
// with each route.
type Watch int

// watched are the kernel's groups for what Devices reads.
const watched = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
	unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// NewWatch begins to listen. Without a socket, Changed always says yes.
func NewWatch() Watch {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return -1
	}
	// No other program can take the groups away, so this does not fail.
	_ = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: watched})
	return Watch(fd)
}

// Changed reports whether something may have changed since the last call.
func (w Watch) Changed() (changed bool) {
	// Others may cause messages without end, so some are left for the next call. What
	// changed is of no interest: one byte is enough to take a message from the socket.
	const most = 100
	for range most {
		var b [1]byte
		if _, err := syscall.Read(int(w), b[:]); err == unix.EAGAIN {
			break
		}
		changed = true // or messages were lost, or there is no socket
	}
	return changed
}

// Close ends the watch.
func (w Watch) Close() { _ = unix.Close(int(w)) }
