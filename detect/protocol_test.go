// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"net/netip"
	"testing"
)

// TestProtocols checks what the rest of the program assumes about a protocol.
func TestProtocols(t *testing.T) {
	// titleRoom is the width of the column in the command line's tables.
	const titleRoom = 14
	if len(All) > MaxProtocols {
		t.Errorf("%d protocols", len(All))
	}
	seen := map[string]bool{}
	for i, p := range All {
		switch {
		case p.Name == "" || p.Title == "" || seen[p.Name]:
			t.Errorf("protocol %d: name %q, title %q", i, p.Name, p.Title)
		case len(p.Title) > titleRoom:
			t.Errorf("%s: %q is longer than %d", p.Name, p.Title, titleRoom)
		case ByName(p.Name) != i:
			t.Errorf("%s: not found", p.Name)
		case p.Programs == "":
			t.Errorf("%s: which programs?", p.Name)
		}
		seen[p.Name] = true
		for _, c := range p.Name {
			if c < 'a' || c > 'z' { // the name is a UCI section and a JSON key
				t.Errorf("%s: a name has small letters only", p.Name)
			}
		}
		if _, err := NewNames(p.Names); err != nil || len(p.Names) > MaxNames {
			t.Errorf("%s: %d names, %v", p.Name, len(p.Names), err)
		}
		for _, g := range p.Groups {
			if a, err := netip.ParseAddr(g.Addr); err != nil || !a.IsMulticast() || g.Port == 0 || p.Local == nil {
				t.Errorf("%s: group %v", p.Name, g)
			}
		}
		for j := range p.Probes {
			q := &p.Probes[j]
			if q.Build == nil || q.Name == "" {
				t.Errorf("%s: question %d: %+v", p.Name, j, q)
			}
		}
		if p.Next != nil && p.First == nil || p.Flow != nil && p.Datagram == nil {
			t.Errorf("%s: looks further at what it does not look at", p.Name)
		}
	}
	// The engine keeps the times of these probes in a table of fixed size: see
	// Probe.Every.
	n := 0
	for _, p := range All {
		for j := range p.Probes {
			if p.Probes[j].Every != 0 {
				n++
			}
		}
	}
	if n > MaxLimited {
		t.Errorf("%d questions may not be put too often, and there is room for %d", n, MaxLimited)
	}
}
