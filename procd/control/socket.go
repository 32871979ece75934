// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The control socket uses plain system calls and an os.File, which has the runtime's
// poller and deadlines. The net package would do the same for 150 KB of flash.

// backlog is how many connections may wait to be accepted.
const backlog = 64

func listenUnix(path string) (*os.File, error) {
	fd, addr, err := unixSocket(path, unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	// The socket's file takes the mode of the descriptor. So nobody else can open it, not
	// even for a moment.
	if err = unix.Fchmod(fd, 0o600); err == nil {
		if err = unix.Bind(fd, addr); err == nil {
			err = unix.Listen(fd, backlog)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// acceptUnix waits for a connection. It returns an error when the listener is closed.
func acceptUnix(l *os.File) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var failed error
	err = raw.Read(func(s uintptr) bool {
		fd, _, failed = unix.Accept4(int(s), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		return failed != unix.EAGAIN
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "control connection"), nil
}

// dialUnix connects to the socket at path. If the socket is busy, it waits for up to
// patience and then returns EAGAIN.
func dialUnix(path string, patience time.Duration) (*os.File, error) {
	fd, addr, err := unixSocket(path, 0)
	if err != nil {
		return nil, err
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err == nil {
		for {
			if err = unix.Connect(fd, addr); err != unix.EINTR {
				break
			}
		}
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func unixSocket(path string, flags int) (int, unix.Sockaddr, error) {
	const most = 107 // sun_path has 108 bytes, the last one zero
	if len(path) > most {
		return -1, nil, fmt.Errorf("the path is longer than %d bytes", most)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	return fd, &unix.SockaddrUnix{Name: path}, err
}

// shutdownRead makes reads of c end as if the other side had hung up.
func shutdownRead(c *os.File) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
	}
}
