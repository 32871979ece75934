// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/detect"
)

// root is the checkout.
const root = "../.."

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "luci", 4)) }

func tools(t *testing.T) *Tools {
	t.Helper()
	tools, err := NewTools(root)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

func live(t *testing.T, torrent string, hooks map[string]func()) *Live {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for _, p := range []string{"ip", "iptables-restore"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs the program %s", p)
		}
	}
	v, err := NewLive(LiveConfig{Root: root, Dir: t.TempDir(), Lock: "20", Names: [2]string{"<b>attic</b>"}, Torrent: torrent, Hooks: hooks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// TestStatusAndLog uses the app with a daemon that blocks two clients.
func TestStatusAndLog(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	var v *Live
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	v = live(t, "", map[string]func(){
		"stop-client":  func() { v.StopClient(0) },
		"start-client": func() { v.StartClient(0) },
		"stop-daemon":  func() { check(v.Wall().Stop()) },
		"start-daemon": func() { check(v.Restart()) },
		"config-exempts-client": func() {
			if got := v.UCI.Get("p2pwall", "main", "exempt"); !reflect.DeepEqual(got, []string{"02:00:00:00:01:32"}) {
				t.Errorf("exempt is %q", got)
			}
		},
		"config-exempts-nobody": func() {
			if got := v.UCI.Get("p2pwall", "main", "exempt"); got != nil {
				t.Errorf("exempt is %q", got)
			}
		},
	})
	out, err := tools.Run("lab.cjs", v.Server)
	if err != nil {
		t.Fatalf("%v\n%s\nthe daemon's log:\n%s", err, out, v.LogText())
	}
	t.Log(out)
}

// TestTorrent checks what the page says about a host with a BitTorrent client: the program
// (from each source of its name), since when, and why and how it is locked. It also checks
// the page for a host with one sign and no proof.
func TestTorrent(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	var v *Live
	shake := func(peer int, extended bool) func() {
		return func() {
			if err := v.torrent.shake(peer, extended); err != nil {
				t.Error(err)
			}
		}
	}
	v = live(t, "student", map[string]func(){
		"peer-id": shake(0, false), "extension": shake(1, true), "quiet": func() { v.torrent.quiet.Store(true) },
		"one-sign": func() {
			if err := oneSign(v.lab.Clients[suspectHost]); err != nil {
				t.Error(err)
			}
		},
	})
	out, err := tools.Run("torrent.cjs", v.Server)
	if err != nil {
		t.Fatalf("%v\n%s\nthe daemon's log:\n%s", err, out, v.LogText())
	}
	t.Log(out)
}

// TestSettings changes the configuration of a running daemon.
func TestSettings(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	values, err := json.Marshal(judgedValues(t))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.json")
	if err := os.WriteFile(file, values, 0o600); err != nil {
		t.Fatal(err)
	}
	var v *Live
	v = live(t, "", map[string]func(){
		"no-policy": func() {
			for _, typ := range []string{"policy", "notify"} {
				if got := v.UCI.Sections("p2pwall", typ); len(got) != 0 {
					t.Errorf("sections of type %s: %q", typ, got)
				}
			}
		},
		"nothing-saved": func() {
			if got := v.UCI.Get("p2pwall", "main", "timelock"); !reflect.DeepEqual(got, []string{"20"}) {
				t.Errorf("timelock is %q", got)
			}
		},
		"saved": func() {
			want := map[[2]string][]string{
				{"main", "timelock"}: {"90"}, {"main", "exempt"}: {"192.168.1.77"}, {"main", "log"}: {"none"},
				{"main", "queue"}: nil, {"main", "enabled"}: nil,
				{"fasttrack", "pong"}: {"off"}, {"fasttrack", "http"}: {"0"}, {"fasttrack", "probe"}: nil,
				{"bittorrent", "lock"}: {"strict"}, {"bittorrent", "reset_encrypted"}: {"0"}, {"bittorrent", "name"}: nil,
				{"winmx", "mode"}: {"monitor"}, {"winmx", "name"}: append(slices.Clone(detect.WinMX.Names), "*.example.org"),
				{"opennap", "name"}: {"off"},
				// A default that nobody chose is not written.
				{"main", "action"}: nil, {"main", "backend"}: nil, {"gnutella", "lock"}: nil, {"ipfs", "mode"}: nil,
			}
			if os.Getenv("P2PWALL_LUCI") != "" {
				delete(want, [2]string{"main", "log"})
				delete(want, [2]string{"winmx", "name"})
				delete(want, [2]string{"opennap", "name"})
			}
			for k, w := range want {
				if got := v.UCI.Get("p2pwall", k[0], k[1]); !reflect.DeepEqual(got, w) {
					t.Errorf("%s is %q, want %q", k, got, w)
				}
			}
			if policies := v.UCI.Sections("p2pwall", "policy"); os.Getenv("P2PWALL_LUCI") == "" && len(policies) == 1 {
				for k, w := range map[string][]string{
					"name": {"night"}, "enabled": nil, "mode": {"monitor"}, "mac": {"02:00:00:00:01:99"}, "weekdays": {"mon"},
					"start_time": {"21:30"}, "stop_time": {"6:00"}, "protocol": {"bittorrent"}, "ip": nil,
				} {
					if got := v.UCI.Get("p2pwall", policies[0], k); !reflect.DeepEqual(got, w) {
						t.Errorf("%s of the policy is %q, want %q", k, got, w)
					}
				}
			} else if os.Getenv("P2PWALL_LUCI") == "" {
				t.Errorf("policies %q", policies)
			}
			if err := v.Settle("the new lock time", func(s lab.Status) bool { return s.TimeLock == 90 }); err != nil {
				t.Error(err)
			}
		},
	})
	out, err := tools.Run("settings.cjs", v.Server, "VALUES="+file)
	if err != nil {
		t.Fatalf("%v\n%s\nthe daemon's log:\n%s", err, out, v.LogText())
	}
	t.Log(out)
}
