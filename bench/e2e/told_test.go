// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestTold: the wall notifies a server of a client exactly once. The server is down when
// the client is found and then answers with an error at first. The client and the traffic
// cut are in the history, also after a restart. No started process remains at the end.
func TestTold(t *testing.T) {
	lab.Need(t, "iptables|nft", "curl|wget")
	t.Parallel()
	e := newEnv(t, scenario{main: map[string]string{"timelock": "2"}, late: true}, true)
	h := e.lab.Clients[0]
	at := netip.MustParseAddrPort("127.0.0.1:8099")
	e.cfg.Main["history_file"] = filepath.Join(t.TempDir(), "p2pwall", "history")
	e.cfg.More = fmt.Sprintf("\nconfig notify 'hook'\n\toption type 'webhook'\n\toption url 'http://%s/hook'\n\toption token 'secret'\n"+
		"\nconfig host\n\toption name \"Anna's <pc>\"\n\tlist ip '%s'\n", at, h.Addr4)
	e.startWall()
	g := lab.NewGiFT(h, lab.OpenConfig{Peers: e.lab.Peers, Speed: openSpeed})
	stop := e.start(g.Run)
	defer stop()
	e.until("a message that cannot be told", func() bool {
		return strings.Contains(e.wall.LogText(), "notify hook: ")
	})

	var mu sync.Mutex
	var got []string
	tries := 0
	lab.ServeHTTP(t, e.lab.Router, at, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		got = append(got, r.Header.Get("Authorization")+" "+string(body))
	}))
	told := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
	e.until("the message", func() bool { return len(told()) > 0 })
	var m struct{ Event, Host, Mac, Name, Protocol, Text string }
	auth, body, _ := strings.Cut(told()[0], " {")
	if err := json.Unmarshal([]byte("{"+body), &m); err != nil || auth != "Bearer secret" || m.Event != "found" || m.Host != h.Addr4.String() ||
		m.Mac != h.MACText() || m.Name != "Anna's <pc>" || m.Protocol != "fasttrack" {
		t.Errorf("told %s (%v)", told()[0], err)
	}

	stop()
	e.until("the end of the lock", func() bool {
		c, err := e.wall.Client(h)
		return err == nil && !c.Locked
	})
	if tool := "nft"; lab.Needs(tool) == "" { // the wall restores deleted rules and does not report that
		_, _ = e.lab.Router.Run(tool, "delete", "table", "inet", "p2pwall")
	}
	check := func(when string) {
		t.Helper()
		var x struct {
			Days []struct {
				Address, Name, Protocol, Proof string
				Locked, Connections            int
				Bytes                          uint64
				First, Last                    int64
			}
			Hours struct{ Connections []int }
		}
		e.ok(e.wall.Do(lab.Request{Cmd: "history"}, &x))
		if len(x.Days) == 0 || x.Days[0].Address != h.Addr4.String() || x.Days[0].Name != "Anna's <pc>" || x.Days[0].Proof == "" ||
			x.Days[0].Locked < 2 || x.Days[0].Connections == 0 || x.Days[0].Bytes == 0 {
			t.Errorf("%s: days %+v", when, x.Days)
		}
		if n := len(x.Hours.Connections); n != 168 {
			t.Errorf("%s: %d hours", when, n)
		}
	}
	check("at once")
	time.Sleep(5 * time.Second)
	e.ok(e.wall.Stop())
	// The RAM disk is empty after a restart of the router.
	all, _ := filepath.Glob(filepath.Join(e.cfg.Dir, "state*"))
	for _, f := range all {
		os.Remove(f)
	}
	e.startWall()
	check("after a restart")
	if n := len(told()); n != 1 {
		t.Errorf("told %d times: %q", n, told())
	}
	e.report()
}
