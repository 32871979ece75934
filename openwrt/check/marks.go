// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"slices"
	"strconv"
	"strings"

	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// This file finds the bits that other programs use in the marks of packets and connections.
// It reads them from the output of the system's programs. If a rule sets a mark, the bits
// that it may change count. If a rule compares, the bits that it looks at count. If a rule
// compares the whole mark of a packet, only the bits of the value count: our bits are set
// after most other rules, so they rarely change the result.

// wholeMark is the mask of a rule that has none.
const wholeMark = ^uint32(0)

// markUses are the bits that others use, by user.
type markUses struct {
	who  []string
	bits map[string]uint32 // wholeMark if one rule uses all bits
	each uint32            // all bits, without those of whole marks
}

func (u *markUses) add(who string, bits uint32) {
	if bits == 0 {
		return
	}
	if u.bits == nil {
		u.bits = map[string]uint32{}
	}
	if !slices.Contains(u.who, who) {
		u.who = append(u.who, who)
	}
	switch {
	case bits == wholeMark || u.bits[who] == wholeMark:
		u.bits[who] = wholeMark
	default:
		u.bits[who] |= bits
		u.each |= bits
	}
}

// free returns a mask of n bits that others do not use, or 0.
func (u *markUses) free(n int) uint32 {
	var out uint32
	// Try the bits of the default first, then all from the highest down.
	order := []uint32{0x02000000, 0x8000, 0x4000}
	for bit := uint32(1 << 31); bit != 0; bit >>= 1 {
		order = append(order, bit)
	}
	for _, bit := range order {
		if n > 0 && (u.each|out)&bit == 0 {
			out |= bit
			n--
		}
	}
	if n > 0 {
		return 0
	}
	return out
}

// markNumber reads a number in the form that all these programs write.
func markNumber(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 0, 32)
	return uint32(n), err == nil
}

// maskedMark reads VALUE or VALUE/MASK.
func maskedMark(s string) (value, mask uint32, masked bool) {
	v, m, masked := strings.Cut(s, "/")
	value, _ = markNumber(v)
	mask = wholeMark
	if masked {
		mask, _ = markNumber(m)
	}
	return value, mask, masked
}

// nft reads the output of "nft list ruleset", without our own rules and the tables that skip
// selects.
func (u *markUses) nft(text string, skip func(family, name string) bool) {
	who := ""
	for _, line := range strings.Split(text, "\n") {
		w := nftWords(strings.TrimSpace(line))
		if len(w) >= 3 && w[0] == "table" {
			who = "table " + w[1] + " " + w[2]
			if w[1] == "inet" && w[2] == firewall.TableName || skip(w[1], w[2]) {
				who = ""
			}
			continue
		}
		if who == "" || strings.Contains(line, firewall.HoldComment) {
			continue
		}
		for i := 0; i < len(w); i++ {
			if w[i] != "mark" || i == 0 && len(w) > 1 && w[1] == ":" {
				continue
			}
			bits, n := nftMarkUse(i > 0 && w[i-1] == "ct", w[i+1:])
			u.add(who, bits)
			i += n
		}
	}
}

// nftMarkUse reads the words after "mark". It returns the bits that they use and the number
// of words read.
func nftMarkUse(ct bool, w []string) (bits uint32, n int) {
	if len(w) == 0 {
		return 0, 0
	}
	switch w[0] {
	case "set":
		return nftMarkSet(ct, w[1:])
	case "&", "and":
		if len(w) > 1 {
			if m, ok := markNumber(w[1]); ok {
				return m, 2
			}
		}
		return wholeMark, 1
	case ";", ":", ",":
		return 0, 0 // the type of a set
	}
	if ct {
		return wholeMark, 1
	}
	for _, v := range strings.FieldsFunc(strings.Join(w[:min(2, len(w))], " "), func(r rune) bool { return strings.ContainsRune("{}, -:", r) }) {
		v, _ := markNumber(v)
		bits |= v
	}
	return bits, 1
}

