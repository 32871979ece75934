// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// maxCommands is how many event commands may run at the same time.
	maxCommands = 2
	// commandPatience is how long a command may run.
	commandPatience = 10 * time.Second
	// commandPause is the shortest time between the starts of two commands. Commands for
	// clients found or gone need not wait.
	commandPause = time.Second
	// clientBacklog is how many events of clients may wait for their command. restBacklog
	// is how many other commands may wait. Further events are lost.
	clientBacklog = 128
	restBacklog   = 16
	// maxPeers is the largest number of peers in one command.
	maxPeers = 100
)

// call is one run of the command. It is for one event, or for several peers of one
// client.
type call struct {
	Entry
	peers []byte // address:port of all peers, separated by spaces
	n     int    // how many peers
}

// Commands runs an executable for events: a client found, a client gone, peers found, the
// table full.
//
// A client that is found or gone gets a command of its own, at once. Such events are few:
// each client must be proved, and stays for the time of its lock. All other events
// together start one command a second at most, and only while none runs. New peers of a
// client are meanwhile gathered for one call.
type Commands struct {
	path            string
	log             *syslog.Logger
	patience, pause time.Duration
	wake            chan struct{} // a command may be ready to start
	done, ended     chan struct{}

	mu      sync.Mutex
	clients []call // wait while maxCommands run
	rest    []call // wait for commandPause
	running int
	last    time.Time       // when the last command was started
	said    map[string]bool // warnings already logged: each is logged once
}

// NewCommands starts the runner.
func NewCommands(path string, log *syslog.Logger) *Commands {
	c := newCommands(path, log, commandPatience, commandPause)
	go c.work()
	return c
}

func newCommands(path string, log *syslog.Logger, patience, pause time.Duration) *Commands {
	return &Commands{
		path: path, log: log, patience: patience, pause: pause,
		wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
		said: map[string]bool{},
	}
}

// Path returns the executable's path.
func (c *Commands) Path() string { return c.path }

// Close ends the runner. It drops the commands that wait. Commands that run go on to
// their end.
func (c *Commands) Close() {
	close(c.done)
	<-c.ended
}

// work starts the commands in the order of next.
func (c *Commands) work() {
	defer close(c.ended)
	for {
		select {
		case <-c.done:
			return
		default:
		}
		x, wait := c.next(time.Now())
		if x != nil {
			c.start(x)
			continue
		}
		var timer <-chan time.Time // nil: no time limit
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-timer:
		case <-c.wake:
		case <-c.done:
		}
	}
}

// next returns the call to start at the time now. If there is none yet, it returns how
// long to wait, or 0 to wait for a change.
func (c *Commands) next(now time.Time) (*call, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := &c.clients
	switch {
	case c.running == maxCommands:
		return nil, 0
	case len(c.clients) > 0:
	case len(c.rest) == 0 || c.running > 0:
		return nil, 0
	default:
		if wait := c.pause - now.Sub(c.last); wait > 0 {
			return nil, wait
		}
		from = &c.rest
	}
	x := (*from)[0]
	*from = (*from)[1:]
	c.running++
	c.last = now
	return &x, 0
}

func (c *Commands) over() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.look()
}

func (c *Commands) look() {
	select {
	case c.wake <- struct{}{}:
	default: // the runner is woken already
	}
}

// Event queues the command for an event, if the event has one. It does not wait.
func (c *Commands) Event(e *Entry) {
	if action(e) == "" {
		return
	}
	if !c.add(e) {
		c.complain("event command " + c.path + " is not told of all events: there are too many, or it is too slow (said once)")
	}
	c.look()
}

// add queues an event, and reports whether there was room.
func (c *Commands) add(e *Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Class == state.ClassClient {
		if e.What == state.EventReleased {
			// Nobody needs the peers of a client that is gone.
			c.rest = slices.DeleteFunc(c.rest, func(x call) bool { return x.peersOf(e) })
		}
		if len(c.clients) == clientBacklog {
			return false
		}
		c.clients = append(c.clients, call{Entry: *e})
		return true
	}
	for i := range c.rest {
		switch x := &c.rest[i]; {
		case e.Class == state.ClassTable && x.Class == state.ClassTable:
			return true // such a command waits already
		case e.Class == state.ClassPeer && x.peersOf(e):
			return x.add(e)
		}
	}
	if len(c.rest) == restBacklog {
		return false
	}
	x := call{Entry: *e}
	if e.Class == state.ClassPeer {
		x.add(e)
	}
	c.rest = append(c.rest, x)
	return true
}

// peersOf reports whether the call is for peers of the event's client.
func (x *call) peersOf(e *Entry) bool {
	return x.Class == state.ClassPeer && x.Client == e.Client && x.Protocol == e.Protocol
}

// add adds a peer to the call, and reports whether there was room.
func (x *call) add(e *Entry) bool {
	if x.n == maxPeers {
		return false
	}
	if x.n++; x.n > 1 {
		x.peers = append(x.peers, ' ')
	}
	x.peers = append(x.peers, e.word('p')...)
	return true
}

func (c *Commands) complain(what string) {
	c.mu.Lock()
	again := c.said[what]
	c.said[what] = true
	c.mu.Unlock()
	if !again {
		c.log.Warnf("%s", what)
	}
}

// action returns the event's name for the command, "" if there is no command.
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

func (x *call) environment() []string {
	all := [...]struct{ name, value string }{
		{"PATH=", "/usr/sbin:/usr/bin:/sbin:/bin"},
		{"ACTION=", action(&x.Entry)},
		{"CLIENT=", x.word('a')},
		{"MAC=", x.word('m')},
		{"PROTOCOL=", x.ProtocolName()},
		{"REASON=", x.word('r')},
		{"PEER=", x.Peer.String()},
		{"PORT=", x.word('n')},
		{"PEERS=", string(x.peers)},
	}
	given := all[:]
	switch {
	case x.Peer.IsZero():
		given = all[:6]
	case x.n == 0:
		given = all[:8]
	}
	var env []string
	for _, v := range given {
		env = append(env, v.name+v.value)
	}
	return env
}

// start starts a command, and a goroutine that waits for its end.
func (c *Commands) start(x *call) {
	p, err := c.process(x)
	if err != nil {
		c.complain("event command: " + err.Error() + ": make it executable, or clear \"option event_command\" (said once)")
		c.over()
		return
	}
	kill := time.AfterFunc(c.patience, func() {
		c.complain("event command " + c.path + " still ran after " + c.patience.String() + ": killed (said once)")
		_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	})
	go func() {
		_, _ = p.Wait()
		kill.Stop()
		c.over()
	}()
}

func (c *Commands) process(x *call) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return os.StartProcess(c.path, []string{c.path, action(&x.Entry)}, &os.ProcAttr{
		Env: x.environment(), Files: []*os.File{null, null, null},
		// With its own process group the command can be killed together with its
		// children.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
}
