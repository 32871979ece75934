// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
)

// canned answers for a daemon, in states that a lab cannot produce.
type canned struct {
	mu      sync.Mutex
	replies map[string]any // method: reply
	absent  bool
	lost    int // grows with every request for the status, unless it is 0
}

func (c *canned) call(method string, _ map[string]any) (any, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.absent {
		return nil, ubusNotFound
	}
	if method == "page" {
		return c.page(), ubusOK
	}
	if r, ok := c.replies[method]; ok {
		return r, ubusOK
	}
	return map[string]any{"error": "unknown cmd"}, ubusOK
}

// page returns the reply that contains several others.
func (c *canned) page() map[string]any {
	status, _ := c.replies["status"].(map[string]any)
	if status["error"] != nil {
		return status
	}
	if c.lost > 0 {
		c.lost++
		status = cannedStatus()
		status["queues"] = []any{map[string]any{"number": 214, "length": 1024, "waiting": 3, "dropped": c.lost, "user_dropped": 0}}
	}
	out := map[string]any{"status": status}
	for _, method := range []string{"clients", "peers"} {
		reply, _ := c.replies[method].(map[string]any)
		for k, v := range reply {
			out[k] = v
		}
	}
	for member, method := range map[string]string{"history": "minutes", "faults": "faults"} {
		if r, ok := c.replies[method]; ok {
			out[member] = r
		}
	}
	return out
}

func (c *canned) set(replies map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies, c.absent, c.lost = replies, false, 0
}

func cannedStatus() map[string]any {
	return map[string]any{
		"version": "1.0", "pid": 1, "started": time.Now().Unix() - 100, "uptime": 100, "enabled": true, "backend": "nft",
		"rules_ok": true, "timelock": 120,
		"queues": []any{map[string]any{"number": 214, "length": 1024, "waiting": 0, "dropped": 0, "user_dropped": 0}},
	}
}

func cannedClient(i int) map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"address": fmt.Sprintf("192.168.1.%d", 50+i), "addresses": []string{fmt.Sprintf("192.168.1.%d", 50+i), "2001:db8::1"},
		"mac": fmt.Sprintf("02:00:00:00:01:%02x", 50+i), "protocol": "fasttrack", "title": "FastTrack", "first_seen": now - 4000,
		"last_seen": now, "locked": i%2 == 0, "lock_remaining": 60.5, "lock_time": 120, "peers": 256, "locks": 7,
		"dropped": 1000, "dropped_tcp": 900, "dropped_udp": 100, "last_probe": now - 5, "last_answer": now - 4, "reason": "ping",
		"program": "", "strict": i%2 == 0, "proof": "conduct",
	}
}

func cannedSuspect(i int) map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"address": fmt.Sprintf("192.168.1.%d", 150+i), "mac": fmt.Sprintf("02:00:00:00:02:%02x", i), "protocol": "bittorrent",
		"reason": "encrypted", "since": now - 4000, "last_seen": now - 7, "asked": 3, "last_asked": now - 5, "dropped": 2,
	}
}

// cannedProofs returns clients with every kind of proof, and suspects for every reason.
// The last suspect has an unknown reason.
func cannedProofs() (clients, suspects []any) {
	for _, x := range [][3]string{
		{"bittorrent", "answer", "probe"},
		{"bittorrent", "conduct", "ping"},
		{"bittorrent", "conduct", "announce"},
		{"bittorrent", "conduct", "http"},
		{"opennap", "conduct", "hello"},
		{"winmx", "conduct", "new"},
		{"bittorrent", "conduct", "pong"},
		{"fasttrack", "conduct", "probe"},
		{"fasttrack", "conduct", "push"},
		{"bittorrent", "conduct", "encrypted"},
		{"bittorrent", "answer", "handshake"},
	} {
		c := cannedClient(len(clients))
		delete(c, "title")
		c["protocol"], c["proof"], c["reason"] = x[0], x[1], x[2]
		clients = append(clients, c)
	}
	for r := detect.ReasonNone + 1; r.String() != "unknown"; r++ {
		if r != detect.ReasonProbe && r != detect.ReasonHandshake {
			s := cannedSuspect(len(suspects))
			s["reason"] = r.String()
			suspects = append(suspects, s)
		}
	}
	s := cannedSuspect(len(suspects))
	s["protocol"], s["reason"], s["asked"], s["last_asked"], s["dropped"] = "", "", 0, 0, 0
	return clients, append(suspects, s)
}

