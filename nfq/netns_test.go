// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// enterNetNS puts the test's goroutine into a network namespace of its own,
// with loopback up. The namespace has no name: it ends with the thread and the
// sockets in it. The thread is never handed back to the runtime.
//
// Goroutines and subtests that the test starts are outside; sockets may be
// handed to them.
func enterNetNS(t *testing.T) {
	t.Helper()
	if testing.Short() {
		// An emulated CPU runs the other tests only: qemu's user mode has no
		// netfilter sockets.
		t.Skip("-short: no tests of the kernel")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare(CLONE_NEWNET): %v", err)
	}
	run(t, "ip", "link", "set", "lo", "up")
}

// netNS returns the thread's current namespace as a file, which keeps it alive.
func netNS(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// setNetNS moves the thread, which enterNetNS has locked, to another namespace.
func setNetNS(t *testing.T, f *os.File) {
	t.Helper()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// try runs a command in the current namespace and returns what it prints. What it
// complains of comes back only when it fails: between the lines of a list, it would
// break them.
func try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs the program %s", name)
	}
	var out, complaints strings.Builder
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil {
		said := out.String() + complaints.String()
		return said, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, said)
	}
	return out.String(), nil
}

// run is try for a command that must succeed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(t, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runInput is run for a command that reads its standard input.
func runInput(t *testing.T, input, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
