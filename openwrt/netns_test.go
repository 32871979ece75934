// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inNetns moves the test into a network namespace of its own. The thread is never
// given back, so that the namespace goes with the test. What the test starts is
// in it too.
func inNetns(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	run(t, "", "ip", "link", "set", "lo", "up")
}

// need skips the test unless a program is installed.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s", program)
	}
}

// run runs a program with a text as its input and returns what it prints.
func run(t *testing.T, input string, args ...string) string {
	t.Helper()
	out, err := try(input, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s\ninput:\n%s", strings.Join(args, " "), err, out, input)
	}
	return out
}

// try is run for a program that may fail; what it complains of comes back only
// when it does: between the lines of a list, it would break them.
func try(input string, args ...string) (string, error) {
	var out, complaints strings.Builder
	c := exec.Command(args[0], args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &out, &complaints
	if err := c.Run(); err != nil {
		return out.String() + complaints.String(), err
	}
	return out.String(), nil
}
