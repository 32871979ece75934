// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/state"
)

// stateFiles keep locks, events and history over a restart: a file for each engine, one
// for the journal and one for the history.
type stateFiles struct {
	_ [0]func() // not comparable: the code for == would cost flash
	*complaints
	path    string    // of the first engine's file; "" for no state files
	version string    // of the program; only the same version can read its journal
	logged  uint64    // the last event in the journal's file
	kept    uint64    // history.Table.Changes of the history's file in RAM
	flashed time.Time // when the history was last written to flash
}

func (f *stateFiles) ofEngine(i int) string {
	if i == 0 || f.path == "" {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, i)
}

func (f *stateFiles) ofJournal() string {
	if f.path == "" {
		return ""
	}
	return f.path + ".events"
}

// restore returns a fresh engine with the state that engine i of the last run saved, if
// there is any. It sets a damaged file aside and returns an empty engine.
func (f *stateFiles) restore(i int, now state.Time, fresh func() *state.Engine) (e *state.Engine, restored bool) {
	e = fresh()
	path := f.ofEngine(i)
	if path == "" {
		return e, false
	}
	b, err := readState(path)
	if err != nil {
		f.log.Warnf("state file: %v: starting empty", err)
		return e, false
	}
	if b == nil {
		return e, false
	}
	if err := e.Restore(b, now); err != nil {
		f.log.Warnf("state file %v, starting empty", setAside(path, err))
		return fresh(), false
	}
	if n, locked := e.Len(); n > 0 {
		f.log.Printf("state file %s: %d clients, %d of them locked", path, n, locked)
	}
	return e, true
}

func (f *stateFiles) restoreJournal(j *events.Journal) {
	path := f.ofJournal()
	if path == "" {
		return
	}
	b, err := readState(path)
	if err == nil && b != nil {
		err = j.Restore(b, f.version)
	}
	if err != nil {
		f.log.Printf("log of events %s: %v", path, err)
	}
}

// save writes all files, or only those whose content changed.
func (f *stateFiles) save(all bool, workers workers, j *events.Journal) {
	for i, w := range workers {
		path := f.ofEngine(i)
		if path == "" {
			continue
		}
		b, counters := w.snapshot(all)
		if b == nil {
			continue
		}
		if err := writeState(path, b); err != nil {
			f.say("state", fmt.Sprintf("state file: %v: locks will not survive a restart", err))
			continue
		}
		f.say("state", "")
		w.saved = counters
	}
	if path := f.ofJournal(); path != "" && (all || j.Last() != f.logged) {
		last := j.Last()
		if err := writeState(path, j.Snapshot(nil, f.version)); err != nil {
			f.say("events", fmt.Sprintf("log of events: %v: it will not survive a restart", err))
			return
		}
		f.say("events", "")
		f.logged = last
	}
}

// ofHistory returns the path of the history's file in RAM. It survives a restart of the
// program, not of the router.
func (f *stateFiles) ofHistory() string {
	if f.path == "" {
		return ""
	}
	return f.path + ".history"
}

// restoreHistory reads the history of the last run, or else the copy on flash.
func (f *stateFiles) restoreHistory(t *history.Table, flash string) {
	f.flashed = time.Now()
	if st, err := os.Stat(flash); err == nil {
		f.flashed = st.ModTime()
	}
	for _, path := range []string{f.ofHistory(), flash} {
		if path == "" {
			continue
		}
		b, err := readState(path)
		if err == nil && b != nil {
			if err = t.Restore(b); err == nil {
				return
			}
			err = setAside(path, err)
		}
		if err != nil {
			f.log.Warnf("history: %v", err)
		}
	}
}

// setAside renames a damaged file, and returns the error to log.
func setAside(path string, err error) error {
	aside := path + ".damaged"
	where := "moved to " + aside
	if e := os.Rename(path, aside); e != nil {
		where = "left where it is: " + e.Error()
	}
	return fmt.Errorf("%s: %w: %s", path, err, where)
}

// flashPeriod is how often the history is written to flash. Flash wears with each write.
// flashRetry is how long a failed write waits for the next try.
const (
	flashPeriod = 24 * time.Hour
	flashRetry  = time.Hour
)

// saveHistory writes the history if it has changed, and once a day to flash as well.
func (f *stateFiles) saveHistory(t *history.Table, flash string) {
	if path, now := f.ofHistory(), t.Changes(); path != "" && now != f.kept {
		err := writeState(path, t.Snapshot())
		if err == nil {
			f.kept = now
		}
		f.sayHistory("history", err, "the program")
	}
	if age := time.Since(f.flashed); age >= flashPeriod || age < 0 { // age < 0: the clock was set back
		f.flashHistory(t, flash)
	}
}

// flashHistory writes the history to flash, if the configuration asks for that.
func (f *stateFiles) flashHistory(t *history.Table, flash string) {
	if flash == "" {
		return
	}
	err := writeState(flash, t.Snapshot())
	f.flashed = time.Now()
	if err != nil {
		f.flashed = f.flashed.Add(flashRetry - flashPeriod)
	}
	f.sayHistory("history on flash", err, "the router")
}

// sayHistory logs that one of the history's files could not be written.
func (f *stateFiles) sayHistory(subject string, err error, of string) {
	what := ""
	if err != nil {
		what = fmt.Sprintf("%s: %v: it will not survive a restart of %s", subject, err, of)
	}
	f.say(subject, what)
}

// maxState is more bytes than any state file has: 1024 clients with 256 peers each.
const maxState = 32 << 20

// writeState replaces a state file in one step.
func writeState(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".new"
	err := writeSynced(tmp, b)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// writeSynced writes a file and syncs it, so that it is whole even after a power cut.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// readState reads a file of the last run; nil if there is none.
func readState(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err == nil && len(b) > maxState {
		err = fmt.Errorf("%s is longer than any state file", path)
	}
	return b, err
}
