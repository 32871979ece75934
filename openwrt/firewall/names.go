// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// The kernel tells a listed name in a name server's answer by bytes at fixed places.
const (
	// nameAt is where the name begins, in bytes from the header of UDP on.
	nameAt = 8 + 12
	// firstBytes is how many bytes tell a listed name itself.
	firstBytes = 8
	// partBytes is how many bytes tell a name below a listed one. That can begin anywhere, so
	// the kernel looks at each 4 bytes of the name. If the listed one has 7 bytes, 4 of its own
	// are among these, whatever its place.
	partBytes = 4
	// nameSearched is how many bytes of a name the kernel looks at.
	nameSearched = 64
	// mostBelow is how many listed names can be looked for in this way: each takes memory of
	// the kernel for each place.
	mostBelow = 16
	// caseless are the bits of a byte that are compared: not the one that tells small letters
	// from capital ones.
	caseless = 0xdf
)

// answers adds the values for the rules that tell a listed name in an answer. It returns false
// if the rules cannot tell all of them. Then all answers are queued.
func (v values) answers(c *config.Config) bool {
	var first, parts string
	below := 0
	for _, p := range detect.All {
		if !c.LooksFor(p.Name) {
			continue
		}
		for _, name := range c.Protocols[p.Name].Names {
			if name[0] != '*' {
				b := wireName("." + name)
				if len(b) < 2*firstBytes {
					return false
				}
				first = addKey(first, b[:2*firstBytes])
				continue
			}
			b := wireName(name[1:])
			if below++; below > mostBelow || len(b) < 2*(2*partBytes-1) {
				return false
			}
			for i := range partBytes {
				parts = addKey(parts, b[2*i:2*(i+partBytes)])
			}
		}
	}
	if first != "" {
		v.set("first", first)
	}
	if parts != "" {
		v.set("parts", parts)
	}
	for at := partBytes; at < nameSearched; at += partBytes {
		v.add("place", strconv.Itoa(8*(nameAt+at)))
	}
	return true
}

// wireName returns a name as messages have it, each label after its length, in hexadecimal
// digits. Before each label of the argument is a dot.
func wireName(name string) string {
	b := []byte(name + ".")
	dot := 0
	for i := range b {
		if b[i] == '.' {
			b[dot], dot = byte(i-dot-1), i
		}
	}
	b[dot] = 0
	for i := range b {
		b[i] &= caseless
	}
	return fmt.Sprintf("%x", b)
}

// addKey adds a key to the elements of a set, once.
func addKey(set, key string) string {
	switch {
	case set == "":
		return "0x" + key
	case strings.Contains(set, key):
		return set
	}
	return set + ", 0x" + key
}
