// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// TestReloadKeepsTheOld: a configuration that cannot be used changes nothing, and the log
// names file, line and remedy of each fault.
func TestReloadKeepsTheOld(t *testing.T) {
	h := newHouse(t, 1, "option timelock '77'", "config host", "option name 'study'", "list mac '02:00:00:00:00:32'")
	h.ping(0, "127.0.0.50")
	const kept = "the configuration was not read again: the old one stays in force\n"
	for _, x := range []struct {
		name   string
		change func()
		want   string
	}{
		{
			"two faults", func() { h.write("list exempt '127.0.0.50'", "option timelock 'soon'", "option queue 'x'") },
			"FILE:5: bad value \"soon\" for timelock, use seconds from 0 to 86400\nFILE:6: bad value \"x\" for queue, use a number from 0 to 65535\n",
		},
		{
			"an unknown option", func() { h.write("list exempt '127.0.0.50'", "option tiemlock '5'") },
			"FILE:5: unknown option \"tiemlock\", remove it or correct the name\n",
		},
		{
			"switched off", func() { h.write("list exempt '127.0.0.50'", "option enabled '0'") },
			"\"option enabled\" is off: stop the service instead\n",
		},
		{
			"no file", func() {
				if err := os.Remove(h.file()); err != nil {
					t.Fatal(err)
				}
			},
			"FILE: cannot be opened: no such file or directory, create it, or name another with -c\n",
		},
	} {
		x.change()
		h.reload()
		h.saidThen(x.name, strings.ReplaceAll(x.want, "FILE", h.file())+kept)
		if clients, locked := h.count(0); clients != 1 || locked != 1 {
			t.Errorf("%s: %d clients, %d locked", x.name, clients, locked)
		}
		if i := h.status.info(); i.TimeLock != 77*time.Second || len(i.Restart) > 0 {
			t.Errorf("%s: status %+v", x.name, i)
		}
		if got := h.names.of(nfq.Addr{}, nfq.MAC{2, 0, 0, 0, 0, 50}); got != "study" {
			t.Errorf("%s: the host's name is %q", x.name, got)
		}
	}
}

// TestReloadTakesTheNew: each part of the daemon gets what the new configuration says.
func TestReloadTakesTheNew(t *testing.T) {
	h := newHouse(t, 2)
	for i, a := range []string{"127.0.0.50", "127.0.0.51"} {
		h.ping(i, a)
	}
	h.write("option timelock '99'", "list exempt '127.0.0.50'", "list exempt '127.0.0.51'",
		"option state_file '"+h.dir+"/new/state'", "option event_command '/bin/true'", "list log 'peers'",
		"config host", "option name 'attic'", "list mac '02:00:00:00:00:32'",
		"config notify 'phone'", "option type 'ntfy'", "option url 'http://127.0.0.1:9/x'",
		"config policy 'always'", "option mode 'monitor'")
	h.reload()
	h.saidThen("reload", "configuration read again: watching lo, rules by , sets by , lock time 1m39s\n")
	for i := range 2 {
		if _, locked := h.count(i); locked != 0 {
			t.Errorf("queue %d: a host is exempt and still locked", i)
		}
		if v := h.ping(i, "127.0.0.52"); v != nfq.Accept {
			t.Errorf("queue %d: verdict %d against a policy", i, v)
		}
	}
	i := h.status.info()
	if i.TimeLock != 99*time.Second || len(i.Policies) != 1 || !i.Policies[0].Holds || i.Policies[0].Mode != "monitor" {
		t.Errorf("status %+v", i)
	}
	if got := h.names.of(nfq.Addr{}, nfq.MAC{2, 0, 0, 0, 0, 50}); got != "attic" {
		t.Errorf("the host's name is %q", got)
	}
	if r := h.outbox.Receivers(); len(r) != 1 || r[0].Name != "phone" {
		t.Errorf("told of events: %+v", r)
	}
	if h.listener.commands == nil || h.listener.commands.Path() != "/bin/true" {
		t.Error("the new event command is not used")
	}
	h.save(true)
	for _, name := range []string{"state", "state.1", "state.events"} {
		if _, err := os.Stat(filepath.Join(h.dir, "new", name)); err != nil {
			t.Error(err)
		}
	}
	// Fewer exemptions: every engine watches the hosts again.
	h.write("option timelock '99'")
	h.reload()
	for i, a := range []string{"127.0.0.50", "127.0.0.51"} {
		if v := h.ping(i, a); v != nfq.Drop {
			t.Errorf("queue %d: verdict %d for a host that is exempt no longer", i, v)
		}
	}
}

// TestReloadNeedsARestart: an option that a running daemon cannot change is named until
// its old value is back.
func TestReloadNeedsARestart(t *testing.T) {
	h := newHouse(t, 1, "option queue '300'")
	for _, x := range []struct {
		options []string
		says    string
		restart []string
	}{
		{
			[]string{"option queue '301'", "option fail_open '0'"},
			"option queue takes effect with the next start\noption fail_open takes effect with the next start\n",
			[]string{"queue", "fail_open"},
		},
		{[]string{"option queue '300'"}, "", nil},
	} {
		h.write(x.options...)
		h.reload()
		h.saidThen(strings.Join(x.options, ", "), x.says+"configuration read again: "+h.summary()+"\n")
		if got := h.status.info().Restart; !slices.Equal(got, x.restart) {
			t.Errorf("%q: a restart is needed for %q, want %q", x.options, got, x.restart)
		}
		if got := h.status.queues(); !slices.Equal(got, []uint16{300}) || !h.status.cfg.FailOpen {
			t.Errorf("%q: queues %d, fail_open %v", x.options, got, h.status.cfg.FailOpen)
		}
	}
}

// TestReloadWithoutDevices: when no device can be found any more, the old ones are watched.
// A network that has no device is named once.
func TestReloadWithoutDevices(t *testing.T) {
	h := newHouse(t, 1)
	devices := filepath.Join(h.dir, "devices")
	main := "config p2pwall 'main'\n\toption devices_file '" + devices + "'\n\tlist network 'lan'\n"
	const said = "no device is known for network guest\n"
	again := "configuration read again: watching lo, rules by , sets by , lock time 2m0s\n"
	for _, x := range []struct{ name, conf, devices, want string }{
		{
			"no network has a device", main, "", "no device is known for network lan: nothing is watched; name a device with \"list device\" (Debian), " +
				"or a network of /etc/config/network with \"list network\" (OpenWrt), in " + h.file() + " and reload\n" +
				"no LAN device is known\nthe devices of before are watched: lo\n" + again,
		},
		{
			"a fault in the file", main, "lan\n",
			devices + ":1: not a network and its device, write: lan br-lan\nthe devices of before are watched: lo\n" + again,
		},
		{"a guest network that is down", main + "\tlist network 'guest'\n", "lan lo\n", said + again},
		{"still down", main + "\tlist network 'guest'\n", "lan lo\n", again},
		{"up", main + "\tlist network 'guest'\n", "lan lo\nguest lo\n", again},
		{"down again", main + "\tlist network 'guest'\n", "lan lo\n", said + again},
	} {
		h.put(h.file(), x.conf)
		h.put(devices, x.devices)
		h.reload()
		h.saidThen(x.name, x.want)
		if !slices.Equal(h.status.names, []string{"lo"}) || len(h.status.devices) != 1 {
			t.Errorf("%s: watching %q, %d devices", x.name, h.status.names, len(h.status.devices))
		}
	}
}
