// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// EachIPTables runs a test once with the nft variant of iptables and once with the legacy
// one, each in its own namespace.
func EachIPTables(t *testing.T, f func(t *testing.T, flavour string)) {
	for _, flavour := range []string{"nft", "legacy"} {
		t.Run(flavour, func(t *testing.T) {
			Need(t, "nft")
			UseIPTables(t, flavour)
			Enter(t)
			f(t, flavour)
		})
	}
}

// UseIPTables puts one variant of iptables first in PATH: "nft" or "legacy".
func UseIPTables(t *testing.T, flavour string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range []string{"iptables", "ip6tables"} {
		for _, s := range []string{"", "-save", "-restore"} {
			path, err := exec.LookPath(p + "-" + flavour + s)
			if err != nil {
				t.Skipf("needs %s-%s%s", p, flavour, s)
			}
			if path, err = filepath.EvalSymlinks(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path, filepath.Join(dir, p+s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// Rules lists all rules in the thread's namespace: iptables, ip6tables and nft. iptables
// counters are left out.
func Rules(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, p := range []string{"iptables", "ip6tables"} {
		for _, table := range []string{"mangle", "raw", "filter"} {
			for _, l := range strings.Split(Run(t, "", p+"-save", "-t", table), "\n") {
				if l != "" && l[0] != '#' {
					if i := strings.Index(l, " ["); i > 0 {
						l = l[:i] // counters of built-in chains
					}
					b.WriteString(p + " " + table + " " + l + "\n")
				}
			}
		}
	}
	return b.String() + Run(t, "", "nft", "list", "ruleset")
}

// QueueStatement matches the statement that a kernel without nft's queue cannot load.
var QueueStatement = regexp.MustCompile(`queue num [0-9]+( bypass)?`)

// Loadable returns an nft text that this kernel can load. It removes queue statements if
// the kernel does not support them.
func Loadable(text string) string {
	if _, err := Try("table inet try {\nchain c {\nqueue num 1 bypass\n}\n}\n", "nft", "-c", "-f", "-"); err == nil {
		return text
	}
	return QueueStatement.ReplaceAllString(text, "accept")
}

// LongList is a text for nft that fills a set of its own with 250,000 addresses. While nft
// loads it, the kernel takes no other change of the rules in that namespace.
func LongList() []byte {
	var list strings.Builder
	list.WriteString("add table inet other\nadd set inet other long { type ipv4_addr; }\nflush set inet other long\n")
	for i := range 250 {
		list.WriteString("add element inet other long { ")
		for j := range 1000 {
			fmt.Fprintf(&list, "10.%d.%d.%d, ", i, j>>8, j&255)
		}
		list.WriteString("}\n")
	}
	return []byte(list.String())
}
