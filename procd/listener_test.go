// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/state"
)

// TestListener: an event is logged, runs the command and is told, each as the configuration
// of the moment asks.
func TestListener(t *testing.T) {
	h := newHouse(t, 1)
	script := func(name string) (path, out string) {
		path, out = filepath.Join(h.dir, name), filepath.Join(h.dir, name+".out")
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho $1 $CLIENT >> "+out+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path, out
	}
	one, oneRan := script("one")
	two, twoRan := script("two")
	ran := func(out string) string {
		b, _ := os.ReadFile(out)
		return string(b)
	}
	each := h.listener.each()
	notify := []config.Notify{{Name: "phone", Kind: config.NotifyNtfy, URL: "http://127.0.0.1:9/x", Events: config.NotifyFound}}
	host := byte(50)
	for _, x := range []struct {
		name   string
		c      config.Config
		logged bool
		runs   string // the file that grows
	}{
		{"nothing", config.Config{}, false, ""},
		{"log", config.Config{Log: config.LogClients}, true, ""},
		{"command", config.Config{EventCommand: one}, false, oneRan},
		{"the same command", config.Config{EventCommand: one, Notify: notify}, false, oneRan},
		{"another command", config.Config{Log: config.LogClients, EventCommand: two}, true, twoRan},
		{"no more", config.Config{}, false, ""},
	} {
		commands := h.listener.commands
		h.listener.configure(&x.c)
		if kept := commands != nil && h.listener.commands == commands; kept != (x.name == "the same command") {
			t.Errorf("%s: the runner of commands is kept: %v", x.name, kept)
		}
		h.outbox.Configure(x.c.Notify)
		before := ran(oneRan) + ran(twoRan)
		host++
		h.journal.Enter(state.Event{
			Class: state.ClassClient, What: state.EventFound, Protocol: uint8(detect.ByName("fasttrack")), Reason: detect.ReasonPing,
			Client: nfq.Addr{10: 0xff, 0xff, 127, 0, 0, host}, MAC: nfq.MAC{2, 0, 0, 0, 0, host},
		})
		all := h.journal.Since(0)
		e := &all[len(all)-1]
		each(e)
		line := "client-found " + e.Client.String() + "\n"
		if x.runs != "" {
			eventually(t, x.name, func() bool { return strings.HasSuffix(ran(x.runs), line) })
		} else if got := ran(oneRan) + ran(twoRan); got != before {
			t.Errorf("%s: a command ran: %s", x.name, got)
		}
		if got := h.said.take(); strings.Contains(got, e.Client.String()) != x.logged {
			t.Errorf("%s: logged %q", x.name, got)
		}
		if r := h.outbox.Receivers(); len(x.c.Notify) > 0 && (len(r) != 1 || r[0].Waiting != 1) {
			t.Errorf("%s: told %+v", x.name, r)
		}
	}
}
