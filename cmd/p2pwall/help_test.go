// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/bench/golden"
)

func TestHelp(t *testing.T) { golden.Compare(t, "testdata/help.txt", usage()) }

// TestManual compares the synopsis of the manual with the table of commands.
func TestManual(t *testing.T) {
	const file = "../../openwrt/debian/p2pwall.8"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ".Sh SYNOPSIS\n")
	synopsis, _, found := strings.Cut(rest, ".Sh ")
	if !found {
		t.Fatalf("%s has no synopsis", file)
	}
	// Each command with its options; its arguments are ARG or [ARG].
	got := map[string][]string{}
	for _, part := range strings.Split(synopsis, ".Nm\n")[1:] {
		lines := strings.Split(strings.TrimSpace(part), "\n")
		name := strings.TrimPrefix(lines[0], ".Cm ")
		got[name] = []string{}
		for _, l := range lines[1:] {
			w := strings.Fields(l)
			switch {
			case w[0] == ".Op" && w[1] == "Fl":
				got[name] = append(got[name], "-"+w[2])
			case w[0] == ".Op":
				got[name] = append(got[name], "[ARG]")
			default:
				got[name] = append(got[name], "ARG")
			}
		}
	}
	want := map[string][]string{}
	each(func(c *command) bool {
		x := []string{}
		for _, name := range strings.Fields(c.options) {
			if len(name) > 1 {
				name = "-" + name
			}
			x = append(x, "-"+name)
		}
		for i := range c.most {
			if i < c.least {
				x = append(x, "ARG")
			} else {
				x = append(x, "[ARG]")
			}
		}
		want[c.name] = x
		return true
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-the table +its synopsis):\n%s", file, d)
	}
}
