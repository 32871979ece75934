// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

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

// Once makes a folder unless it exists. make gets a folder with another name, which gets
// the right one if make succeeds: so the folder is always complete.
func Once(dir string, make func(part string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(part, 0o755); err != nil {
		return err
	}
	if err := make(part); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(dir), err)
	}
	return os.Rename(part, dir)
}

// DebianMirror returns this machine's source of Debian's main suite: address and suite.
func DebianMirror() (uri, suite string, err error) {
	out, err := exec.Command("apt-get", "indextargets", "--format",
		"$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN) $(LABEL)", "Identifier: Packages").Output()
	if err != nil {
		return "", "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 5 && f[2] == "main" && f[3] == "Debian" && f[4] == "Debian" && !strings.Contains(f[1], "-") {
			return f[0], f[1], nil
		}
	}
	return "", "", fmt.Errorf("no source of Debian's main suite: run apt-get update, see /etc/apt")
}

// Debootstrap makes a Debian system with some packages (names with commas between them) in a
// folder. variant is mmdebstrap's: "extract" only unpacks the packages, "minbase" installs
// them. more are further arguments of mmdebstrap: sources beside the mirror, and options.
func Debootstrap(root, mirror, suite, variant, packages string, more ...string) error {
	args := []string{"--quiet", "--variant=" + variant, "--include=" + packages}
	// If this machine's apt accepts outdated lists, mmdebstrap's apt must too.
	out, err := exec.Command("apt-config", "dump", "Acquire::Check-Valid-Until").Output()
	if err != nil {
		return fmt.Errorf("apt-config: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		args = append(args, "--aptopt="+strings.TrimSpace(line))
	}
	args = append(append(args, suite, root, mirror), more...)
	cmd := exec.Command("mmdebstrap", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap (Debian's package of that name): %w\n%s", err, out)
	}
	return nil
}