// nftMarkSet reads the new value of a mark: the mark itself with some bits changed, or
// something else.
func nftMarkSet(ct bool, w []string) (bits uint32, n int) {
	// operand reads a number or a mark. The bits of a mark are those that it can have.
	operand := func() (v uint32, self, known bool) {
		of := ""
		if n < len(w) && (w[n] == "meta" || w[n] == "ct") {
			of = w[n]
			n++
		}
		if n >= len(w) {
			return wholeMark, false, false
		}
		n++
		if w[n-1] == "mark" {
			return wholeMark, ct == (of == "ct"), true
		}
		v, known = markNumber(w[n-1])
		return v, false, known
	}
	_, self, _ := operand()
	kept := uint32(0)
	if self {
		kept = wholeMark
	}
	for n < len(w) {
		switch w[n] {
		case "&", "and":
			n++
			m, _, known := operand()
			if !known {
				return wholeMark, n
			}
			if bits |= ^m & kept; kept == 0 {
				bits = 0
			}
			kept &= m
		case "|", "or", "^", "xor":
			n++
			m, _, known := operand()
			if !known {
				return wholeMark, n
			}
			if n < len(w) && (w[n] == "&" || w[n] == "and") {
				n++
				x, _, _ := operand()
				m &= x
			}
			bits |= m
		default:
			if !self {
				return wholeMark, n
			}
			return bits, n
		}
	}
	if !self {
		return wholeMark, n
	}
	return bits, n
}

// iptables reads the output of iptables-save or ip6tables-save for all tables.
func (u *markUses) iptables(program, text string) {
	who := ""
	for _, line := range strings.Split(text, "\n") {
		w := nftWords(line)
		switch {
		case strings.HasPrefix(line, "*"):
			who = program + ", table " + line[1:]
		case len(w) > 2 && w[0] == "-A" && !firewall.Ours(w[1]) && !firewall.Ours(firewall.JumpTarget(line)):
			u.add(who, iptablesMarkUse(w))
		}
	}
}

// iptablesMarkUse returns the bits that a rule uses.
func iptablesMarkUse(w []string) (bits uint32) {
	match := ""
	nfmask, ctmask := wholeMark, wholeMark
	copies := false
	for i := 2; i < len(w); i++ {
		arg := ""
		if i+1 < len(w) {
			arg = w[i+1]
		}
		value, mask, masked := maskedMark(arg)
		switch w[i] {
		case "-m", "-j", "-g":
			match = arg
		case "--comment":
			i++
		case "--mark":
			switch {
			case masked || match == "connmark":
				bits |= mask
			case match == "mark":
				bits |= value
			}
		case "--set-xmark", "--set-mark":
			bits |= value | mask
		case "--or-mark", "--xor-mark":
			bits |= value
		case "--and-mark":
			bits |= ^value
		case "--save-mark", "--restore-mark":
			copies = true
		case "--nfmask":
			nfmask = value
		case "--ctmask":
			ctmask = value
		case "--mask":
			nfmask, ctmask = value, value
		}
	}
	if copies {
		bits |= nfmask | ctmask
	}
	return bits
}

// rules reads the output of "ip rule show".
func (u *markUses) rules(text string) {
	w := strings.Fields(text)
	for i := 0; i+1 < len(w); i++ {
		if w[i] != "fwmark" {
			continue
		}
		value, mask, masked := maskedMark(w[i+1])
		if !masked {
			mask = value
		}
		u.add("ip rule", mask)
	}
}

// ctinfo reads the output of "tc actions list action ctinfo": the bits of a connection's mark
// that hold the DSCP, and the bits that say that it is set.
func (u *markUses) ctinfo(text string) {
	w := strings.Fields(strings.ReplaceAll(text, "/", " "))
	for i := 0; i+1 < len(w); i++ {
		if w[i] != "dscp" {
			continue
		}
		dscp, _ := markNumber(w[i+1])
		if i+2 < len(w) {
			state, _ := markNumber(w[i+2])
			dscp |= state
		}
		u.add("tc ctinfo", dscp)
	}
}