// cannedReasons returns clients for every reason that the daemon knows.
func cannedReasons() (clients, events []any) {
	for r := detect.ReasonNone + 1; r.String() != "unknown"; r++ {
		c := cannedClient(len(clients))
		c["protocol"], c["title"], c["reason"] = "bittorrent", "BitTorrent", r.String()
		c["locked"], c["strict"], c["program"] = r != detect.ReasonProbe, r == detect.ReasonPing, "qBittorrent 4.6."+r.String()
		clients = append(clients, c)
		events = append(events, map[string]any{
			"seq": len(events) + 1, "time": c["last_seen"], "class": "client", "event": "locked",
			"client": c["address"], "protocol": "bittorrent", "reason": r.String(), "text": "untranslated",
		})
	}
	return clients, events
}

func cannedHistory() map[string]any {
	return map[string]any{"interval": 60, "dropped_tcp": make([]int, 60), "dropped_udp": make([]int, 60), "probes": make([]int, 60)}
}

// busy returns two clients and an hour in which packets of both were dropped. The first or
// the second client is locked.
func busy(first bool) map[string]any {
	a, b := cannedClient(3), cannedClient(4)
	a["locked"], b["locked"] = first, !first
	h := cannedHistory()
	tcp, udp := make([]int, 60), make([]int, 60)
	tcp[59], udp[59], udp[10] = 20, 40, 30
	h["dropped_tcp"], h["dropped_udp"] = tcp, udp
	hours, week := map[string]any{}, make([]int, 168)
	week[0], week[167] = 7, 90
	for _, column := range []string{"dropped_tcp", "dropped_udp"} {
		hours[column] = week
	}
	days := []any{}
	for i, ago := range []int{0, 0, 3} {
		at := time.Now().AddDate(0, 0, -ago)
		days = append(days, map[string]any{
			"day": at.Format("2006-01-02"), "address": "192.168.1.53", "mac": a["mac"], "protocol": "bittorrent", "title": "BitTorrent",
			"program": "=qBittorrent, \"5.1\"", "proof": "answer", "reason": "probe", "first_seen": at.Unix(), "last_seen": at.Unix() + 1,
			"locked": 90, "connections": 20 + i, "bytes": 1_500_000,
		})
	}
	return map[string]any{
		"clients": map[string]any{"clients": []any{a, b}}, "minutes": h,
		"history": map[string]any{"hours": hours, "days": days},
	}
}

// TestStates shows the app replies that a daemon may give or leave out.
func TestStates(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	for _, script := range []string{"states", "trouble"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			out, err := tools.Run(script+".cjs", states(t))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Log(out)
		})
	}
}

