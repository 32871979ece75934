// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// daemonGID is the group's number in the test's /etc/group.
const daemonGID = 1214

func TestStartInJail(t *testing.T) {
	r := newRouter(t)
	log, code := r.service("start")
	want := `procd_open_instance
procd_set_param command /usr/sbin/p2pwall run -c /var/run/p2pwall/config --log syslog
procd_set_param env PATH=/usr/sbin:/usr/bin:/sbin:/bin GOGC=10 GOMEMLIMIT=13312KiB
procd_set_param file /usr/sbin/p2pwall
procd_set_param respawn 3600 5 5
procd_set_param term_timeout 10
procd_set_param stdout 1
procd_set_param stderr 1
procd_set_param user p2pwall
procd_set_param group p2pwall
procd_set_param capabilities /etc/capabilities/p2pwall.json
procd_set_param no_new_privs 1
procd_add_jail p2pwall log procfs sysfs ubus ronly
procd_add_jail_mount_rw /var/run/p2pwall
procd_add_jail_mount /var/run/xtables.lock
procd_add_jail_mount /usr/sbin/nft
procd_add_jail_mount /bin/ubus
procd_add_jail_mount /usr/libexec/p2pwall-event
procd_close_instance
procd_add_reload_trigger p2pwall system
procd_add_reload_interface_trigger lan
procd_close_service
`
	if code != 0 || log != want {
		t.Errorf("exit code %d, procd was told\n%s\nwant\n%s", code, log, want)
	}
	if r.read("/var/run/p2pwall/config") != r.read("/etc/config/p2pwall") {
		t.Error("the daemon does not get the configuration")
	}
	if got := r.read("/var/run/p2pwall/devices"); got != "lan br-lan\n" {
		t.Errorf("the devices are %q", got)
	}
	for name, want := range map[string]fs.FileMode{
		"/var/run/p2pwall":         fs.ModeDir | fs.ModeSticky | 0o770,
		"/var/run/p2pwall/config":  0o640,
		"/var/run/p2pwall/devices": 0o640,
		"/var/run/xtables.lock":    0o640,
	} {
		info, err := os.Lstat(r.path(name))
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		if info.Mode() != want || stat.Uid != 0 || stat.Gid != daemonGID {
			t.Errorf("%s is %v of %d:%d, want %v of 0:%d", name, info.Mode(), stat.Uid, stat.Gid, want, daemonGID)
		}
	}
}

// TestPeerNames: the file has the names of WireGuard peers, with those addresses that belong
// to a single host.
func TestPeerNames(t *testing.T) {
	r := newRouter(t)
	r.write("/uci", "network.lan=interface\nnetwork.@wireguard_wg0[0]=wireguard_wg0\nnetwork.bob=wireguard_wg0\n"+
		"network.@wireguard_wg0[0].description Anna's phone\t\nnetwork.@wireguard_wg0[0].allowed_ips 10.8.0.2/32 fd00::2/128 10.9.0.0/24 10.8.0.9\n"+
		"network.bob.allowed_ips 10.8.0.3/32\n")
	if _, code := r.service("start"); code != 0 {
		t.Fatal("does not start")
	}
	if got, want := r.read("/var/run/p2pwall/names"), "10.8.0.2 Anna's phone\nfd00::2 Anna's phone\n10.8.0.9 Anna's phone\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStartWithoutJail(t *testing.T) {
	r := newRouter(t)
	r.remove("/sbin/ujail")
	log, _ := r.service("start")
	if !strings.Contains(log, "procd_append_param command --user p2pwall\n") {
		t.Error("the daemon is not told to give up root")
	}
	for _, not := range []string{"procd_set_param user", "jail", "capabilities", "no_new_privs"} {
		if strings.Contains(log, not) {
			t.Errorf("procd is told %q, which only ujail carries out", not)
		}
	}
}

