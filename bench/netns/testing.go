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

// Enter puts the test's goroutine into a network namespace of its own, with loopback
// up. The namespace has no name: it ends with the thread and the sockets in it. The
// thread is never handed back to the runtime.
//
// Programs that the test runs are in it too. Goroutines and subtests that the test
// starts are outside; sockets may be handed to them.
func Enter(t *testing.T) {
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
	Run(t, "", "ip", "link", "set", "lo", "up")
}

// Current returns the thread's namespace as a file, which keeps it alive until the
// test's end.
func Current(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Switch moves the thread, which Enter has locked, to another namespace.
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

// Run runs a program in the thread's namespace with a text as its input, and returns
// what it prints. The test ends when the program fails, and is skipped when there is
// none.
func Run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	Need(t, name)
	out, err := Try(input, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\ninput:\n%s", name, strings.Join(args, " "), err, out, input)
	}
	return out
}

// Try is Run for a program that may fail. What the program complains of comes back
// only then: between the lines of a list, it would break them.
func Try(input, name string, args ...string) (string, error) {
	var out, complaints strings.Builder
	c := exec.Command(name, args...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &out, &complaints
	if err := c.Run(); err != nil {
		return out.String() + complaints.String(), err
	}
	return out.String(), nil
}
