// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Cache returns a folder for data that takes long to make. It is in the user's cache, and
// all checkouts share it. The folder is locked until unlock is called or this process
// ends: another caller that asks for the same name waits.
func Cache(name string) (dir string, unlock func(), err error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(user, "p2pwall", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		fmt.Fprintf(os.Stderr, "waiting for another run that uses %s\n", dir)
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			f.Close()
			return "", nil, os.NewSyscallError("flock", err)
		}
	}
	return dir, func() { f.Close() }, nil
}