func TestStart(t *testing.T) {
	const instance = "procd_open_instance"
	for name, c := range map[string]struct {
		prepare  func(r *router)
		code     int
		want     []string
		not      []string
		devices  string
		noConfig bool // the daemon gets no configuration
	}{
		"disabled": {
			prepare:  func(r *router) { r.config("option enabled '1'", "option enabled '0'") },
			want:     []string{"procd_add_reload_trigger p2pwall", "procd_close_service"},
			not:      []string{instance},
			noConfig: true,
		},
		"broken configuration": {
			prepare: func(r *router) {
				r.write("/fault", "/etc/config/p2pwall:7: unknown option \"x\", remove it\n/etc/config/p2pwall:9: second\n")
			},
			code: 1,
			want: []string{
				"logger -s -t p2pwall -p daemon.err /etc/config/p2pwall:7: unknown option \"x\", remove it\n",
				"/etc/config/p2pwall:9: second\n", "procd_add_reload_trigger p2pwall", "procd_close_service",
			},
			not:      []string{instance, goesOn},
			noConfig: true,
		},
		"more clients": {
			prepare: func(r *router) { r.config("list network 'lan'", "list network 'lan'\n\toption max_clients '1024'") },
			want:    []string{"GOMEMLIMIT=59392KiB"},
			devices: "lan br-lan\n",
		},
		"more queues": {
			prepare: func(r *router) { r.config("list network 'lan'", "list network 'lan'\n\toption queues '4'") },
			want:    []string{"GOMEMLIMIT=22528KiB"},
			devices: "lan br-lan\n",
		},
		"several networks": {
			prepare: func(r *router) {
				r.config("list network 'lan'", "list network 'lan'\n\tlist network 'guest'\n\tlist network 'old'\n\tlist network 'none'")
				r.write("/uci", "network.guest.device br-guest\nnetwork.old.type bridge\nnetwork.old.ifname eth1\n")
			},
			want:    []string{"procd_add_reload_interface_trigger lan", "procd_add_reload_interface_trigger guest"},
			devices: "lan br-lan\nguest br-guest\nold br-old\n",
		},
		"network that went down": {
			prepare: func(r *router) {
				r.write("/up", "")
				r.write("/uci", "network.lan.device br-other\n")
				r.write("/var/run/p2pwall/devices", "guest br-guest\nlan br-lan\n")
			},
			devices: "lan br-lan\n",
		},
		"name that is no network": {
			prepare: func(r *router) { r.config("list network 'lan'", "list network 'lan/p;reboot'") },
			want:    []string{"list network 'lan/p;reboot' in /etc/config/p2pwall is not the name of a network"},
		},
		"links in the way": {
			prepare: func(r *router) {
				r.write("/etc/shadow", "secret")
				r.write("/var/run/p2pwall/x", "")
				for _, name := range []string{"config", "devices"} {
					if err := os.Symlink("/etc/shadow", r.path("/var/run/p2pwall/"+name)); err != nil {
						r.t.Fatal(err)
					}
				}
			},
			devices: "lan br-lan\n",
		},
		"messages": {
			prepare: func(r *router) {
				r.config("config protocol 'bittorrent'", "config notify 'a'\n\toption type 'ntfy'\n\nconfig notify 'b'\n\nconfig protocol 'bittorrent'")
				r.write("/usr/bin/curl", "")
				r.write("/etc/ssl/certs/x", "")
			},
			want:    []string{"procd_add_jail_mount /usr/bin/curl\n", "procd_add_jail_mount /etc/ssl\n"},
			not:     []string{"uclient", "sendmail", "msmtp"},
			devices: "lan br-lan\n",
		},
		"history on flash": {
			prepare: func(r *router) {
				r.config("list network 'lan'", "list network 'lan'\n\toption history_file '/etc/p2pwall/history'")
			},
			want:    []string{"procd_add_jail_mount_rw /etc/p2pwall\n"},
			devices: "lan br-lan\n",
		},
		"history in another's directory": {
			prepare: func(r *router) {
				r.config("list network 'lan'", "list network 'lan'\n\toption history_file '/etc/history'")
			},
			want:    []string{"option history_file '/etc/history': choose a file in a directory that is named p2pwall"},
			not:     []string{"procd_add_jail_mount_rw /etc"},
			devices: "lan br-lan\n",
		},
		"socket of a daemon that died": {
			prepare: func(r *router) { r.write("/var/run/p2pwall/control.sock", "") },
			devices: "lan br-lan\n",
		},
		"iptables": {
			prepare: func(r *router) {
				for _, name := range []string{"/usr/sbin/iptables-restore", "/usr/sbin/ip6tables-restore", "/usr/sbin/ipset", "/usr/lib/iptables/libxt_NFQUEUE.so"} {
					r.write(name, "")
				}
				r.remove("/usr/sbin/nft")
			},
			want: []string{
				"procd_add_jail_mount /usr/sbin/iptables-restore\n", "procd_add_jail_mount /usr/sbin/ip6tables-restore\n",
				"procd_add_jail_mount /usr/sbin/ipset\n", "procd_add_jail_mount /usr/lib/iptables\n",
			},
			not:     []string{"sbin/nft"},
			devices: "lan br-lan\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t)
			r.t = t
			c.prepare(r)
			log, code := r.service("start")
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, s := range c.want {
				if !strings.Contains(log, s) {
					t.Errorf("not recorded: %q", s)
				}
			}
			for _, s := range c.not {
				if strings.Contains(log, s) {
					t.Errorf("recorded: %q", s)
				}
			}
			if t.Failed() {
				t.Log(log)
			}
			if _, err := os.Stat(r.path("/var/run/p2pwall/config")); (err != nil) != c.noConfig {
				t.Errorf("the daemon's configuration: %v", err)
			}
			if !c.noConfig {
				if got := r.read("/var/run/p2pwall/devices"); got != c.devices {
					t.Errorf("the devices are %q, want %q", got, c.devices)
				}
			}
			if name == "links in the way" && r.read("/etc/shadow") != "secret" {
				t.Error("root wrote through a link that the daemon may have left")
			}
			if _, err := os.Stat(r.path("/var/run/p2pwall/control.sock")); err == nil {
				t.Error("the dead daemon's socket is still there")
			}
		})
	}
}

