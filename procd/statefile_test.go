// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/state"
)

// TestSaveAndRestore: a restart keeps locks, log and history. Each engine gets its own file
// back.
func TestSaveAndRestore(t *testing.T) {
	h := newHouse(t, 2)
	h.files.path = filepath.Join(h.dir, "ram", "state")
	h.save(false) // the history counts from here
	h.ping(0, "127.0.0.50")
	h.ping(1, "127.0.0.51")
	h.ping(1, "127.0.0.52")
	h.journal.Drain(func(*events.Entry) {})
	h.save(false)

	log, said := logged()
	f := stateFiles{complaints: newComplaints(log), path: h.files.path, version: "1.2.3"}
	for i, want := range []string{": 1 clients, 1 of them locked", ".1: 2 clients, 2 of them locked"} {
		e, restored := f.restore(i, h.workers[i].loop.Now(), engine)
		if clients, locked := e.Len(); !restored || clients != i+1 || locked != i+1 {
			t.Errorf("queue %d: %d clients, %d locked", i, clients, locked)
		}
		if want := "p2pwall: state file " + f.path + want + "\n"; said.String() != want {
			t.Errorf("queue %d: said %q, want %q", i, said, want)
		}
		said.Reset()
	}
	j := events.NewJournal(time.Now)
	f.restoreJournal(j)
	found := func(j *events.Journal) (hosts string) {
		for _, e := range j.Since(0) {
			if e.Class == state.ClassClient && e.What == state.EventFound {
				hosts += " " + e.Client.String()
			}
		}
		return hosts
	}
	if got, want := found(j), found(h.journal); got != want || strings.Count(want, " ") != 3 {
		t.Errorf("events of%s, want those of%s", got, want)
	}
	var table history.Table
	f.restoreHistory(&table, "")
	if got := table.Records(time.Now()); len(got) != 3 {
		t.Errorf("the history has %+v", got)
	}
	// The log of another version is not read, and that is said.
	other := stateFiles{complaints: f.complaints, path: f.path, version: "1.2.4"}
	fresh := events.NewJournal(time.Now)
	other.restoreJournal(fresh)
	if want := "p2pwall: log of events " + f.path + ".events: it is no log of this version: the log starts empty\n"; fresh.Last() != 0 || said.String() != want {
		t.Errorf("another version: %d events, said %q", fresh.Last(), said)
	}
}

// TestSaveOnlyChanges: once a minute only those files are written whose content has changed.
// An engine whose file could not be written is tried again.
func TestSaveOnlyChanges(t *testing.T) {
	h := newHouse(t, 2)
	dir := filepath.Join(h.dir, "ram")
	h.files.path = filepath.Join(dir, "state")
	h.save(true)
	written := func(all bool) (names string) {
		t.Helper()
		h.save(all)
		for _, name := range []string{"state", "state.1", "state.events"} {
			if err := os.Remove(filepath.Join(dir, name)); err == nil {
				names += " " + name
			}
		}
		return names
	}
	for _, x := range []struct {
		name   string
		change func()
		all    bool
		want   string
	}{
		{"at the start", func() {}, true, " state state.1 state.events"},
		{"nothing happened", func() {}, false, ""},
		{"a client by the second queue", func() { h.ping(1, "127.0.0.51") }, false, " state.1"},
		{"nothing since", func() {}, false, ""},
		{"an event", func() { h.journal.Enter(state.Event{Class: state.ClassSystem, What: state.EventRules}) }, false, " state.events"},
		{"no room", func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			h.put(dir, "")
			h.ping(0, "127.0.0.50")
		}, false, ""},
		{"room again", func() {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}, false, " state"},
		{"the end", func() {}, true, " state state.1 state.events"},
	} {
		x.change()
		if got := written(x.all); got != x.want {
			t.Errorf("%s: wrote%s, want%s", x.name, got, x.want)
		}
	}
	if got, want := h.said.take(), "state file: mkdir "+dir+": not a directory: locks will not survive a restart\n"; !strings.HasPrefix(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
	if left, _ := filepath.Glob(dir + "/*.new"); left != nil {
		t.Errorf("left %q", left)
	}
}

