// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// judged is a value and whether the daemon accepts it.
type judged struct {
	Option string `json:"option"`
	Value  string `json:"value"`
	OK     bool   `json:"ok"`
}

// candidates are values of options: some valid, some just outside the bounds.
var candidates = map[string]string{
	"timelock":     "0 1 120 86400 86401 -1 1.5 +5 1e3 0x10 12s 007 99999999999999999999",
	"look_back":    "0 30 3600 3601 -1 x",
	"forget":       "0 1 3600 2592000 2592001 x",
	"max_clients":  "0 1 64 1024 1025 x",
	"queue":        "0 214 65535 65536 -1 x",
	"queues":       "0 1 16 17 x",
	"queue_length": "0 1 65535 65536 x",
	"copy_range":   "127 128 65535 65536 x",
	"mark":         "0x7 0x07000000 0x0200C000 0x0000000000000007 0x3 0xf 0x0 0x 0xffffffff 0x700000000 0x80000101 7 0X7 0x+7 0x0x7 x 0x7g",
	"dscp":         "le LE off cs0 cs7 CS3 cs8 0 46 63 64 -1 0x2e ef x",
	"ct_mark":      "off 0x10000/0xff0000 0x00010000 0x100/0xff 0x1/0x0 0x0 16/255 x 0x100000000",
	"network":      "lan guest-2 vlan.3 a_b ! a/b a:b ü",
	"device":       "br-lan eth0.3 a@b ppp+ abcdefghijklmno abcdefghijklmnop . .. -x a/b a:b a*b ü",
	"exempt": "192.168.1.20 192.168.1.0/24 192.168.1.20/0 10.0.0.0/33 10.0.0.0/08 10.0.0.0/-1 10.0.0.0/ 1.2.3 1.2.3.4.5 256.1.1.1 01.2.3.4 1.2.3.4 " +
		"1.2.3.4/255.255.255.0 fe80::1 fe80::1%eth0 2001:db8::/32 2001:db8::/129 :: ::/0 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 " +
		"1::3:4:5:6:7:8 1:2:3:4::5:6:7:8 1:::2 1::2::3 12345::1 g::1 :1:2:3:4:5:6:7 1:2:3:4:5:6:7: ::ffff:1.2.3.4 ::ffff:1.2.3.4/128 ::ffff:102:304/128 " +
		"0:0:0:0:0:ffff:1.2.3.4/120 ::1.2.3.4 ::1.2.3.4/128 1:2:3:4:5:6:1.2.3.4 1:2:3:4:5:6:7:1.2.3.4 1.2.3.4::1 ::1.2.3 ::256.1.1.1 ::1.2.3.4:5 " +
		"64:ff9b::1.2.3.4/96 00:11:22:33:44:55 00-11-22-33-44-55 00:11:22:33:44-55 00:11:22:33:44 00:11:22:33:44:5g 0:1:2:3:4:5 00:00:00:00:00:00 " +
		"AA:BB:CC:DD:EE:FF 001122334455 00:11:22:33:44:55/48 host <b> ' - /24",
	"bittorrent_name": "tracker.example.org *.example.org example.org. localhost off x_y-z.example 1.2 A.b *.a *.a. a.. *.. .. . *. * .a a..b *.*.a a.*.b " +
		"a*.b tracker.example.org:80 http://a ü.de a/b " + label63 + " " + label63 + "x a." + label63 + "x.b " + name253 + " x" + name253 +
		" *." + name253 + " " + name253 + ".",
}

// The longest label and the longest name that DNS allows.
var (
	label63 = strings.Repeat("x", 63)
	name253 = strings.Repeat(label63+".", 3) + label63[2:]
)

// notOnPage has options that are paths. A path must fit the jail and the init script, so
// the page does not offer it.
var notOnPage = map[string]bool{"control": true, "devices_file": true, "state_file": true, "event_command": true}

type table struct {
	Options []string `json:"options"`
	// Sections has the options of section types that may occur several times.
	Sections map[string][]string `json:"sections"`
	Values   []judged            `json:"values"`
	// Presets are the defaults of the protocols' options.
	Presets map[string][]string `json:"presets"`
}

// judgedValues checks the candidates with the daemon's own parser. It reads the names of
// all options, and the presets of protocols, from docs/configuration.md.
func judgedValues(t *testing.T) table {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := table{Presets: map[string][]string{}, Sections: map[string][]string{}}
	seen := map[string]bool{}
	lists := map[string]bool{}
	row := regexp.MustCompile("^\\| (list )?`(\\w+)` \\|(.*)\\|$")
	word := regexp.MustCompile("`([^`]*)`")
	var section string
	var columns []string // the protocols of a table
	for _, line := range strings.Split(string(text), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section, columns = title, nil
		}
		if strings.HasPrefix(line, "| option |") {
			columns = nil
			for _, m := range word.FindAllStringSubmatch(line, -1) {
				columns = append(columns, m[1])
			}
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		names, cells := []string{m[2]}, strings.Split(m[3], "|")
		switch {
		case section == "`config p2pwall 'main'`":
		case section == "`config protocol`":
			names = nil
			for i, p := range columns {
				if strings.TrimSpace(cells[i]) == "-" {
					continue
				}
				name := p + "_" + m[2]
				names = append(names, name)
				out.Presets[name] = nil
				if v := word.FindStringSubmatch(cells[i]); m[2] != "name" && v != nil {
					out.Presets[name] = []string{v[1]}
				} else if m[2] == "name" {
					out.Presets[name] = detect.All[detect.ByName(p)].Names
				}
			}
		case section == "`config policy`", section == "`config notify`":
			_, name, _ := strings.Cut(strings.Trim(section, "`"), " ")
			out.Sections[name] = append(out.Sections[name], m[2])
			continue
		default:
			continue
		}
		for _, name := range names {
			if !seen[name] && !notOnPage[name] {
				seen[name] = true
				out.Options = append(out.Options, name)
			}
			lists[name] = m[1] != ""
		}
	}
	if len(out.Options) < 25 {
		t.Fatalf("only %q were found", out.Options)
	}
	good, bad := 0, 0
	for option, values := range candidates {
		if !seen[option] {
			t.Errorf("the configuration does not have %s", option)
		}
		for _, v := range strings.Fields(values) {
			word := "option"
			if lists[option] {
				word = "list"
			}
			section, short := "p2pwall 'main'", option
			if p, o, ok := strings.Cut(option, "_"); ok && out.Presets[option] != nil {
				section, short = "protocol '"+p+"'", o
			}
			text := "config " + section + "\n\t" + word + " " + short + " \"" + v + "\"\n"
			_, err := config.Parse(strings.NewReader(text), "x")
			out.Values = append(out.Values, judged{option, v, err == nil})
			if err == nil {
				good++
			} else {
				bad++
			}
		}
	}
	if good < 30 || bad < 30 {
		t.Fatalf("%d good and %d bad values say little", good, bad)
	}
	return out
}
