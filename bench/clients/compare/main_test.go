// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	a := "| client | situation | found after | bytes after 2 s | looks without lock | released after |\n|---|---|---|---|---|---|\n" +
		"| aria2 | SOCKS5 | never | 800 | 400 of 400 | 0.0 s |\n"
	b := "| aria2 | SOCKS5 | 0.1 s | 0 | 0 of 400 | 2.0 s |\n| rtorrent | defaults | 0.2 s | 0 | 0 of 400 | 3.0 s |\nother text\n"
	got := compare([]string{"old", "new"}, []string{a, b})
	for _, want := range []string{
		"| situation | client | old | new |\n|---|---|---|---|\n",
		"| SOCKS5 | aria2 | never; 800; 400 of 400; 0.0 s | 0.1 s; 0; 0 of 400; 2.0 s |\n| defaults | rtorrent | - | 0.2 s; 0; 0 of 400; 3.0 s |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("without %q:\n%s", want, got)
		}
	}
}
