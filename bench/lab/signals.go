// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

var live = struct {
	sync.Mutex
	labs map[*Lab]bool
}{labs: map[*Lab]bool{}}

func register(l *Lab) {
	live.Lock()
	defer live.Unlock()
	live.labs[l] = true
}

func unregister(l *Lab) {
	live.Lock()
	defer live.Unlock()
	delete(live.labs, l)
}

// CloseAll closes every lab of this process.
func CloseAll() {
	live.Lock()
	labs := make([]*Lab, 0, len(live.labs))
	for l := range live.labs {
		labs = append(labs, l)
	}
	live.Unlock()
	for _, l := range labs {
		l.Close()
	}
}

// CloseOnSignal handles SIGINT, SIGTERM, SIGHUP and a closed standard output. It closes
// every lab, calls the functions in also, and ends the program with 128 plus the signal's
// number, as a shell does.
func CloseOnSignal(also ...func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		s := <-c
		// With Notify, SIGPIPE also comes when the other end closed a connection.
		for s == syscall.SIGPIPE && !nobodyReads(os.Stdout) && !nobodyReads(os.Stderr) {
			s = <-c
		}
		fmt.Fprintf(os.Stderr, "ended by a signal: %v\n", s)
		CloseAll()
		for _, f := range also {
			f()
		}
		os.Exit(128 + int(s.(syscall.Signal)))
	}()
}

// nobodyReads reports whether a file is a pipe whose other end is closed.
func nobodyReads(f *os.File) bool {
	p := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents&unix.POLLERR != 0
}