// TestRestoreHistory: the file in RAM is newer than the one on flash, so it comes first. A
// damaged one is set aside, and the other one is read.
func TestRestoreHistory(t *testing.T) {
	with := func(hosts int) []byte {
		h := newHouse(t, 1)
		h.history.Take(time.Now(), h.workers.do)
		for i := range hosts {
			h.ping(0, "127.0.0."+string(rune('5'+i)))
		}
		h.history.Take(time.Now(), h.workers.do)
		return h.history.Snapshot()
	}
	two, one := with(2), with(1)
	for _, x := range []struct {
		name       string
		ram, flash []byte
		records    int
		damaged    []string
	}{
		{"none", nil, nil, 0, nil},
		{"both", two, one, 2, nil},
		{"after the router's restart", nil, one, 1, nil},
		{"damaged in RAM", two[:len(two)-1], one, 1, []string{"ram.history"}},
		{"both damaged", []byte("x"), bytes.ToUpper(one), 0, []string{"ram.history", "flash"}},
	} {
		dir := t.TempDir()
		for name, b := range map[string][]byte{"ram.history": x.ram, "flash": x.flash} {
			if b != nil {
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		log, said := logged()
		f := stateFiles{complaints: newComplaints(log), path: filepath.Join(dir, "ram")}
		var table history.Table
		f.restoreHistory(&table, filepath.Join(dir, "flash"))
		if got := len(table.Records(time.Now())); got != x.records {
			t.Errorf("%s: %d records, want %d", x.name, got, x.records)
		}
		want := ""
		for _, name := range x.damaged {
			path := filepath.Join(dir, name)
			want += "p2pwall: history: " + path + ": " + history.ErrDamaged.Error() + ": moved to " + path + ".damaged\n"
			if _, err := os.Stat(path + ".damaged"); err != nil {
				t.Errorf("%s: %v", x.name, err)
			}
		}
		if said.String() != want {
			t.Errorf("%s: said %q, want %q", x.name, said, want)
		}
	}
}

// TestFlashIsSpared: the history is written to flash once a day, also when the router starts
// again and again, or its clock is set back. A failure is tried again after an hour.
func TestFlashIsSpared(t *testing.T) {
	dir := t.TempDir()
	flash := filepath.Join(dir, "flash")
	var table history.Table
	log, said := logged()
	f := stateFiles{complaints: newComplaints(log)}
	written := func() bool {
		f.saveHistory(&table, flash)
		b, err := os.ReadFile(flash)
		return err == nil && string(b) != "old"
	}
	for _, x := range []struct {
		name string
		age  time.Duration // of the file at the start
		want bool
	}{
		{"of this hour", time.Hour, false},
		{"nearly a day old", flashPeriod - time.Minute, false},
		{"a day old", flashPeriod + time.Minute, true},
		{"of tomorrow", -time.Hour, true},
	} {
		if err := os.WriteFile(flash, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-x.age)
		if err := os.Chtimes(flash, then, then); err != nil {
			t.Fatal(err)
		}
		f.restoreHistory(&history.Table{}, flash)
		os.Rename(flash+".damaged", flash) // "old" is no history
		if got := written(); got != x.want {
			t.Errorf("%s: written %v", x.name, got)
		}
	}
	// Without "option history_file" nothing is written, and nothing said.
	said.Reset()
	f.flashed = time.Time{}
	f.saveHistory(&table, "")
	if said.Len() > 0 {
		t.Errorf("without a file on flash: said %q", said)
	}
	// A folder in its place.
	if err := os.Remove(flash); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(flash, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.saveHistory(&table, flash)
	if err := os.RemoveAll(flash); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		later time.Duration
		want  bool
	}{{0, false}, {flashRetry - time.Minute, false}, {2 * time.Minute, true}} {
		f.flashed = f.flashed.Add(-x.later)
		if got := written(); got != x.want {
			t.Errorf("%v after a failure: written %v", x.later, got)
		}
	}
	if n := strings.Count(said.String(), "it will not survive a restart of the router"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said)
	}
}

// TestReadState: a file that is too long to be ours is not read into memory.
func TestReadState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, x := range []struct {
		size int64
		ok   bool
	}{{0, true}, {maxState, true}, {maxState + 1, false}, {maxState << 10, false}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, x.size); err != nil {
			t.Fatal(err)
		}
		b, err := readState(path)
		if (err == nil) != x.ok || x.ok && int64(len(b)) != x.size || !x.ok && err.Error() != path+" is longer than any state file" {
			t.Errorf("%d bytes: read %d, %v", x.size, len(b), err)
		}
	}
}

// TestWriteState: only the owner can read a state file. The old file stays until the new one
// is whole.
func TestWriteState(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "state")
	if err := writeState(filepath.Join(dir, "new", "state"), nil); err != nil {
		t.Errorf("a folder that is not there yet: %v", err)
	}
	for _, text := range []string{"a long first text", "second"} {
		// What a power cut has left of an earlier try does not matter.
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte(strings.Repeat("x", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := writeState(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("it has %q", b)
		}
	}
	if err := os.Mkdir(path+".new", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeState(path, []byte("third")); err == nil {
		t.Error("a folder was written to")
	}
	if b, _ := os.ReadFile(path); string(b) != "second" {
		t.Errorf("after a failure it has %q", b)
	}
}

// TestSetAsideFails: a damaged file that cannot be moved does not keep the daemon from
// starting.
func TestSetAsideFails(t *testing.T) {
	dir := t.TempDir()
	log, said := logged()
	f := stateFiles{complaints: newComplaints(log), path: filepath.Join(dir, "state")}
	if err := os.WriteFile(f.path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(f.path+".damaged/x", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, restored := f.restore(0, state.Time(time.Hour), engine); restored {
		t.Error("it is restored")
	}
	if got := said.String(); !strings.Contains(got, ": left where it is: ") || !strings.HasSuffix(got, ", starting empty\n") {
		t.Errorf("said %q", got)
	}
}
