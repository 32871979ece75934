// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a program that a test started.
type Process struct {
	Cmd *exec.Cmd
	Log Output // what it prints
	// Polite is the signal with which a user would end it. The zero value means SIGTERM.
	Polite syscall.Signal
	done   chan struct{}
}

// Start starts a command in its own process group. The lab's Close ends it.
func (l *Lab) Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{Cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.Log, &p.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // its children may keep its output open
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	l.OnClose(p.Stop)
	return p, nil
}

// Signal sends a signal to the program and its children.
func (p *Process) Signal(s syscall.Signal) { syscall.Kill(-p.Cmd.Process.Pid, s) }

// Stop ends the program as a user would, and by force if that takes more than twenty seconds.
func (p *Process) Stop() {
	if !p.Running() {
		return
	}
	if p.Polite == 0 {
		p.Polite = syscall.SIGTERM
	}
	p.Signal(p.Polite)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.Kill()
	}
}

// Kill ends the program at once.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Running reports whether the program runs.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Until waits for a condition while the program runs. Its error contains the program's
// last output.
func (p *Process) Until(what string, patience time.Duration, cond func() bool) error {
	for end := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if !p.Running() {
			return fmt.Errorf("ended before %s:\n%s", what, Tail(p.Log.String(), 40))
		}
		if time.Now().After(end) {
			return fmt.Errorf("did not come: %s:\n%s", what, Tail(p.Log.String(), 40))
		}
	}
	return nil
}

// Tail returns the last lines of a text.
func Tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
