// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Policy is a "config policy" section: another mode for some hosts, some protocols or some
// hours. The first policy that fits counts. If none fits, the mode in the protocol's own
// section counts.
type Policy struct {
	Name string
	// A host belongs to the policy if one of these lists has it. If all are empty, every host
	// does.
	Members  ExemptList
	Hosts    []string // names of DHCP leases, in lower case
	Networks []string // UCI networks
	Devices  []string

	Protocols []string // empty: all
	Hours     Hours
	Mode      Mode
}

// Everyone reports whether the policy is for every host.
func (p *Policy) Everyone() bool {
	return len(p.Members.Prefixes)+len(p.Members.MACs)+len(p.Hosts)+len(p.Networks)+len(p.Devices) == 0
}

// Covers reports whether the policy is for the protocol.
func (p *Policy) Covers(protocol string) bool {
	return len(p.Protocols) == 0 || slices.Contains(p.Protocols, protocol)
}

// In reports whether the protocol can be in the mode for any host.
func (c *Config) In(protocol string, mode Mode) bool {
	if c.Protocols[protocol].Mode == mode {
		return true
	}
	for i := range c.Policies {
		if p := &c.Policies[i]; p.Mode == mode && p.Covers(protocol) {
			return true
		}
	}
	return false
}

// AnyIn reports whether any protocol can be in the mode for any host.
func (c *Config) AnyIn(mode Mode) bool {
	for _, p := range detect.All {
		if c.In(p.Name, mode) {
			return true
		}
	}
	return false
}

// LooksFor reports whether the daemon looks for the protocol at all.
func (c *Config) LooksFor(protocol string) bool {
	return c.In(protocol, ModeMonitor) || c.In(protocol, ModeBlock) || c.In(protocol, ModeMark)
}

const day = 24 * 60 * 60

// Hours are the times of the day at which a policy applies. The zero value means always.
type Hours struct {
	Days        uint8 // on which the hours begin: bit 0 is Sunday; 0: every day
	Start, Stop int   // seconds after midnight; both 0: the whole day
}

// Always reports whether the hours are not limited.
func (h *Hours) Always() bool { return *h == Hours{} }

// Hold reports whether t is within the hours, in the time zone of t. The hours may go past
// midnight: the day on which they began counts.
func (h *Hours) Hold(t time.Time) bool {
	hour, minute, second := t.Clock()
	at, today := (hour*60+minute)*60+second, t.Weekday()
	on := func(d time.Weekday) bool { return h.Days == 0 || h.Days>>d&1 != 0 }
	if h.Start < h.Stop || h.Stop == 0 {
		return on(today) && at >= h.Start && (h.Stop == 0 || at < h.Stop)
	}
	return at >= h.Start && on(today) || at < h.Stop && on((today+6)%7)
}

// maxPolicies is the number of policies at most: the engine tries them one after the other.
const maxPolicies = 64

// policyOptions are the options of a policy section.
const policyOptions = "enabled name mac ip host network device protocol weekdays start_time stop_time mode"

// policy decodes a "config policy" section.
func (d *decoder) policy(s *section) {
	p := Policy{Name: s.name}
	enabled, whom, mode, faults := true, false, false, len(d.errs)
	for _, o := range s.options {
		switch o.name {
		case "mac", "ip", "host", "network", "device":
			whom = true
			d.policyMembers(&p, o)
			continue
		case "protocol":
			for _, v := range fields(o) {
				if _, ok := d.config.Protocols[v]; !ok {
					d.bad(o, v, "use one of "+protocolNames())
					continue
				}
				p.Protocols = appendNew(p.Protocols, v)
			}
			continue
		case "weekdays":
			p.Hours.Days = d.weekdays(o)
			continue
		}
		v, ok := d.single(o)
		if !ok {
			continue
		}
		switch o.name {
		case "enabled":
			d.boolean(o, v, &enabled)
		case "name":
			p.Name = v
		case "start_time":
			d.clock(o, v, &p.Hours.Start)
		case "stop_time":
			d.clock(o, v, &p.Hours.Stop)
		case "mode":
			mode = true
			d.choice(o, v, modeWords, func() { p.Mode = Mode(v) })
		default:
			d.fail(o.line, "unknown option "+quote(o.name)+" for a policy", "use one of "+policyOptions)
		}
	}
	switch {
	case !mode:
		d.fail(s.line, "a policy without a mode", "add: option mode, with one of "+modeWords)
	case whom && p.Everyone() && len(d.errs) == faults:
		d.fail(s.line, "a policy whose lists of computers are all empty", "name a computer, or remove the lists to have it for all")
	case p.Hours.Start != 0 && p.Hours.Start == p.Hours.Stop:
		d.fail(s.line, "start_time and stop_time are the same", "remove both to have the whole day")
	}
	if enabled {
		d.addPolicy(s, p)
	}
}

// policyMembers decodes an option that says whom a policy is for.
func (d *decoder) policyMembers(p *Policy, o rawOption) {
	switch o.name {
	case "network":
		p.Networks = d.names(o)
	case "device":
		p.Devices = d.devices(o)
	case "host":
		for _, v := range fields(o) {
			if !validHost(v) {
				d.bad(o, v, "use the name that the computer has among the DHCP leases")
				continue
			}
			p.Hosts = appendNew(p.Hosts, lower(v))
		}
	default: // mac, ip
		for _, v := range fields(o) {
			if _, isMAC := parseMAC(lower(v)); isMAC != (o.name == "mac") || !p.Members.add(lower(v)) {
				d.bad(o, v, policyRemedies[o.name])
			}
		}
	}
}

