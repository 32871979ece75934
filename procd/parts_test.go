// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

func logged() (*syslog.Logger, *strings.Builder) {
	var b strings.Builder
	return syslog.New(&b), &b
}

func TestComplaintsAreMadeOnce(t *testing.T) {
	log, said := logged()
	c := newComplaints(log)
	for _, x := range [][2]string{
		{"a", "one"}, {"a", "one"}, {"b", "one"}, {"a", "two"}, {"a", ""}, {"a", ""}, {"a", "two"},
	} {
		c.say(x[0], x[1])
	}
	if want := "p2pwall: one\np2pwall: one\np2pwall: two\np2pwall: two\n"; said.String() != want {
		t.Errorf("said %q, want %q", said, want)
	}
}

// TestFlowCutter: calls of note during a cut lead to one more cut. A failure is logged
// once.
func TestFlowCutter(t *testing.T) {
	log, said := logged()
	f := newFlowCutter(log)
	begun, goOn, done := make(chan bool), make(chan bool), make(chan struct{})
	ended := make(chan bool)
	go func() {
		f.run(done, func() error {
			begun <- true
			<-goOn
			return errors.New("no table")
		})
		close(ended)
	}()
	f.note()
	<-begun
	for range 5 {
		f.note() // does not wait
	}
	goOn <- true
	<-begun
	goOn <- true
	select {
	case <-begun:
		t.Error("a round without anything noted")
	case <-time.After(2 * flowPause):
	}
	close(done)
	<-ended
	if n := strings.Count(said.String(), "no table"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said)
	}
}

func TestMerge(t *testing.T) {
	old := config.Default()
	for _, x := range []struct {
		change func(c *config.Config)
		want   []string
	}{
		{func(c *config.Config) { c.TimeLock, c.StateFile = time.Hour, "/x" }, nil},
		{func(c *config.Config) { c.MaxClients = 9 }, []string{"max_clients"}},
		{func(c *config.Config) { c.Queue, c.Queues = 7, 3 }, []string{"queue", "queues"}},
		{func(c *config.Config) { c.QueueLength, c.CopyRange = 7, 300 }, []string{"queue_length", "copy_range"}},
		{func(c *config.Config) { c.MarkMask, c.FailOpen = 7, false }, []string{"mark", "fail_open"}},
		{func(c *config.Config) { c.Control = "/y" }, []string{"control"}},
	} {
		c := config.Default()
		x.change(&c)
		wished := c
		if got := merge(&c, &old); !slices.Equal(got, x.want) {
			t.Errorf("needs a restart for %q, want %q", got, x.want)
		}
		if same := cmp.Diff(wished.Exempt, c.Exempt) == "" && wished.TimeLock == c.TimeLock && wished.StateFile == c.StateFile; !same {
			t.Error("what can be changed is not taken")
		}
		if x.want != nil && !cmp.Equal(old, c, cmp.Comparer(func(a, b config.ExemptList) bool { return true })) {
			t.Errorf("%q: a new value is taken", x.want)
		}
	}
}

func TestWanted(t *testing.T) {
	for _, x := range []struct {
		class state.Class
		what  state.What
		by    config.LogClasses // 0: never
	}{
		{state.ClassClient, state.EventFound, config.LogClients},
		{state.ClassTable, state.EventTableFull, config.LogClients},
		{state.ClassPeer, state.EventFound, config.LogPeers},
		{state.ClassPeer, state.EventCut, config.LogClients},
		{state.ClassProbe, state.EventSent, config.LogPeers},
		{state.ClassPacket, state.EventDropped, config.LogAll + 1}, // always: the engine emits them on request only
		{state.ClassSystem, state.EventRules, 0},
	} {
		e := &events.Entry{Event: state.Event{Class: x.class, What: x.what}}
		for _, classes := range []config.LogClasses{0, config.LogClients, config.LogPeers, config.LogAll} {
			want := classes&x.by != 0 || x.by > config.LogAll
			if got := wanted(classes, e); got != want {
				t.Errorf("%v %v with %v: %v", x.class, x.what, classes, got)
			}
		}
	}
}

func engine() *state.Engine { return state.New(config.EngineConfig(config.Default()), nil, nil, 1) }