// config changes the configuration.
func (r *router) config(old, change string) {
	r.t.Helper()
	text := r.read("/etc/config/p2pwall")
	if !strings.Contains(text, old) {
		r.t.Fatalf("the configuration does not have %q", old)
	}
	r.write("/etc/config/p2pwall", strings.Replace(text, old, change, 1))
}

func TestReload(t *testing.T) {
	const signal = "procd_send_signal p2pwall * HUP\n"

	t.Run("running", func(t *testing.T) {
		r := newRouter(t)
		r.write("/pid", "100")
		r.write("/var/run/p2pwall/control.sock", "")
		r.config("list network 'lan'", "list network 'guest'")
		r.write("/up", "guest br-guest\n")
		log, code := r.service("reload")
		if code != 0 || !strings.HasSuffix(log, "procd_add_reload_interface_trigger guest\nprocd_close_service\n"+signal) {
			t.Errorf("exit code %d, recorded\n%s\nwant procd to learn of it, then the signal", code, log)
		}
		if got := r.read("/var/run/p2pwall/devices"); got != "guest br-guest\n" {
			t.Errorf("the devices are %q", got)
		}
		if !strings.Contains(r.read("/var/run/p2pwall/config"), "list network 'guest'") {
			t.Error("the daemon has the old configuration")
		}
		r.read("/var/run/p2pwall/control.sock") // still exists
	})

	t.Run("started anew by procd", func(t *testing.T) {
		r := newRouter(t)
		r.write("/pid", "100")
		r.write("/restarts", "")
		if log, _ := r.service("reload"); strings.Contains(log, "procd_send_signal") {
			t.Error("a daemon that is just starting is sent a signal")
		}
	})

	t.Run("not running", func(t *testing.T) {
		r := newRouter(t)
		log, code := r.service("reload")
		if code != 0 || !strings.Contains(log, "procd_open_instance") || strings.Contains(log, "procd_send_signal") {
			t.Errorf("exit code %d, recorded\n%s\nwant a start without a signal", code, log)
		}
	})

	t.Run("switched off", func(t *testing.T) {
		r := newRouter(t)
		r.write("/pid", "100")
		r.config("option enabled '1'", "option enabled '0'")
		if log, _ := r.service("reload"); strings.Contains(log, "procd_open_instance") || !strings.Contains(log, "procd_close_service") {
			t.Errorf("recorded\n%s\nwant procd to be told of a service without instances", log)
		}
	})
}

