// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"slices"
	"strings"

	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// This file finds out what a firewall does with connections from outside. It follows one
// made-up packet, the first of a TCP connection from outside to a LAN host, through the
// rules. It reads the rules from the output of the system's programs. A condition that it
// does not understand, such as an address or a port, makes a rule a special case: its accept
// is an exception, and its drop is not certain.

// inboundPacket is the made-up packet.
type inboundPacket struct {
	in, out string
	six     bool
}

// match says whether a rule matches the packet.
type match uint8

const (
	matchNo match = iota
	matchMaybe
	matchYes
)

func (m match) and(o match) match { return min(m, o) }

func matchIf(b bool) match {
	if b {
		return matchYes
	}
	return matchNo
}

// outcome is what happens to the packet.
type outcome uint8

const (
	outcomeNone    outcome = iota // no rule decides
	outcomeOpen                   // it is accepted
	outcomeUnknown                // it is accepted, unless a special case drops it
	outcomeClosed                 // it is dropped or rejected
)

// fwRule is the part of a rule that matters here.
type fwRule struct {
	_       [0]func() // makes it not comparable, which saves flash
	match   match
	verdict string // accept, drop, jump, goto, return, or "" for none
	target  string // of jump and goto
}

// fwChain is a chain of rules. The packet enters at the base chains.
type fwChain struct {
	base   bool
	policy string
	rules  []fwRule
}

// chains are the chains of a firewall, by name.
type chains map[string]*fwChain

// inbound follows the packet through all base chains. If one of them drops it, it is dropped.
func (f chains) inbound() outcome {
	worst := outcomeNone
	for name, c := range f {
		if !c.base {
			continue
		}
		o, unsure := f.follow(name, 0)
		if o == outcomeNone && c.policy == "drop" {
			o = outcomeClosed
		}
		switch {
		case o == outcomeClosed:
			return outcomeClosed
		case unsure:
			worst = max(worst, outcomeUnknown)
		default:
			worst = max(worst, outcomeOpen)
		}
	}
	return worst
}

// follow returns what a chain does with the packet, and whether it passed a special case that
// drops.
func (f chains) follow(name string, depth int) (o outcome, unsure bool) {
	c := f[name]
	// No firewall has chains nested this deep, and the kernel loads no loops.
	if c == nil || depth > 16 {
		return outcomeNone, false
	}
	for _, r := range c.rules {
		if r.match == matchNo {
			continue
		}
		o := outcomeNone
		switch r.verdict {
		case "accept":
			o = outcomeOpen
		case "drop":
			o = outcomeClosed
		case "jump", "goto":
			var u bool
			o, u = f.follow(r.target, depth+1)
			unsure = unsure || u
		}
		if r.match == matchMaybe {
			unsure = unsure || o == outcomeClosed
			continue
		}
		if o != outcomeNone || r.verdict == "return" || r.verdict == "goto" {
			return o, unsure
		}
	}
	return outcomeNone, unsure
}

// parseNFT reads the output of "nft list ruleset". It returns the chains for IP packets of
// the packet's family, under the names "family table chain". It skips our own table.
func parseNFT(text string, p inboundPacket) chains {
	f := chains{}
	var table string
	var chain *fwChain
	skip := 0
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		w := nftWords(line)
		switch {
		case len(w) == 0:
		case w[0] == "table" && len(w) >= 3:
			table, chain = "", nil
			mine := w[1] == "inet" && w[2] == firewall.TableName
			if !mine && (w[1] == "inet" || w[1] == "ip" && !p.six || w[1] == "ip6" && p.six) {
				table = w[1] + " " + w[2] + " "
			}
		case table == "":
		case chain == nil && skip == 0 && w[0] == "chain" && len(w) >= 2:
			chain = &fwChain{}
			f[table+w[1]] = chain
		case line == "}":
			if skip > 0 {
				skip--
			} else {
				chain = nil
			}
		case chain == nil:
			// A set, a flow table or similar.
			if strings.HasSuffix(line, "{") {
				skip++
			}
		case w[0] == "type":
			chain.base = strings.Contains(line, " hook forward ")
			if strings.Contains(line, "policy drop") {
				chain.policy = "drop"
			}
		default:
			chain.rules = append(chain.rules, nftRuleOf(w, table, p))
		}
	}
	return f
}

// nftWords splits a line at spaces. A quoted text or a set is one word.
func nftWords(line string) []string {
	var out []string
	start, depth, quoted := -1, 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ' ' && depth <= 0:
			if start >= 0 {
				out = append(out, line[start:i])
			}
			start = -1
			continue
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		out = append(out, line[start:])
	}
	return out
}

// nftRuleOf reads one rule.
func nftRuleOf(w []string, table string, p inboundPacket) fwRule {
	r := fwRule{match: matchYes}
	for len(w) > 0 {
		n := 1 // words used
		switch key := w[0]; key {
		case "accept", "drop", "return":
			r.verdict = key
		case "reject":
			r.verdict = "drop"
			return r
		case "jump", "goto":
			if len(w) > 1 {
				r.verdict, r.target, n = key, table+w[1], 2
			}
		case "counter":
			for n < len(w) && (w[n] == "packets" || w[n] == "bytes") {
				n += 2
			}
		case "comment":
			n = 2
		case "log", "flow", "notrack":
			// Statements without a verdict. Skip their arguments.
			for n < len(w) && !isVerdict(w[n]) {
				n++
			}
		case "iifname", "iif":
			n = nftCompare(w, p.in, &r.match)
		case "oifname", "oif":
			n = nftCompare(w, p.out, &r.match)
		case "meta", "ct":
			n = nftMeta(w, p, &r.match)
		default:
			// All words up to the verdict belong to a condition that is not understood.
			r.match = r.match.and(matchMaybe)
			for n < len(w) && !isVerdict(w[n]) && w[n] != "iifname" && w[n] != "oifname" {
				n++
			}
		}
		w = w[min(n, len(w)):]
	}
	return r
}

