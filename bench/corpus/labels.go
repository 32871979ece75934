// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
)

// flowName returns the name of a flow. The order of the ends and the notation of the
// addresses do not matter.
func flowName(file, l4, a, b string) string {
	a, b = plain(a), plain(b)
	if a > b {
		a, b = b, a
	}
	return strings.Join([]string{file, l4, a, b}, " ")
}

// plain returns the usual form of an address and port. nDPI may write "::" a second
// time, for a single zero, which is not allowed.
func plain(s string) string {
	for _, t := range []string{s, strings.Replace(s, "::", ":0:", 1)} {
		if p, err := netip.ParseAddrPort(t); err == nil {
			return p.String()
		}
	}
	return s
}

// name is the flow's name in the file.
func (x *flow) name(file string) string {
	l4 := "UDP"
	if x.key.proto == nfq.ProtoTCP {
		l4 = "TCP"
	}
	return flowName(file, l4, text(x.key.a), text(x.key.b))
}

// negative reports whether the file has no file sharing, so that every hit is wrong.
func (c *corpus) negative(file string) bool {
	return c.class[file] == "neg" || c.class[file] == "hardneg"
}

func (c *corpus) label(file, name string) string {
	if l, ok := c.labels[name]; ok {
		return l
	}
	if c.class[file] == "p2p-lab" {
		return strings.TrimSuffix(strings.TrimSuffix(file, ".gz"), ".pcap")
	}
	return "-"
}

// reconcile compares the counted negative flows with those that have labels. It returns
// the sums, and a note for each flow that only one side has.
func (c *corpus) reconcile() (sums string, notes []string) {
	var counted, empty, missing, more int
	for name := range c.labels {
		file, rest, _ := strings.Cut(name, " ")
		l4, _, _ := strings.Cut(rest, " ")
		if !c.negative(file) || l4 != "TCP" && l4 != "UDP" {
			continue
		}
		switch payload, ok := c.seen[name]; {
		case !ok:
			missing++
			notes = append(notes, name+": has a label, was not found")
		case payload:
			counted++
		default:
			empty++
		}
	}
	for name, payload := range c.seen {
		file, _, _ := strings.Cut(name, " ")
		if _, ok := c.labels[name]; payload && !ok && c.negative(file) {
			more++
			notes = append(notes, name+": was counted, has no label")
		}
	}
	sort.Strings(notes)
	return fmt.Sprintf("%d negative flows of TCP and UDP have labels: %d are counted, %d have no payload, %d were not found; %d more are counted",
		counted+empty+missing, counted, empty, missing, more), notes
}
