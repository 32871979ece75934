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
	// maxCommands is how many event commands may run at once.
	maxCommands = 2
	// commandPatience is how long a command may run.
	commandPatience = 10 * time.Second
	// commandPause is the least time between the starts of two commands, but
	// for those that tell of a client.
	commandPause = time.Second
	// clientBacklog is how many events of clients may wait for their command,
	// restBacklog how many commands beside these. What comes beyond is lost.
	clientBacklog = 128
	restBacklog   = 16
	// maxPeers is how many peers one command is told of.
	maxPeers = 100
)

// call is one run of the command. It tells of one event, or of several peers
// that one client turned to.
type call struct {
	Entry
	peers []byte // address:port of all peers, with a space between two
	n     int    // how many they are
}

// Commands runs an executable for each event that a script may want: a client
// found, a client gone, peers found, the table full.
//
// A client that is found or gone has a command of its own, at once. These events
// are few: a client is proved, and stays for the time of its lock. All others
// together start one command a second at most, and only when none runs. Peers
// that a client turns to meanwhile are gathered for one call.
type Commands struct {
	path            string
	log             *syslog.Logger
	patience, pause time.Duration
	wake            chan struct{} // something may be ready to run
	done, ended     chan struct{}

	mu      sync.Mutex
	clients []call // wait for a place among maxCommands
	rest    []call // wait for their time
	running int
	last    time.Time       // when a command was started last
	said    map[string]bool // complaints: each is made once
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

// Close ends the runner: no command is started any more, and what waits is given
// up. Commands that run are left to end by themselves.
func (c *Commands) Close() {
	close(c.done)
	<-c.ended
}

// work starts the commands, one after the other, in the order of next.
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
		var timer <-chan time.Time // nil: waits without end
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

// next takes the call that is to be started at the time now. Without one it
// returns how long to wait for it, or 0 to wait until something changes.
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
	*from = slices.Delete(*from, 0, 1)
	c.running++
	c.last = now
	return &x, 0
}

// over notes that a command has ended.
func (c *Commands) over() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.look()
}

// look has the runner look again.
func (c *Commands) look() {
	select {
	case c.wake <- struct{}{}:
	default: // it will
	}
}

// Event queues the command for an event that has one. It does not wait.
func (c *Commands) Event(e *Entry) {
	if action(e) == "" {
		return
	}
	if !c.add(e) {
		c.complain("event command " + c.path + " is not told of all events: there are too many, or it is too slow (said once)")
	}
	c.look()
}

// add notes an event, and reports whether there was place for it.
func (c *Commands) add(e *Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Class == state.ClassClient {
		if e.What == state.EventReleased {
			// Whom it knew is no news after it is gone.
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
			return true // that the table is full is said already
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

// peersOf reports whether the call tells of peers of the client of an event.
func (x *call) peersOf(e *Entry) bool {
	return x.Class == state.ClassPeer && x.Client == e.Client && x.Protocol == e.Protocol
}

// add adds a peer to those that the call tells of, and reports whether it had
// place.
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

// start starts a command, and has somebody wait for its end.
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
		// A group of its own, to be killed with all that it started.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
}