// addPolicy adds a policy to the configuration. Each needs a name of its own.
func (d *decoder) addPolicy(s *section, p Policy) {
	if p.Name == "" {
		p.Name = "policy " + strconv.Itoa(len(d.config.Policies)+1)
	}
	for i := range d.config.Policies {
		if d.config.Policies[i].Name == p.Name {
			d.fail(s.line, "a second policy with the name "+quote(p.Name), "give one of the two another name")
		}
	}
	if len(d.config.Policies) == maxPolicies {
		d.fail(s.line, "more than "+strconv.Itoa(maxPolicies)+" policies", "put computers with the same hours and mode into one")
		return
	}
	d.config.Policies = append(d.config.Policies, p)
}

var policyRemedies = map[string]string{
	"mac": "use a MAC such as 00:11:22:33:44:55",
	"ip":  "use an address, or a network such as 192.168.1.0/24",
}

// validHost reports whether a lease may have the name.
func validHost(s string) bool {
	return s != "" && len(s) <= 255 && validName(strings.ReplaceAll(strings.ReplaceAll(s, "-", "_"), ".", "_"))
}

// weekdayNames begin with Sunday, as time.Weekday does.
const weekdayNames = "sunmontuewedthufrisat"

// weekdays takes names of days. Only their first three letters count. A "!" before the list
// means all other days.
func (d *decoder) weekdays(o rawOption) (days uint8) {
	not := uint8(0)
	for _, list := range o.values {
		for _, v := range strings.Fields(list) {
			if rest, ok := strings.CutPrefix(v, "!"); ok {
				if not, v = 0x7f, rest; v == "" {
					continue
				}
			}
			i := -1
			if len(v) >= 3 {
				i = strings.Index(weekdayNames, lower(v[:3]))
			}
			if i < 0 || i%3 != 0 {
				d.bad(o, v, "use sun mon tue wed thu fri sat")
				continue
			}
			days |= 1 << (i / 3)
		}
	}
	if days ^= not; days == 0 && not != 0 {
		d.fail(o.line, "weekdays leaves no day", "remove the policy, or a day from the list")
	}
	return days
}

// clock takes a time of day in hours, minutes and optional seconds.
func (d *decoder) clock(o rawOption, v string, to *int) {
	parts, at := strings.Split(v, ":"), 0
	ok := len(parts) == 2 || len(parts) == 3
	for i, x := range parts {
		n, err := strconv.ParseUint(x, 10, 8)
		ok = ok && err == nil && len(x) <= 2 && (i == 0 || n < 60)
		at = at*60 + int(n)
	}
	if len(parts) == 2 {
		at *= 60
	}
	if !ok || at >= day {
		d.bad(o, v, "use a time of the day such as 21:30 or 21:30:00")
		return
	}
	*to = at
}

// dscpNames are names of code points. "le" is for traffic with a lower effort than all other
// (RFC 8622).
const dscpNames = " le=1 cs0=0 cs1=8 cs2=16 cs3=24 cs4=32 cs5=40 cs6=48 cs7=56 "

// dscp takes a code point of the IP header by number or name. "off" gives NoDSCP.
func (d *decoder) dscp(o rawOption, v string) {
	n, err := strconv.ParseUint(v, 0, 8)
	if _, rest, ok := strings.Cut(dscpNames, " "+lower(v)+"="); ok {
		v, _, _ = strings.Cut(rest, " ")
		n, err = strconv.ParseUint(v, 10, 8)
	}
	switch {
	case v == "off":
		d.config.MarkDSCP = NoDSCP
	case err != nil || n > 63:
		d.bad(o, v, "use le, cs0 to cs7, a number from 0 to 63, or off")
	default:
		d.config.MarkDSCP = int(n)
	}
}

// connMark takes a mark and an optional mask of the bits that are written. Without a mask,
// only the bits of the mark itself are written.
func (d *decoder) connMark(o rawOption, v string) {
	c := d.config
	if v == "" || v == "off" {
		c.ConnMark, c.ConnMask = 0, 0
		return
	}
	value, mask, masked := strings.Cut(v, "/")
	n, err := strconv.ParseUint(value, 0, 32)
	m := n
	if masked && err == nil {
		m, err = strconv.ParseUint(mask, 0, 32)
	}
	if err != nil || m == 0 || n&^m != 0 {
		d.bad(o, v, "use a mark and the mask of its bits, such as 0x00010000/0x00ff0000, or off")
		return
	}
	c.ConnMark, c.ConnMask = uint32(n), uint32(m)
}

// marks checks that mode mark has a mark, and that the two masks share no bit.
func (d *decoder) marks() {
	c := d.config
	if c.ConnMask&c.MarkMask != 0 {
		d.fail(d.lines["ct_mark"], "ct_mark has bits that the option mark has: "+nfq.FormatMark(c.ConnMask&c.MarkMask),
			"choose others for one of the two")
	}
	if c.AnyIn(ModeMark) && c.ConnMask == 0 && c.MarkDSCP == NoDSCP {
		d.fail(d.lines["dscp"], "mode mark has nothing to mark with", "set dscp or ct_mark")
	}
}

func protocolNames() string {
	var known []string
	for _, p := range detect.All {
		known = append(known, p.Name)
	}
	return strings.Join(known, " ")
}
