// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Enter moves the test's goroutine into its own network namespace, with loopback up. The
// namespace has no name: it ends with the thread and its sockets. The thread does not go
// back to the runtime.
//
// Programs that the test runs are in the namespace too. Goroutines and subtests that the
// test starts are not, but they may use its sockets.
func Enter(t *testing.T) {
	t.Helper()
	if testing.Short() {
		// On an emulated CPU only the other tests run: qemu's user mode has no netfilter
		// sockets.
		t.Skip("-short: no tests of the kernel")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare(CLONE_NEWNET): %v", err)
	}
	Run(t, "", "ip", "link", "set", "lo", "up")
}

// Current returns the thread's namespace as a file. The open file keeps the namespace
// until the end of the test.
func Current(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Switch moves the thread, which Enter locked, to another namespace.
func Switch(t *testing.T, f *os.File) {
	t.Helper()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// Need skips the test unless the programs are installed.
func Need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs the program %s", p)
		}
	}
}

// Run runs a program in the thread's namespace with a text as input and returns its
// output. If the program fails, the test ends. If it is not installed, the test is
// skipped.
func Run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	Need(t, name)
	out, err := Try(input, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\ninput:\n%s", name, strings.Join(args, " "), err, out, input)
	}
	return out
}

// Try is Run for a program that may fail. The error output is returned only after a
// failure: otherwise it would split the lines of a list.
func Try(input, name string, args ...string) (string, error) {
	var out, complaints strings.Builder
	c := exec.Command(name, args...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &out, &complaints
	if err := c.Run(); err != nil {
		return out.String() + complaints.String(), err
	}
	return out.String(), nil
}
