// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// output takes the lines of a test's logger.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func script(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "event")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// until waits until come returns true.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !come(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come: " + what)
		}
	}
}

func files(t *testing.T, dir, pattern string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// run starts a runner without a pause between commands.
func run(t *testing.T, path string, log *output, patience time.Duration) *Commands {
	c := newCommands(path, syslog.New(log), patience, 0)
	go c.work()
	t.Cleanup(c.Close)
	return c
}

// TestCommandEnvironment runs a real script for each kind of event.
func TestCommandEnvironment(t *testing.T) {
	t.Setenv("SECRET", "not to be handed on")
	dir := t.TempDir()
	var log output
	c := newCommands(script(t, dir, "env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort >"+dir+"/new.$$ && mv "+dir+"/new.$$ "+dir+"/$1\n"), syslog.New(&log), commandPatience, 0)
	ev := found("192.168.1.50")
	gone := state.Event{Class: state.ClassClient, What: state.EventReleased, Client: ev.Client}
	peer := ev
	peer.Class, peer.Peer, peer.Port = state.ClassPeer, addr("2001:db8::7"), 6881
	second := peer
	second.Peer, second.Port = addr("198.51.100.8"), 1214
	full := state.Event{Class: state.ClassTable, What: state.EventTableFull, Client: ev.Client, MAC: clientMAC}
	quiet := ev
	quiet.What = state.EventLocked
	for _, e := range []state.Event{quiet, ev, gone, peer, second, full} {
		c.Event(&Entry{Event: e})
	}
	go c.work()
	defer c.Close()
	head := "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
	for name, want := range map[string][]string{
		"client-found": {"ACTION=client-found", "CLIENT=192.168.1.50", "MAC=02:00:00:00:00:0a", head, "PEER=198.51.100.7", "PORT=1214", "PROTOCOL=fasttrack", "REASON=ping"},
		"client-gone":  {"ACTION=client-gone", "CLIENT=192.168.1.50", "MAC=", head, "PROTOCOL=fasttrack", "REASON="},
		"peer-found":   {"ACTION=peer-found", "CLIENT=192.168.1.50", "MAC=02:00:00:00:00:0a", head, "PEER=2001:db8::7", "PEERS=[2001:db8::7]:6881 198.51.100.8:1214", "PORT=6881", "PROTOCOL=fasttrack", "REASON=ping"},
		"table-full":   {"ACTION=table-full", "CLIENT=192.168.1.50", "MAC=02:00:00:00:00:0a", head, "PROTOCOL=fasttrack", "REASON="},
	} {
		path := filepath.Join(dir, name)
		until(t, name, func() bool { _, err := os.Stat(path); return err == nil })
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, strings.Split(strings.TrimSpace(string(got)), "\n")); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if n := files(t, dir, "*"); n != 5 { // the script, and four results
		t.Errorf("%d files", n)
	}
	if log.String() != "" {
		t.Errorf("it logged %s", log.String())
	}
}

// TestCommandsAtOnce: two commands run and the others wait. Commands beyond the backlog
// are lost, which is logged once.
func TestCommandsAtOnce(t *testing.T) {
	dir := t.TempDir()
	var log output
	c := run(t, script(t, dir, "touch "+dir+"/run.$$; for i in $(seq 3000); do [ -e "+dir+"/go ] && break; sleep 0.01; done\n"), &log, commandPatience)
	e := Entry{Event: found("192.168.1.50")}
	for range maxCommands {
		c.Event(&e)
	}
	until(t, "two that run", func() bool { return files(t, dir, "run.*") == maxCommands })
	for range clientBacklog {
		c.Event(&e)
	}
	if log.String() != "" {
		t.Errorf("it logged %s", log.String())
	}
	c.Event(&e)
	c.Event(&e)
	if want := "p2pwall: event command " + dir + "/event is not told of all events: there are too many, or it is too slow (said once)\n"; log.String() != want {
		t.Errorf("got %q, want %q", log.String(), want)
	}
	if n := files(t, dir, "run.*"); n != maxCommands {
		t.Errorf("%d run at once", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "all others", func() bool { return files(t, dir, "run.*") == maxCommands+clientBacklog })
}

// TestCommandIsKilled: a command that runs too long is killed with its children.
func TestCommandIsKilled(t *testing.T) {
	dir := t.TempDir()
	var log output
	c := run(t, script(t, dir, "sleep 1000 & echo $! >"+dir+"/new && mv "+dir+"/new "+dir+"/child\nwait\n"), &log, 300*time.Millisecond)
	e := Entry{Event: found("192.168.1.50")}
	c.Event(&e)
	var child int
	until(t, "the child", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "child"))
		child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return child > 0
	})
	until(t, "the end of the child", func() bool {
		if syscall.Kill(child, 0) == syscall.ESRCH {
			return true
		}
		// A zombie has ended, too: an orphan that no process has waited for yet.
		b, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
		return err != nil || strings.Contains(string(b), ") Z ")
	})
	if want := "p2pwall: event command " + dir + "/event still ran after 300ms: killed (said once)\n"; log.String() != want {
		t.Errorf("got %q, want %q", log.String(), want)
	}
}

func TestCommandMissing(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{
		filepath.Join(dir, "none"): "no such file or directory",
		plain:                      "permission denied",
	} {
		var log output
		c := newCommands(path, syslog.New(&log), commandPatience, 0)
		for range 5 {
			c.start(&call{Entry: Entry{Event: found("192.168.1.50")}})
		}
		want := "p2pwall: event command: fork/exec " + path + ": " + why +
			": make it executable, or clear \"option event_command\" (said once)\n"
		if log.String() != want {
			t.Errorf("got %q, want %q", log.String(), want)
		}
	}
}
