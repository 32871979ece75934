// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/state"
)

const (
	// maxCommands is how many event commands may run at once; events that
	// come meanwhile wait, and are lost when too many do.
	maxCommands = 2
	// commandBacklog is how many events may wait for their command.
	commandBacklog = 64
	// commandPatience is how long a command may run.
	commandPatience = 10 * time.Second
)

// Commands runs an executable for each event that a script may want: a client
// or a peer found, a client gone, the table full.
type Commands struct {
	path     string
	log      *Logger
	patience time.Duration
	queue    chan Entry
	done     chan struct{}

	mu   sync.Mutex
	said map[string]bool // complaints: each is made once
}

// NewCommands starts the runners.
func NewCommands(path string, log *Logger) *Commands {
	return newCommands(path, log, commandPatience)
}

func newCommands(path string, log *Logger, patience time.Duration) *Commands {
	c := &Commands{
		path: path, log: log, patience: patience,
		queue: make(chan Entry, commandBacklog), done: make(chan struct{}),
		said: map[string]bool{},
	}
	for range maxCommands {
		go c.work()
	}
	return c
}

// Path returns the executable's path.
func (c *Commands) Path() string { return c.path }

// Close ends the runners. Commands that run are left to end by themselves,
// those that wait are given up.
func (c *Commands) Close() { close(c.done) }

func (c *Commands) work() {
	for {
		select {
		case e := <-c.queue:
			c.run(&e)
		case <-c.done:
			return
		}
	}
}

// Event queues the command for an event that has one. It does not wait.
func (c *Commands) Event(e *Entry) {
	if action(e) == "" {
		return
	}
	select {
	case c.queue <- *e:
	default:
		c.complain("event command " + c.path + " is too slow: events are left out (said once)")
	}
}

func (c *Commands) complain(what string) {
	c.mu.Lock()
	again := c.said[what]
	c.said[what] = true
	c.mu.Unlock()
	if !again {
		c.log.Printf("%s", what)
	}
}

// action is the name under which a command learns of an event, "" for none.
func action(e *Entry) string {
	switch {
	case e.Class == state.ClassClient && e.What == state.EventFound:
		return "client-found"
	case e.Class == state.ClassClient && e.What == state.EventReleased:
		return "client-gone"
	case e.Class == state.ClassPeer && e.What == state.EventFound:
		return "peer-found"
	case e.Class == state.ClassTable && e.What == state.EventTableFull:
		return "table-full"
	}
	return ""
}

// environment is what a command is told.
func environment(e *Entry) []string {
	all := [...]struct{ name, value string }{
		{"PATH=", "/usr/sbin:/usr/bin:/sbin:/bin"},
		{"ACTION=", action(e)},
		{"CLIENT=", e.word('a')},
		{"MAC=", e.word('m')},
		{"PROTOCOL=", e.ProtocolName()},
		{"REASON=", e.word('r')},
		{"PEER=", e.Peer.String()},
		{"PORT=", e.word('n')},
	}
	given := all[:]
	if e.Peer.IsZero() {
		given = all[:6]
	}
	var env []string
	for _, x := range given {
		env = append(env, x.name+x.value)
	}
	return env
}

func (c *Commands) run(e *Entry) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		c.complain("event command: " + err.Error())
		return
	}
	defer null.Close()
	p, err := os.StartProcess(c.path, []string{c.path, action(e)}, &os.ProcAttr{
		Env: environment(e), Files: []*os.File{null, null, null},
		// A group of its own, to be killed with all that it started.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		c.complain("event command: " + err.Error() + ": make it executable, or clear \"option event_command\" (said once)")
		return
	}
	kill := time.AfterFunc(c.patience, func() {
		c.complain("event command " + c.path + " still ran after " + c.patience.String() + ": killed (said once)")
		_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	})
	defer kill.Stop()
	_, _ = p.Wait()
}