// goesOn is the message if the service leaves the daemon alone.
const goesOn = "the service goes on with the configuration it has: correct the new one, then reload\n"

// TestRefusal has a broken configuration and a running daemon. The service stops nothing,
// tells procd nothing, and shows the faulty line to its caller.
func TestRefusal(t *testing.T) {
	for _, action := range []string{"start", "reload", "restart"} {
		t.Run(action, func(t *testing.T) {
			r := newRouter(t)
			if _, code := r.service("start"); code != 0 {
				t.Fatal("does not start")
			}
			good := r.read("/var/run/p2pwall/config")
			r.write("/pid", "100")
			r.config("list network 'lan'", "list network 'lan'\n\toption timelock 'soon'")
			r.write("/fault", "/etc/config/p2pwall:23: bad\n")
			const say = "logger -s -t p2pwall -p daemon.err "
			log, code := r.service(action)
			if want := say + "/etc/config/p2pwall:23: bad\n" + say + goesOn; code == 0 || log != want {
				t.Errorf("exit code %d, recorded\n%s\nwant only\n%s", code, log, want)
			}
			if r.read("/var/run/p2pwall/config") != good {
				t.Error("the daemon gets the broken configuration")
			}
			r.read("/pid") // it still runs
		})
	}
}

// SIGUSR2, by its number on this machine: the daemon ends and its rules stay.
const handOver = `ubus call service signal {"name":"p2pwall","signal":12}` + "\n"

func TestSuccession(t *testing.T) {
	for name, c := range map[string]struct {
		action  string
		upgrade bool
		running bool
		off     bool
		want    []string // in this order
		not     []string
	}{
		"restart": {action: "restart", running: true, want: []string{handOver, "procd_kill\n", "procd_open_instance\n"}, not: []string{"--remove"}},
		// No next daemon would look after the rules.
		"restart of a service that was switched off": {action: "restart", running: true, off: true, want: []string{"procd_kill\n"}, not: []string{handOver, "procd_open_instance"}},
		"restart of a daemon that is down":           {action: "restart", want: []string{"procd_kill\n", "procd_open_instance\n"}, not: []string{"--remove", handOver}},
		"stop":                                       {action: "stop", running: true, want: []string{"procd_kill\n"}, not: []string{handOver, "--remove"}},
		"stop of a daemon that is down":              {action: "stop", want: []string{"rules --remove -c /var/run/p2pwall/config\n", "procd_kill\n"}, not: []string{handOver}},
		"stop for an upgrade by opkg":                {action: "stop", upgrade: true, running: true, want: []string{handOver, "procd_kill\n"}, not: []string{"--remove"}},
		"start after an upgrade by opkg":             {action: "start", upgrade: true, want: []string{"procd_open_instance\n"}, not: []string{handOver}},
		"start after an upgrade by apk":              {action: "start", upgrade: true, running: true, want: []string{handOver, "procd_open_instance\n"}, not: []string{"--remove"}},
		"start":                                      {action: "start", running: true, want: []string{"procd_open_instance\n"}, not: []string{handOver}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t)
			if c.running {
				r.write("/pid", "100")
			}
			if c.off {
				r.config("option enabled '1'", "option enabled '0'")
			}
			var env []string
			if c.upgrade {
				env = []string{"PKG_UPGRADE=1"}
			}
			_, log, _ := r.run(env, "", "/bin/sh", "/etc/rc.common", "/etc/init.d/p2pwall", c.action)
			rest := log
			for _, s := range c.want {
				_, after, ok := strings.Cut(rest, s)
				if !ok {
					t.Fatalf("not recorded, or not in its place: %q in\n%s", s, log)
				}
				rest = after
			}
			for _, s := range c.not {
				if strings.Contains(log, s) {
					t.Errorf("recorded: %q in\n%s", s, log)
				}
			}
		})
	}
}

