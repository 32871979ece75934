// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/procd/control"
)

// TestObjectOffersAllCommands compares the ubus object with the table of commands: its
// methods and arguments, and the requests that it makes from them.
func TestObjectOffersAllCommands(t *testing.T) {
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	program := filepath.Join(dir, "program")
	// The script calls the program with "ctl -c CONFIG REQUEST".
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$4\" >'"+asked+"'\necho '{}'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	plugin, err := NewPlugin(filepath.Join(root, "openwrt/files/usr/libexec/rpcd/p2pwall"), dir, program, "/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]map[string]string{}
	for i := range control.Commands {
		c := &control.Commands[i]
		if c.Follows {
			continue
		}
		want := control.Request{Cmd: c.Name}
		arguments, args := map[string]string{"errors": "bool"}, map[string]any{}
		if c.Host != control.None {
			arguments["host"] = "string"
			args["host"], want.Host = "192.168.1.50", "192.168.1.50"
		}
		if c.Number != "" {
			arguments[c.Number] = "float64"
			args[c.Number] = float64(7)
			want.Seconds = 7
			if c.Number == "since" {
				want.Seconds, want.Since = 0, 7
			}
		}
		methods[c.Name] = arguments
		os.Remove(asked)
		if _, status := plugin.Call(c.Name, args); status != ubusOK {
			t.Errorf("%s: status %d", c.Name, status)
			continue
		}
		line, err := os.ReadFile(asked)
		if err != nil {
			t.Errorf("%s: nothing is asked: %v", c.Name, err)
			continue
		}
		got, err := control.ParseRequest(line)
		if err != nil || got != want {
			t.Errorf("%s asks %s, which is %+v (%v), want %+v", c.Name, line, got, err, want)
		}
		if c.Host == control.Must {
			delete(args, "host")
			if _, status := plugin.Call(c.Name, args); status == ubusOK {
				t.Errorf("%s: no host is needed", c.Name)
			}
		}
	}
	offered := map[string]map[string]string{}
	for name, arguments := range plugin.methods {
		offered[name] = map[string]string{}
		for a, v := range arguments {
			offered[name][a] = fmt.Sprintf("%T", v)
		}
	}
	if d := cmp.Diff(methods, offered); d != "" {
		t.Errorf("methods (-the table +the object):\n%s", d)
	}
}

// TestAccessToCommands: a user with read access may call no command that changes
// something.
func TestAccessToCommands(t *testing.T) {
	access, err := readAccess(filepath.Join(root, appDir, "root/usr/share/rpcd/acl.d/luci-app-p2pwall.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name    string
		granted map[string][]string
		changes bool
	}{{"read", access.Read.UBUS, false}, {"write", access.Write.UBUS, true}} {
		n := 0
		for object, methods := range x.granted {
			if !strings.HasSuffix(object, "p2pwall") {
				continue
			}
			for _, m := range methods {
				n++
				if c := control.Find(m); c == nil || c.Changes != x.changes {
					t.Errorf("%s grants %s of %s, of which the table says %+v", x.name, m, object, c)
				}
			}
		}
		if n == 0 {
			t.Errorf("%s grants nothing of ours", x.name)
		}
	}
}
