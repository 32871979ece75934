// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"slices"
	"strconv"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// marked reports what on this router uses the marks of mode mark.
func (m *machine) marked() {
	c := m.c
	if !c.AnyIn(config.ModeMark) {
		return
	}
	var users []string
	add := func(who string) {
		if !slices.Contains(users, who) {
			users = append(users, who)
		}
	}
	if c.ConnMask != 0 {
		w := strings.Fields(m.ipRules)
		for i := 0; i+1 < len(w); i++ {
			if w[i] != "fwmark" {
				continue
			}
			if value, mask, _ := maskedMark(w[i+1]); mask&c.ConnMask != 0 && c.ConnMark&mask == value {
				add("ip rule fwmark " + w[i+1])
			}
		}
		var ctinfo markUses
		ctinfo.ctinfo(m.ctinfo)
		if ctinfo.each&c.ConnMask != 0 {
			add("tc ctinfo")
		}
	}
	if c.MarkDSCP != config.NoDSCP {
		for _, l := range strings.Split(m.qdiscs, "\n") {
			w := strings.Fields(l)
			if len(w) > 4 && w[0] == "qdisc" && w[1] == "cake" && w[3] == "dev" && !slices.Contains(w, "besteffort") {
				add("cake (" + w[4] + ")")
			}
		}
	}
	what := ""
	if c.MarkDSCP != config.NoDSCP {
		what = "DSCP " + strconv.Itoa(c.MarkDSCP)
	}
	if c.ConnMask != 0 {
		if what != "" {
			what += ", "
		}
		what += "ct mark " + nfq.FormatMark(c.ConnMark) + "/" + nfq.FormatMark(c.ConnMask)
	}
	if len(users) == 0 {
		m.warn(say("use-marks", "have cake with diffserv4 slow it down (sqm-scripts, qosify), or an ip rule with fwmark route it (pbr, mwan3)"),
			say("marks-unused", "nothing seems to use what mode mark sets (%s): what is marked goes on as before", what))
		return
	}
	m.ok(say("marks-used", "what mode mark sets (%s) is used by: %s", what, strings.Join(users, ", ")))
}