func TestUCIDefaults(t *testing.T) {
	const (
		ours  = "p2pwall.main.network lan\n"
		lan   = "network.lan interface\n"
		home  = "network.home interface\nnetwork.guest interface\nnetwork.wan interface\n"
		zones = "firewall.@zone[0] zone\nfirewall.@zone[0].name wan\nfirewall.@zone[0].network wan\nfirewall.@zone[0].input ACCEPT\n" +
			"firewall.@zone[1] zone\nfirewall.@zone[1].name NAME\nfirewall.@zone[1].input ACCEPT\nfirewall.@zone[1].network home guest gone\n" +
			"firewall.@zone[2] zone\nfirewall.@zone[2].name vpn\nfirewall.@zone[2].input ACCEPT\nfirewall.@zone[2].masq 1\nfirewall.@zone[2].network wan\n"
		taken = "uci delete p2pwall.main.network\nuci add_list p2pwall.main.network=home\n" +
			"uci add_list p2pwall.main.network=guest\nuci commit p2pwall\n"
	)
	for name, c := range map[string]struct{ uci, want string }{
		"network lan":                      {ours + lan + home + zones, ""},
		"zone lan with another network":    {ours + home + strings.Replace(zones, "NAME", "lan", 1), taken},
		"zone of another name":             {ours + home + strings.Replace(zones, "NAME", "inside", 1), taken},
		"closed zone":                      {ours + home + strings.Replace(zones, "NAME\nfirewall.@zone[1].input ACCEPT", "dmz\nfirewall.@zone[1].input REJECT", 1), ""},
		"network of the user's choice":     {"p2pwall.main.network cellar\n" + home + strings.Replace(zones, "NAME", "lan", 1), ""},
		"device of the user's choice":      {ours + "p2pwall.main.device eth7\n" + home + strings.Replace(zones, "NAME", "lan", 1), ""},
		"networks that are not configured": {ours + strings.Replace(zones, "NAME", "lan", 1), ""},
		"no firewall":                      {ours + home, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t)
			r.write("/uci", c.uci)
			_, log, code := r.run(nil, "", "/bin/sh", "/etc/uci-defaults/90-p2pwall")
			if want := c.want + "killall -q -HUP ubusd\nkillall -q -HUP rpcd\n"; code != 0 || log != want {
				t.Errorf("exit code %d, recorded\n%s\nwant\n%s", code, log, want)
			}
			if _, err := os.Stat(r.path("/var/run/config.md5")); err == nil {
				t.Error("a list of sums has come into being: the other configurations are not in it")
			}
		})
	}
}

// TestFirstChange checks the list that reload_config compares: md5sum lines for files with
// the output of "uci show".
func TestFirstChange(t *testing.T) {
	const sums = "/var/run/config.md5"
	others := "d41d8cd98f00b204e9800998ecf8427e  /var/run/config.check/dhcp\n"
	r := newRouter(t)
	r.write(sums, others)
	r.write("/uci", "p2pwall.main.timelock 120\nnetwork.lan interface\n")
	for range 2 { // an upgrade runs the script again
		if _, _, code := r.run(nil, "", "/bin/sh", "/etc/uci-defaults/90-p2pwall"); code != 0 {
			t.Fatal("it fails")
		}
	}
	if got := r.read(sums); strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, others) {
		t.Fatalf("the list is\n%s", got)
	}
	changed := func() string {
		r.write("/var/run/config.check/dhcp", "")
		out, _, _ := r.run(nil, "", "/bin/sh", "-c", "uci show p2pwall >/var/run/config.check/p2pwall; md5sum -c "+sums+" 2>/dev/null | grep FAILED")
		return out
	}
	if got := changed(); got != "" {
		t.Errorf("without a change: %s", got)
	}
	r.write("/uci", "p2pwall.main.timelock 60\nnetwork.lan interface\n")
	if got := changed(); got != "/var/run/config.check/p2pwall: FAILED\n" {
		t.Errorf("after a change: %q", got)
	}
}

