// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/procd/control"
)

// configured writes a configuration with the options in its main section.
func configured(t *testing.T, options ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "p2pwall")
	text := "config p2pwall 'main'\n\t" + strings.Join(options, "\n\t") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRun runs the service with a kernel queue until its context ends, and sends requests
// in between.
func TestRun(t *testing.T) {
	netns.Enter(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "control.sock")
	log, said := logged()
	ctx, end := context.WithCancelCause(t.Context())
	status := make(chan string, 1)
	go func() {
		for range 2000 { // until the service listens
			err := control.Call(socket, []byte(`{"cmd":"status"}`+"\n"), time.Minute, func(line []byte) bool {
				status <- string(line)
				return false
			})
			if err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		end(errors.New("enough"))
	}()
	// Run must be on this thread, which is in the network namespace.
	err := Run(ctx, Options{
		Config:  configured(t, "list device 'lo'", "option control '"+socket+"'", "option state_file '"+dir+"/state'"),
		NoRules: true, Version: "1.2.3", Log: log,
	})
	if err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	select {
	case s := <-status:
		if !strings.Contains(s, `"version":"1.2.3"`) || !strings.Contains(s, `"devices":["lo"]`) {
			t.Errorf("status %s", s)
		}
	default:
		t.Error("no status")
	}
	want := "p2pwall: version 1.2.3: watching lo, rules by none (--no-rules), sets by off, lock time 2m0s\np2pwall: ending: enough\n"
	if said.String() != want {
		t.Errorf("said %q, want %q", said, want)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is left")
	}
	if _, err := os.Stat(dir + "/state"); err != nil {
		t.Errorf("the state was not written: %v", err)
	}
}

// TestRunDoesNotBegin: option enabled off is no failure. A configuration with faults is
// one, with a line in the log for each fault.
func TestRunDoesNotBegin(t *testing.T) {
	for _, x := range []struct {
		options []string
		fails   bool
		says    int
	}{
		{[]string{"option enabled '0'"}, false, 1},
		{[]string{"option enabled 'perhaps'", "option queue 'x'"}, true, 2},
	} {
		log, said := logged()
		err := Run(t.Context(), Options{Config: configured(t, x.options...), Log: log})
		if (err != nil) != x.fails || strings.Count(said.String(), "\n") != x.says {
			t.Errorf("%q: %v, said %q", x.options, err, said)
		}
	}
}
