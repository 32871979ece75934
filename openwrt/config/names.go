// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
)

// NamesFile holds names of hosts that no DHCP server knows, with an address and a name in
// each line. The init script writes it from the descriptions of WireGuard peers.
const NamesFile = "/var/run/p2pwall/names"

// HostName is the owner's name for a host: a "config host" section, or a line of NamesFile.
type HostName struct {
	Name    string
	Members ExemptList
}

// NameOf returns the name of a host, "" where the list does not have it.
func NameOf(all []HostName, a netip.Addr, m nfq.MAC) string {
	for i := range all {
		if all[i].Members.Contains(a, m) {
			return all[i].Name
		}
	}
	return ""
}

// maxHostNames is the number of named hosts, maxHostName the length of a name in bytes, both
// at most.
const (
	maxHostNames = 256
	maxHostName  = 64
)

// ParseNames reads a NamesFile. Lines that cannot be read are skipped.
func ParseNames(text string) (out []HostName) {
	for len(text) > 0 && len(out) < maxHostNames {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		addr, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		n := HostName{Name: name}
		if validHostName(name) && n.Members.add(addr) {
			out = append(out, n)
		}
	}
	return out
}

// validHostName reports whether the name can be shown on one line.
func validHostName(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != "" && len(s) <= maxHostName
}

// host decodes a "config host" section.
func (d *decoder) host(s *section) {
	n := HostName{Name: s.name}
	for _, o := range s.options {
		switch o.name {
		case "name":
			v, ok := d.single(o)
			if ok && !validHostName(v) {
				d.bad(o, v, "use a name of one line, "+strconv.Itoa(maxHostName)+" bytes at most")
			} else if ok {
				n.Name = v
			}
		case "ip", "mac":
			for _, v := range fields(o) {
				if _, isMAC := parseMAC(lower(v)); isMAC != (o.name == "mac") || !n.Members.add(lower(v)) {
					d.bad(o, v, policyRemedies[o.name])
				}
			}
		default:
			d.fail(o.line, "unknown option "+quote(o.name)+" for a host section", "use one of "+hostOptions)
		}
	}
	switch {
	case n.Name == "":
		d.fail(s.line, "a host section without a name", "add: option name")
	case len(d.config.Hosts) == maxHostNames:
		d.fail(s.line, "more than "+strconv.Itoa(maxHostNames)+" host sections", "remove some")
	default:
		d.config.Hosts = append(d.config.Hosts, n)
	}
}

// hostOptions are the options of a host section.
const hostOptions = "name ip mac"