// states returns a server whose hooks choose the daemon's replies.
func states(t *testing.T) *Server {
	const markup = "<img src=x onerror=alert(1)><b>x</b>"
	var full, suspects, peers []any
	for i := range 64 {
		c := cannedClient(i)
		if i%4 == 2 { // since another day
			c["first_seen"] = time.Now().Add(-100 * time.Hour).Unix()
		}
		full = append(full, c)
		suspects = append(suspects, cannedSuspect(i))
	}
	for i := range 256 {
		peers = append(peers, map[string]any{
			"client": "192.168.1.50", "address": fmt.Sprintf("198.51.100.%d", i), "port": 1214, "protocol": "fasttrack",
			"first_seen": 1, "last_seen": 2, "dropped": i,
		})
	}
	evil := map[string]any{}
	for k, v := range cannedClient(0) {
		evil[k] = v
		if _, ok := v.(string); ok && k != "mac" {
			evil[k] = markup
		}
	}
	evil["addresses"] = []string{markup}
	evilSuspect := map[string]any{}
	for k := range cannedSuspect(0) {
		evilSuspect[k] = markup
	}
	evilStatus := cannedStatus()
	evilStatus["version"], evilStatus["backend"] = markup, markup
	evilStatus["exemptions"] = []any{map[string]any{"address": markup, "mac": markup, "seconds": 60}}
	ok := []any{map[string]any{"level": "ok", "what": "all is well", "remedy": ""}}
	good := map[string]any{
		"status": cannedStatus(), "clients": map[string]any{"clients": []any{}}, "minutes": cannedHistory(),
		"check": map[string]any{"findings": ok}, "events": map[string]any{"events": []any{}}, "peers": map[string]any{"peers": []any{}},
	}
	with := func(change map[string]any) map[string]any {
		out := map[string]any{}
		for k, v := range good {
			out[k] = v
		}
		for k, v := range change {
			out[k] = v
		}
		return out
	}
	status := func(key string, value any) map[string]any {
		s := cannedStatus()
		s[key] = value
		return with(map[string]any{"status": s})
	}

	dir := t.TempDir()
	file := filepath.Join(dir, "p2pwall")
	write := func(enabled, mode string) {
		text := "config p2pwall 'main'\n\toption enabled '" + enabled + "'\n\tlist network '" + markup + "'\n"
		for _, p := range detect.All {
			switch {
			case p.Mode == detect.ModeBlock, p.Mode == detect.ModeMonitor && mode == "off":
				text += "\nconfig protocol '" + p.Name + "'\n\toption mode '" + mode + "'\n"
			}
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1", "block")
	uci, err := NewUCI(map[string]string{"p2pwall": file})
	if err != nil {
		t.Fatal(err)
	}
	configure := func(enabled, mode string) {
		write(enabled, mode)
		if err := uci.read("p2pwall"); err != nil {
			t.Error(err)
		}
	}
	daemon := &canned{}
	down := map[string]any{
		"status": map[string]any{"error": "P2Pwall is not running"},
		"check": map[string]any{"findings": []any{
			map[string]any{"level": "warning", "what": "in English", "code": "inbound-open", "args": []any{"IPv4", "wan", "br-lan"}},
			map[string]any{"level": "error", "what": "no LAN device is known", "code": "no-device", "remedy": "run as root", "fix": "root"},
			map[string]any{"level": "error", "what": "a fault without a remedy"},
		}},
	}
	quiet := false             // the init script prints nothing, and the daemon does not start
	directCode := ubusNotFound // status code of luci.p2pwall
	commits := 0               // when the daemon went down
	var server *Server
	hooks := map[string]func(){
		"full": func() {
			daemon.set(with(map[string]any{"clients": map[string]any{"clients": full, "suspects": suspects}, "peers": map[string]any{"peers": peers}}))
		},
		"markup": func() {
			daemon.set(with(map[string]any{
				"status": evilStatus, "clients": map[string]any{"clients": []any{evil}, "suspects": []any{evilSuspect, nil, "odd"}},
				"peers":  map[string]any{"peers": []any{map[string]any{"address": markup, "port": 1}}},
				"check":  map[string]any{"findings": []any{map[string]any{"level": "error", "what": markup, "remedy": markup}, map[string]any{"level": "ok", "what": markup}}},
				"events": map[string]any{"events": []any{map[string]any{"seq": 1, "time": 1, "class": markup, "event": markup, "client": markup, "text": markup}, map[string]any{"seq": 2, "time": 1e300, "class": "client", "event": "found", "client": markup, "peer": markup, "protocol": markup}}},
				"exempt": map[string]any{"error": markup},
			}))
		},
		"older": func() {
			daemon.set(map[string]any{
				"status":  map[string]any{"version": "0.0.1", "pid": 1},
				"clients": map[string]any{"clients": []any{map[string]any{"address": "192.168.1.50", "locked": true}, nil, "odd"}},
				"peers":   map[string]any{},
			})
		},
		"reasons": func() {
			clients, events := cannedReasons()
			daemon.set(with(map[string]any{"clients": map[string]any{"clients": clients}, "events": map[string]any{"events": events}}))
		},
		"proofs": func() {
			clients, suspects := cannedProofs()
			daemon.set(with(map[string]any{"clients": map[string]any{"clients": clients, "suspects": suspects}}))
		},
		"one-suspect": func() {
			daemon.set(with(map[string]any{"clients": map[string]any{"clients": []any{}, "suspects": []any{cannedSuspect(1)}}}))
		},
		"norules": func() { daemon.set(status("rules_ok", false)) },
		"nolan":   func() { daemon.set(status("devices", []any{})) },
		"restart": func() { daemon.set(status("restart", []any{"fail_open", "queue"})) },
		"faults": func() {
			daemon.set(with(map[string]any{"faults": []any{"/etc/config/p2pwall:7: " + markup}}))
		},
		"other-version": func() {
			daemon.set(map[string]any{"status": map[string]any{"error": "unknown cmd \"page\""}})
		},
		"disabled": func() { daemon.set(status("enabled", false)) },
		"losing": func() {
			daemon.set(good)
			daemon.lost = 1
		},
		"paused": func() { daemon.set(status("paused", 600)) },
		"made": func() {
			var clients []any
			for i, mac := range []string{"00:aa:ff:00:00:01", "00:bb:ff:00:00:01", "00:cc:ff:00:00:01", "da:00:00:00:00:01", ""} {
				c := cannedClient(2 * i)
				c["mac"], c["addresses"] = mac, []string{fmt.Sprintf("192.168.1.%d", 50+2*i)}
				clients = append(clients, c)
			}
			daemon.set(with(map[string]any{"clients": map[string]any{"clients": clients}}))
		},
		"marked": func() {
			c := cannedClient(3)
			c["protocol"], c["title"], c["program"], c["locked"], c["mode"], c["policy"] = "bittorrent", "BitTorrent", "qBittorrent 5.1", true, "mark", "night"
			daemon.set(with(map[string]any{"clients": map[string]any{"clients": []any{c}}}))
		},
		"has-policy": func() {
			for k, want := range map[string]string{"name": "192.168.1.53 (02:00:00:00:01:35)", "mac": "02:00:00:00:01:35", "mode": "monitor"} {
				if got := uci.Get("p2pwall", "host_020000000135", k); !reflect.DeepEqual(got, []string{want}) {
					t.Errorf("%s of the policy is %q, want %q", k, got, want)
				}
			}
			configure("1", "block")
		},
		"starting": func() {
			s := cannedStatus()
			s["backend"], s["sets"], s["rules_ok"] = "starting", "starting", false
			daemon.set(with(map[string]any{"status": s}))
		},
		"started": func() { daemon.set(good) },
		"findings": func() {
			daemon.set(with(map[string]any{"check": map[string]any{"findings": []any{
				map[string]any{"level": "warning", "what": "in English", "code": "inbound-open", "args": []any{"IPv4", "wan", "br-lan"}, "remedy": "uci set firewall.x=1"},
				map[string]any{"level": "error", "what": "no LAN device is known", "code": "no-device", "remedy": "check", "fix": "device-name"},
				map[string]any{"level": "warning", "what": "something new (1.5)", "code": "new", "remedy": "nft list ruleset", "fix": "constructor", "fix_args": markup},
			}}}))
		},
		"monitor": func() {
			daemon.set(good)
			configure("1", "monitor")
		},
		"watched": func() {
			configure("1", "monitor")
			c := cannedClient(3)
			c["protocol"], c["title"], c["program"], c["locked"] = "bittorrent", "BitTorrent", "qBittorrent 5.1", false
			daemon.set(with(map[string]any{"clients": map[string]any{"clients": []any{c}}}))
		},
		"busy":      func() { daemon.set(with(busy(true))) },
		"other-way": func() { daemon.set(with(busy(false))) },
		"mode-off":  func() { configure("1", "off") },
		"absent":    func() { daemon.absent = true },
		"down": func() {
			commits = server.Calls("uci.commit")
			daemon.set(down)
			configure("1", "block")
		},
		"quiet": func() { quiet = true },
		"loud":  func() { quiet = false },
		"off": func() {
			daemon.set(down)
			configure("0", "block")
		},
		"direct":  func() { directCode = ubusOK },
		"unable":  func() { directCode = ubusTimeout },
		"missing": func() { directCode = ubusNotFound },
		"is-on": func() {
			if got := uci.Get("p2pwall", "main", "enabled"); !reflect.DeepEqual(got, []string{"1"}) {
				t.Errorf("enabled is %q", got)
			}
		},
		"unreachable": func() { server.Down(true) },
		"reachable":   func() { server.Down(false) },
		"expire":      func() { server.Expire(true) },
	}
	uci.Committed = func(string) { daemon.set(good) }
	server, err = NewServer(Config{
		Root: root, Object: daemon.call, Direct: func(string, map[string]any) (any, int) {
			if directCode != ubusOK {
				return nil, directCode
			}
			return daemon.call("page", nil)
		}, UCI: uci, Hooks: hooks, LuCI: os.Getenv("P2PWALL_LUCI"),
		Hints: map[string]any{"02:00:00:00:01:32": map[string]any{"name": markup, "ipaddrs": []string{markup}}},
		Makers: map[string]string{
			"/usr/share/arp-scan/ieee-oui.txt":  "00AAFF\tExample Corp.\n00EEFF\tAnother\n",
			"/usr/share/nmap/nmap-mac-prefixes": "00BBFF " + markup + "\n",
		},
		Init: func(command string) (int, string) {
			if command == "restart" {
				daemon.set(good)
				return 0, ""
			}
			if quiet {
				return 0, ""
			}
			if reflect.DeepEqual(uci.Get("p2pwall", "main", "enabled"), []string{"1"}) && server.Calls("uci.commit") > commits {
				return 0, ""
			}
			return 1, "/etc/config/p2pwall:7: bad value \"x\" for timelock, use seconds from 0 to 86400\n"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}
