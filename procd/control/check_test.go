// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/check"
)

// TestCheckReply: a check without a daemon has the same reply as one with it.
func TestCheckReply(t *testing.T) {
	w := newWorld(t, 1)
	if got, want := string(CheckReply(w.Check())), ask(t, control(t, w.Handle), `{"cmd":"check"}`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(CheckReply(nil)); got != `{"findings":[]}` {
		t.Errorf("without findings: %s", got)
	}
}

// TestAppendFaults: the faults of the configuration file come at the end of a reply. An error
// stays the only member.
func TestAppendFaults(t *testing.T) {
	faults := []string{"/etc/config/p2pwall:7: bad \"x\"", "b"}
	const added = `"faults":["/etc/config/p2pwall:7: bad \"x\"","b"]}`
	for _, x := range []struct {
		reply  string
		faults []string
		want   string
	}{
		{`{"version":"1"}`, nil, `{"version":"1"}`},
		{`{"version":"1"}`, faults, `{"version":"1",` + added},
		{`{"a":{}}`, faults, `{"a":{},` + added},
		{`{"error":"it broke"}`, faults, `{"error":"it broke"}`},
		{`{"a":1`, faults, `{"a":1`}, // not whole
		{``, faults, ``},
	} {
		reply := append(make([]byte, 0, 500), x.reply...)
		got := string(AppendFaults(reply, x.faults))
		if got != x.want {
			t.Errorf("%s: got %s, want %s", x.reply, got, x.want)
		}
		if x.want != x.reply && !json.Valid([]byte(got)) {
			t.Errorf("%s: no JSON: %s", x.reply, got)
		}
		if more := string(reply[:cap(reply)]); string(reply) != x.reply || strings.Contains(more, "faults") {
			t.Errorf("%s: the caller's bytes were changed: %s", x.reply, more)
		}
	}
}

// TestOneCheckAtATime: a second check waits for the first one, and other requests do not.
func TestOneCheckAtATime(t *testing.T) {
	w := newWorld(t, 1)
	var running atomic.Int32
	entered, goOn := make(chan bool), make(chan bool)
	w.Check = func() []check.Finding {
		if running.Add(1) > 1 {
			t.Error("two checks run at the same time")
		}
		defer running.Add(-1)
		entered <- true
		<-goOn
		return nil
	}
	path := control(t, w.Handle)
	var ended sync.WaitGroup
	for range 2 {
		ended.Go(func() { ask(t, path, `{"cmd":"check"}`) })
	}
	<-entered
	if got := ask(t, path, `{"cmd":"peers"}`); got != `{"peers":[]}` {
		t.Errorf("during a check: %s", got)
	}
	select {
	case <-entered:
		t.Error("a second check has begun")
	case <-time.After(20 * time.Millisecond):
		goOn <- true
		<-entered
	}
	goOn <- true
	ended.Wait()
}
