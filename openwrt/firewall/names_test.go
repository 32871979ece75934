// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/openwrt/config"
)

func TestListedNames(t *testing.T) {
	for _, x := range []struct {
		names        string
		told         bool
		first, parts string
	}{
		{"router.example.org", true, "0x06524f5554455207", ""},
		{"router.example.org router.example.net", true, "0x06524f5554455207", ""},
		{"A.b-1.c a.b1c.d", true, "0x014103420d110143, 0x0141034211430144", ""},
		{"a.b.c", false, "", ""},
		{"a.b.c.", true, "0x0141014201430000", ""}, // with the first byte of the question's type
		{"ab.cd", false, "", ""},
		{strings.Repeat("l", 32) + ".org", true, "0x004c4c4c4c4c4c4c", ""}, // 32 is the bit that is not compared
		{"*.ab.cd", true, "", "0x02414202, 0x41420243, 0x42024344, 0x02434400"},
		{"*.ab.cd *.AB.cd", true, "", "0x02414202, 0x41420243, 0x42024344, 0x02434400"},
		{"*.b.cd", false, "", ""},
		{"router.example.org *.ab.cd", true, "0x06524f5554455207", "0x02414202, 0x41420243, 0x42024344, 0x02434400"},
		{strings.Repeat("*.ab.cd ", mostBelow), true, "", "0x02414202, 0x41420243, 0x42024344, 0x02434400"},
	} {
		c := config.Default()
		for name, p := range c.Protocols {
			p.Names = nil
			if name == "bittorrent" {
				p.Names = strings.Fields(x.names)
			}
			c.Protocols[name] = p
		}
		v := values{}
		told := v.answers(&c)
		if told != x.told || told && (strings.Join(v["first"], "") != x.first || strings.Join(v["parts"], "") != x.parts) {
			t.Errorf("%s: %v, %q, %q", x.names, told, v["first"], v["parts"])
		}
	}
}