// TestStateFiles: each engine and the journal have a file. A damaged file is set aside. A
// file that cannot be read stays where it is.
func TestStateFiles(t *testing.T) {
	dir := t.TempDir()
	log, said := logged()
	f := stateFiles{complaints: newComplaints(log), path: filepath.Join(dir, "state"), version: "1"}
	none := stateFiles{}
	for _, x := range [][2]string{
		{f.ofEngine(0), dir + "/state"},
		{f.ofEngine(2), dir + "/state.2"},
		{f.ofJournal(), dir + "/state.events"},
		{none.ofEngine(0), ""},
		{none.ofEngine(2), ""},
		{none.ofJournal(), ""},
	} {
		if x[0] != x[1] {
			t.Errorf("%q, want %q", x[0], x[1])
		}
	}
	now := state.Time(time.Hour)
	for _, x := range []struct {
		name, content string
		restored      bool
		says          string
	}{
		{"nothing", "", false, ""},
		{"good", string(engine().Snapshot(nil, now)), true, ""},
		{"damaged", "damaged", false, "moved to " + f.path + ".damaged, starting empty"},
	} {
		said.Reset()
		if x.content != "" {
			if err := os.WriteFile(f.path, []byte(x.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		made := 0
		e, restored := f.restore(0, now, func() *state.Engine { made++; return engine() })
		if e == nil || restored != x.restored || !strings.Contains(said.String(), x.says) || x.says == "" && said.Len() > 0 {
			t.Errorf("%s: restored %v, said %q", x.name, restored, said)
		}
		if x.name == "damaged" {
			if _, err := os.Stat(f.path); err == nil || made != 2 {
				t.Errorf("the damaged file is still there, or the engine that read it is used (made %d)", made)
			}
		}
	}
	if err := os.Mkdir(f.path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, restored := f.restore(0, now, engine); restored || !strings.Contains(said.String(), "starting empty") {
		t.Errorf("a folder in its place: %q", said)
	}
}

// TestStateFilesThatCannotBeWritten: a file that could not be written is written as soon as
// that is possible, although nothing has changed since. Each file has its own warning.
func TestStateFilesThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	ram, flash := filepath.Join(dir, "ram"), filepath.Join(dir, "flash")
	log, said := logged()
	f := stateFiles{complaints: newComplaints(log), path: filepath.Join(ram, "state"), version: "1"}
	e, now := engine(), state.Time(time.Hour)
	var h history.Table
	take := func() {
		h.Take(time.Now(), func(do func(*state.Engine, state.Time)) { do(e, now) })
	}
	take()
	e.DroppedByKernel(1, 1, now)
	take()
	j := events.NewJournal(time.Now)
	j.Record(&state.Event{Class: state.ClassSystem, What: state.EventRules})
	done := make(chan struct{})
	go j.Run(done, func(*events.Entry) {})
	defer close(done)
	for end := time.Now().Add(time.Minute); j.Last() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no event came")
		}
	}
	save := func() {
		f.save(false, nil, j)
		f.saveHistory(&h, filepath.Join(flash, "history"))
	}
	// Files where the folders should be.
	for _, name := range []string{ram, flash} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save()
	save()
	for _, want := range []string{"log of events: ", "restart of the program", "restart of the router"} {
		if n := strings.Count(said.String(), want); n != 1 {
			t.Errorf("%q was said %d times:\n%s", want, n, said)
		}
	}
	if err := os.Remove(ram); err != nil {
		t.Fatal(err)
	}
	save()
	if err := os.Remove(flash); err != nil {
		t.Fatal(err)
	}
	save() // flash waits, because it wears with each try
	files := []string{f.ofJournal(), f.ofHistory(), filepath.Join(flash, "history")}
	for i, name := range files {
		if _, err := os.Stat(name); (err == nil) != (i < 2) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.flashed = f.flashed.Add(-flashRetry)
	save()
	for _, name := range files {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
	save() // nothing has changed
	for _, name := range files {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is written without a change", name)
		}
	}
}

// TestPauseAfter: a reading of the connection table that costs much does not put off the
// next one for long, and one that only waits does not put it off at all.
func TestPauseAfter(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := threadTime()
	time.Sleep(flowPause)
	if used := threadTime() - begin; used > flowPause/flowShare {
		t.Errorf("%v of the processor for waiting", used)
	}
	for used, want := range map[time.Duration]time.Duration{
		time.Millisecond:      flowPause,
		20 * time.Millisecond: 400 * time.Millisecond,
		2 * time.Second:       flowPauseMost,
	} {
		if got := pauseAfter(used); got != want {
			t.Errorf("after %v: %v, want %v", used, got, want)
		}
	}
}
