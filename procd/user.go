// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const passwd = "/etc/passwd"

// Become changes from root to the account name and executes the program again with the
// arguments args. It keeps two capabilities, also for the programs it calls: to
// administer the network and to send raw packets. It returns only on an error.
//
// Executing again gives all threads the new identity at once, and makes the kernel pass
// the capabilities on.
func Become(name string, args []string) error {
	text, err := os.ReadFile(passwd)
	if err != nil {
		return err
	}
	uid, gid, err := account(string(text), name)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can become user %s: start as root, or leave --user out", name)
	}
	// The system calls below change this thread alone. So execve must run on it; execve
	// ends the other threads.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := change(uid, gid); err != nil {
		return fmt.Errorf("changing to user %s: %w", name, err)
	}
	err = unix.Exec("/proc/self/exe", args, os.Environ())
	return fmt.Errorf("executing the program as user %s: %w", name, err)
}

// account finds an account in the text of /etc/passwd.
func account(text, name string) (uid, gid int, err error) {
	for _, line := range strings.Split(text, "\n") {
		f := strings.Split(line, ":")
		if len(f) < 4 || f[0] != name {
			continue
		}
		uid, err = strconv.Atoi(f[2])
		if err == nil {
			gid, err = strconv.Atoi(f[3])
		}
		// On ARM the system calls in change take 16-bit ids.
		const most = 0xfffe
		if err != nil || uid < 0 || gid < 0 || uid > most || gid > most {
			return 0, 0, fmt.Errorf("%s: the line of user %s cannot be used", passwd, name)
		}
		if uid == 0 {
			return 0, 0, fmt.Errorf("user %s is root: leave --user out", name)
		}
		return uid, gid, nil
	}
	return 0, 0, fmt.Errorf("there is no user %s: create it, or leave --user out", name)
}

// change gives the calling thread the user, the group and only the two capabilities.
func change(uid, gid int) error {
	const keep = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	groups := uint32(gid)
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&groups)), 0)
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
	}
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
	}
	if errno != 0 {
		return errno
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: keep, Permitted: keep, Inheritable: keep}}
	if err := unix.Capset(&head, &data[0]); err != nil {
		return err
	}
	for _, c := range []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW} {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0); err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}