// TestRemoval runs the scripts that run after the removal of both packages.
func TestRemoval(t *testing.T) {
	const (
		run, hotplug = "/var/run/p2pwall/state", "/etc/hotplug.d/p2pwall"
		told         = "killall -q -HUP rpcd\n"
		views, own   = "/www/luci-static/resources/view/p2pwall", "/www/luci-static/resources/p2pwall"
		graphs       = "/www/luci-static/resources/statistics"
		collectd     = "/usr/share/collectd-mod-lua"
	)
	there := func(r *router, name string) bool {
		_, err := os.Lstat(r.path(name))
		return err == nil
	}
	for name, x := range map[string]struct {
		env       []string
		user      bool // the user has a script in the directory
		log       string
		run, hook bool // these stay
	}{
		"removal":                 {log: told + told},
		"removal, script of user": {user: true, log: told + told, hook: true},
		"upgrade":                 {env: []string{"PKG_UPGRADE=1"}, run: true},
	} {
		r := newRouter(t)
		r.write(run, "")
		r.remove(collectd + "/p2pwall.lua")
		for _, dir := range []string{views, own, graphs + "/rrdtool/definitions"} {
			if err := os.MkdirAll(r.path(dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		r.remove(hotplug + "/00-readme")
		if x.user {
			r.write(hotplug+"/50-mine", "")
		}
		_, log, code := r.run(x.env, "", "/bin/sh", "-c", "( "+daemonPostrm+" )\n"+luciPostrm)
		if code != 0 || log != x.log || there(r, run) != x.run || there(r, hotplug) != x.hook || there(r, views) || there(r, own) || there(r, graphs) || there(r, collectd) {
			t.Errorf("%s: exit code %d, recorded %q; the RAM disk stays: %v, the scripts' folder: %v", name, code, log, there(r, run), there(r, hotplug))
		}
	}
}

func TestEvent(t *testing.T) {
	env := []string{
		"ACTION=peer-found", "CLIENT=2001:db8::5", "MAC=02:00:00:00:00:01", "PEER=198.51.100.7", "PORT=1214",
		"PEERS=198.51.100.7:1214 [2001:db8::7]:6881",
		"PROTOCOL=fasttrack", `REASON=x","SHELL=y`, "HOME=/",
	}
	r := newRouter(t)
	_, log, code := r.run(env, "", "/usr/libexec/p2pwall-event", "peer-found")
	want := `ubus call hotplug.p2pwall call {"env":["ACTION=peer-found","CLIENT=2001:db8::5","MAC=02:00:00:00:00:01","PEER=198.51.100.7","PEERS=198.51.100.7:1214 [2001:db8::7]:6881","PORT=1214","PROTOCOL=fasttrack"]}` + "\n"
	if code != 0 || log != want {
		t.Errorf("exit code %d, recorded\n%s\nwant\n%s", code, log, want)
	}

	r.write("/no-hotplug", "")
	_, log, code = r.run(env, "", "/usr/libexec/p2pwall-event", "peer-found")
	if code != 0 || !strings.HasSuffix(log, "hotplug-call p2pwall peer-found\n") {
		t.Errorf("without the bus: exit code %d, recorded\n%s", code, log)
	}
}

func TestRPC(t *testing.T) {
	const notRunning = `{"error":"P2Pwall is not running, start it with: service p2pwall start"}`
	ok := func(request string) (string, string) {
		return "ctl " + request + "\n", `{"request":` + request + `}`
	}
	bad := func(text string) (string, string) { return "", `{"error":"` + text + `"}` }
	// With errors=true, the reply has the error text. Without it, the output is no object,
	// and rpcd turns that into the status "invalid argument".
	withErrors := func(input string) string {
		switch {
		case input == "" || input == "{}":
			return `{"errors":true}`
		case strings.HasPrefix(input, "{"):
			return `{"errors":true,` + input[1:]
		}
		return input
	}

	for _, c := range []struct {
		method, input string
		want          func() (log, reply string)
	}{
		{"status", `{}`, func() (string, string) { return ok(`{"cmd":"status"}`) }},
		{"status", ``, func() (string, string) { return ok(`{"cmd":"status"}`) }},
		{"clients", `{}`, func() (string, string) { return ok(`{"cmd":"clients"}`) }},
		{"check", `{}`, func() (string, string) { return ok(`{"cmd":"check"}`) }},
		{"history", `{}`, func() (string, string) { return ok(`{"cmd":"history","host":""}`) }},
		{"history", `{"host":"192.168.1.50"}`, func() (string, string) { return ok(`{"cmd":"history","host":"192.168.1.50"}`) }},
		{"notify", `{}`, func() (string, string) { return ok(`{"cmd":"notify"}`) }},
		{"page", `{}`, func() (string, string) { return ok(`{"cmd":"page","host":""}`) }},
		{"page", `{"host":"$(reboot)"}`, func() (string, string) { return bad("host is not an address") }},
		{"peers", `{}`, func() (string, string) { return ok(`{"cmd":"peers","host":""}`) }},
		{"peers", `{"host":"192.168.1.50"}`, func() (string, string) { return ok(`{"cmd":"peers","host":"192.168.1.50"}`) }},
		{"unlock", `{"host":"02:00:00:00:00:0A"}`, func() (string, string) { return ok(`{"cmd":"unlock","host":"02:00:00:00:00:0A"}`) }},
		{"unlock", `{"host":"2001:db8::1"}`, func() (string, string) { return ok(`{"cmd":"unlock","host":"2001:db8::1"}`) }},
		{"unlock", `{}`, func() (string, string) { return bad("host is missing") }},
		{"unlock", `{"host":"a\",\"x"}`, func() (string, string) { return bad("host is not an address") }},
		{"unlock", `{"host":"$(reboot)"}`, func() (string, string) { return bad("host is not an address") }},
		{"unlock", `{"host":"` + strings.Repeat("1", 48) + `"}`, func() (string, string) { return bad("host is not an address") }},
		{"exempt", `{"host":"192.168.1.50","seconds":3600}`, func() (string, string) { return ok(`{"cmd":"exempt","host":"192.168.1.50","seconds":3600}`) }},
		{"exempt", `{"host":"192.168.1.50"}`, func() (string, string) { return ok(`{"cmd":"exempt","host":"192.168.1.50","seconds":0}`) }},
		{"exempt", `{"host":"192.168.1.50","seconds":-1}`, func() (string, string) { return bad("seconds is not a number") }},
		{"exempt", `{"host":"192.168.1.50","seconds":1e9}`, func() (string, string) { return bad("seconds is not a number") }},
		{"events", `{"since":12}`, func() (string, string) { return ok(`{"cmd":"events","since":12}`) }},
		{"events", `{}`, func() (string, string) { return ok(`{"cmd":"events","since":0}`) }},
		{"events", `{"since":"99999999999999999999"}`, func() (string, string) { return bad("since is not a number") }},
		{"monitor", `{}`, func() (string, string) { return bad("there is no such method") }},
	} {
		r := newRouter(t)
		wantLog, wantReply := c.want()
		for _, input := range []string{c.input, withErrors(c.input)} {
			want := wantReply
			if input == c.input && wantLog == "" {
				want = `"error"`
			}
			out, log, code := r.run(nil, input, "/usr/libexec/rpcd/p2pwall", "call", c.method)
			if code != 0 || log != wantLog || out != want+"\n" {
				t.Errorf("%s %s: exit code %d, asked %q, replied %q, want %q and %q", c.method, input, code, log, out, wantLog, want)
			}
		}
	}

	r := newRouter(t)
	for _, x := range []struct{ file, text, method, input, want string }{
		{"/log", "", "status", "[1]", "\"error\"\n"},
		{"/refuse", `{"error":"no"}`, "unlock", `{"host":"192.168.1.5"}`, "\"error\"\n"},
		{"/refuse", `{"error":"no"}`, "unlock", `{"host":"192.168.1.5","errors":true}`, "{\"error\":\"no\"}\n"},
		{"/down", "", "status", "{}", ""},
		{"/down", "", "status", `{"errors":true}`, notRunning + "\n"},
		{"/down", "", "check", "{}", "{\"findings\":[]}\n"},
	} {
		r.write(x.file, x.text)
		if out, _, code := r.run(nil, x.input, "/usr/libexec/rpcd/p2pwall", "call", x.method); out != x.want || code != 0 {
			t.Errorf("%s %s with %s: %d, replied %q, want %q", x.method, x.input, x.file, code, out, x.want)
		}
	}
	out, _, _ := r.run(nil, "", "/usr/libexec/rpcd/p2pwall", "list")
	for _, method := range []string{"status", "clients", "peers", "page", "check", "unlock", "exempt", "events", "history", "notify"} {
		if !strings.Contains(out, `"`+method+`": {`) {
			t.Errorf("the method %s is not listed", method)
		}
	}
}
