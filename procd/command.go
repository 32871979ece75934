// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"os"
	"strconv"
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
	Path string
	Log  *Logger

	queue chan Entry
	lost  bool
}

// NewCommands starts the runners; they end with done.
func NewCommands(path string, log *Logger, done <-chan struct{}) *Commands {
	c := &Commands{Path: path, Log: log, queue: make(chan Entry, commandBacklog)}
	for range maxCommands {
		go func() {
			for {
				select {
				case e := <-c.queue:
					c.run(&e)
				case <-done:
					return
				}
			}
		}()
	}
	return c
}

// Event queues the command for an event that has one. It does not wait.
func (c *Commands) Event(e *Entry) {
	if action(e) == "" {
		return
	}
	select {
	case c.queue <- *e:
	default:
		if !c.lost {
			c.lost = true
			c.Log.Printf("event command %s is too slow: events are left out (said once)", c.Path)
		}
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
	env := []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"ACTION=" + action(e),
		"CLIENT=" + e.Client.String(),
		"MAC=" + e.MAC.String(),
		"PROTOCOL=" + e.ProtocolName(),
		"REASON=" + e.Reason.String(),
	}
	if !e.Peer.IsZero() {
		env = append(env, "PEER="+e.Peer.String(), "PORT="+strconv.Itoa(int(e.Port)))
	}
	return env
}

func (c *Commands) run(e *Entry) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	p, err := os.StartProcess(c.Path, []string{c.Path, action(e)}, &os.ProcAttr{
		Env: environment(e), Files: []*os.File{null, null, null},
	})
	if err != nil {
		c.Log.Printf("event command: %v: make it executable, or clear \"option event_command\"", err)
		return
	}
	kill := time.AfterFunc(commandPatience, func() {
		c.Log.Printf("event command %s still ran after %v: killed", c.Path, commandPatience)
		_ = p.Kill()
	})
	defer kill.Stop()
	_, _ = p.Wait()
}
