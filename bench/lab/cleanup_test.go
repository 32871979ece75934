// SPDX-License-Identifier: GPL-2.0-or-later

package lab_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// childEnv makes the test program start a lab and then end in some way, so that tests can
// look at what is left.
const childEnv = "P2PWALL_LAB_CHILD"

func child(how string) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		panic(err)
	}
	sleep := l.Router.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		panic(err)
	}
	if how == "reader gone" {
		brokenConnection()
	}
	fmt.Println("lab", l.Router.Name, sleep.Process.Pid)
	if how == "panic" {
		go panic("as asked")
	}
	select {}
}

// brokenConnection writes to a connection that the other end has closed. The program must
// not end because of that.
func brokenConnection() {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		panic(err)
	}
	syscall.Close(fds[1])
	if _, err := syscall.Write(fds[0], []byte("x")); err != syscall.EPIPE {
		panic(err)
	}
	time.Sleep(300 * time.Millisecond) // the signal would act in this time
	os.Stderr.WriteString("on it goes\n")
}

// left returns the names of a process's namespaces.
func left(t *testing.T, pid int) []string {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/var/run/netns/p2pw%d-*", pid))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestCleanup ends programs with a lab in every way and looks at what is left.
func TestCleanup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for how, sig := range map[string]syscall.Signal{
		"interrupt": syscall.SIGINT, "terminate": syscall.SIGTERM, "kill": syscall.SIGKILL, "panic": 0,
		// The program's next line of output has no reader.
		"reader gone": syscall.SIGPIPE,
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"="+how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var name string
			var sleeper int
			for s := bufio.NewScanner(out); name == "" && s.Scan(); {
				fmt.Sscanf(s.Text(), "lab %s %d", &name, &sleeper)
			}
			if !strings.HasPrefix(name, fmt.Sprintf("p2pw%d-", cmd.Process.Pid)) {
				t.Fatalf("no lab, but %q", name)
			}
			if sig != 0 {
				if n := len(left(t, cmd.Process.Pid)); n != 4 {
					t.Errorf("%d namespaces before the end", n)
				}
				if sig == syscall.SIGPIPE {
					out.Close()
				}
				cmd.Process.Signal(sig)
			}
			cmd.Wait()
			until(t, "the namespaces to go", func() bool { return len(left(t, cmd.Process.Pid)) == 0 })
			until(t, "the process in the lab to go", func() bool { return syscall.Kill(sleeper, 0) != nil })
		})
	}
}

// TestStale shows that a new lab removes the lab of a dead process, and that it keeps the
// lab of a living process and foreign names.
func TestStale(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{ // whether the namespace stays
		fmt.Sprintf("p2pw%d-client", dead.Process.Pid):  false,
		fmt.Sprintf("p2pw%d-client.7", os.Getpid()):     true,
		fmt.Sprintf("p2pw%dx-client", dead.Process.Pid): true,
		fmt.Sprintf("xp2pw%d-client", dead.Process.Pid): true,
		fmt.Sprintf("p2pw0%d-client", dead.Process.Pid): true,
	}
	for n := range names {
		if out, err := exec.Command("ip", "netns", "add", n).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		defer exec.Command("ip", "netns", "del", n).Run()
	}
	if err := lab.RemoveStale(); err != nil {
		t.Fatal(err)
	}
	for n, stays := range names {
		if _, err := os.Stat("/var/run/netns/" + n); (err == nil) != stays {
			t.Errorf("%s: stays is to be %v, but %v", n, stays, err)
		}
	}
}