func isVerdict(w string) bool {
	switch w {
	case "accept", "drop", "reject", "return", "jump", "goto":
		return true
	}
	return false
}

// nftMeta reads a "meta" or "ct" condition and returns its number of words.
func nftMeta(w []string, p inboundPacket, m *match) int {
	if len(w) < 3 {
		*m = m.and(matchMaybe)
		return len(w)
	}
	proto := "ipv4"
	if p.six {
		proto = "ipv6"
	}
	known := ""
	switch w[0] + " " + w[1] {
	case "meta nfproto":
		known = proto
	case "meta l4proto":
		known = "tcp"
	case "ct state":
		known = "new"
	case "meta iifname":
		known = p.in
	case "meta oifname":
		known = p.out
	case "ct status":
		// A rule for port forwards is an exception.
		known = "none"
	}
	if known == "" || w[2] == "&" {
		*m = m.and(matchMaybe)
		n := 2
		for n < len(w) && !isVerdict(w[n]) {
			n++
		}
		return n
	}
	if w[2] == "vmap" {
		*m = m.and(matchMaybe)
		if len(w) > 3 && known == "new" && !strings.Contains(w[3], "new") {
			*m = matchNo
		}
		return 4
	}
	return 1 + nftCompare(w[1:], known, m)
}

// nftCompare reads "KEY VALUE" or "KEY != VALUE", where the value can be a list. It returns
// the number of words.
func nftCompare(w []string, is string, m *match) int {
	n := 1
	negated := false
	if n < len(w) && (w[n] == "!=" || w[n] == "==") {
		negated = w[n] == "!="
		n++
	}
	if n >= len(w) {
		*m = m.and(matchMaybe)
		return n
	}
	found := matchNo
	for _, v := range strings.FieldsFunc(w[n], func(r rune) bool { return strings.ContainsRune("{}, ", r) }) {
		v = strings.Trim(v, "\"")
		switch {
		case v == is, strings.HasSuffix(v, "*") && strings.HasPrefix(is, v[:len(v)-1]):
			found = matchYes
		case strings.HasPrefix(v, "@") || strings.HasPrefix(v, "$"):
			found = max(found, matchMaybe)
		}
	}
	if negated {
		found = matchYes - found
	}
	*m = m.and(found)
	return n + 1
}

// parseIPTables reads the filter table of iptables-save.
func parseIPTables(text string, p inboundPacket) chains {
	s := firewall.ParseSave(text, "filter")
	f := chains{}
	for chain, rules := range s.All {
		c := &fwChain{}
		for _, r := range rules {
			c.rules = append(c.rules, iptablesRuleOf(nftWords(r), p))
		}
		f[chain] = c
	}
	if f["FORWARD"] == nil {
		f["FORWARD"] = &fwChain{}
	}
	f["FORWARD"].base = true
	if s.Policy["FORWARD"] == "DROP" {
		f["FORWARD"].policy = "drop"
	}
	return f
}

// iptablesRuleOf reads one rule in the form "-A CHAIN ...".
func iptablesRuleOf(w []string, p inboundPacket) fwRule {
	r := fwRule{match: matchYes}
	negated := false
	for i := 2; i < len(w); i++ {
		arg := ""
		if i+1 < len(w) {
			arg = w[i+1]
		}
		var found match
		switch w[i] {
		case "!":
			negated = true
			continue
		case "-i":
			found = matchIf(sameDevice(arg, p.in))
		case "-o":
			found = matchIf(sameDevice(arg, p.out))
		case "-p":
			found = matchIf(arg == "tcp" || arg == "all")
		case "--ctstate", "--state":
			found = matchIf(slices.Contains(strings.Split(arg, ","), "NEW"))
		case "-m":
			switch arg {
			case "comment", "conntrack", "state", "tcp":
			default:
				r.match = r.match.and(matchMaybe)
			}
			i++
			continue
		case "--comment":
			i++
			continue
		case "-j", "-g":
			return iptablesVerdict(r, w[i], arg)
		default:
			found = matchMaybe
			// Skip its arguments.
			for i+2 < len(w) && w[i+2] != "!" && !strings.HasPrefix(w[i+2], "-") {
				i++
			}
			if strings.HasPrefix(arg, "-") {
				i--
			}
		}
		if negated {
			found = matchYes - found
			negated = false
		}
		r.match = r.match.and(found)
		i++
	}
	return r
}

func iptablesVerdict(r fwRule, how, target string) fwRule {
	switch target {
	case "ACCEPT":
		r.verdict = "accept"
	case "DROP", "REJECT":
		r.verdict = "drop"
	case "RETURN":
		r.verdict = "return"
	default:
		// A target that is not a chain decides nothing about the packet.
		r.verdict, r.target = "jump", target
		if how == "-g" {
			r.verdict = "goto"
		}
	}
	return r
}

// sameDevice compares a device with an interface of iptables, in which a final + matches any
// ending.
func sameDevice(pattern, device string) bool {
	if p, ok := strings.CutSuffix(pattern, "+"); ok {
		return strings.HasPrefix(device, p)
	}
	return pattern == device
}
