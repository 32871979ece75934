// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// Options returns the options of a protocol's section, the mode first. It leaves out the
// options that the protocol does not use.
func Options(p *detect.Protocol) []string {
	list := []string{"mode", "lock"}
	for _, o := range [...]struct {
		has  bool
		name string
	}{
		{p.Datagram != nil, "block_udp"},
		{p.Answer != nil && p.Full, "pong"},
		{p.Answer != nil && !p.Full, "answer"},
		{p.Asks(false), "probe"},
		{p.Asks(true), "tcp_probe"},
		{p.First != nil || p.Header != nil, "http"},
		{p.Hidden != nil, "reset_encrypted"},
		{p.Names != nil, "name"},
	} {
		if o.has {
			list = append(list, o.name)
		}
	}
	return list
}

// preset returns the settings of a protocol that has no section.
func preset(p *detect.Protocol) Protocol {
	x := state.Preset(p)
	return Protocol{
		Mode:     Mode(x.Mode.String()),
		Lock:     [...]Lock{state.Strict: LockStrict, state.Selective: LockSelective}[x.Lock],
		BlockUDP: x.BlockUDP, Answer: x.Answer, Probe: x.Probe, TCPProbe: x.TCPProbe, HTTP: x.HTTP,
		ResetEncrypted: x.ResetEncrypted, Names: p.Names,
	}
}

// decoder gives the sections their meaning and collects the faults.
type decoder struct {
	config *Config
	file   string
	errs   Errors

	main  *section
	seen  map[string]bool // protocols whose section was read
	lines map[string]int  // line numbers of the options of the main section
}

func (d *decoder) fail(line int, what, remedy string) {
	d.errs = append(d.errs, &Error{File: d.file, Line: line, What: what, Remedy: remedy})
}

// section decodes one section.
func (d *decoder) section(s *section) {
	switch s.typ {
	case "":
		// Reported by the scanner.
	case "p2pwall":
		if d.main != nil {
			d.fail(s.line, "a second section of the type \"p2pwall\"", "put its options into the first")
			return
		}
		d.main = s
		d.lines = make(map[string]int)
		// "lan" is the default only if the section names no network or device.
		for _, o := range s.options {
			if o.name == "network" || o.name == "device" {
				d.config.Networks = nil
			}
		}
		for _, o := range s.options {
			d.lines[o.name] = o.line
			d.mainOption(o)
		}
	case "protocol":
		d.protocol(s)
	case "policy":
		d.policy(s)
	case "notify":
		d.notify(s)
	case "host":
		d.host(s)
	default:
		d.fail(s.line, "unknown section type "+quote(s.typ), "use p2pwall, protocol, policy, notify or host")
	}
}

// mainOption decodes one option of the p2pwall section.
func (d *decoder) mainOption(o rawOption) {
	c := d.config
	switch o.name {
	case "network":
		c.Networks = d.names(o)
	case "device":
		c.Devices = d.devices(o)
	case "exempt":
		d.exempt(o)
	case "log":
		d.log(o)
	default:
		v, ok := d.single(o)
		if !ok {
			return
		}
		d.mainScalar(o, v)
	}
}

// mainScalar decodes an option of the p2pwall section that has one value.
func (d *decoder) mainScalar(o rawOption, v string) {
	c := d.config
	switch o.name {
	case "enabled":
		d.boolean(o, v, &c.Enabled)
	case "timelock":
		d.seconds(o, v, 0, 86400, &c.TimeLock)
	case "look_back":
		d.seconds(o, v, 0, 3600, &c.LookBack)
	case "forget":
		d.seconds(o, v, 1, 30*86400, &c.Forget)
	case "max_clients":
		d.number(o, v, 1, 1024, func(n int) { c.MaxClients = n })
	case "backend":
		d.choice(o, v, "auto nft iptables", func() { c.Backend = Backend(v) })
	case "sets":
		d.choice(o, v, "auto nft ipset off", func() { c.Sets = SetsKind(v) })
	case "queue":
		d.number(o, v, 0, 65535, func(n int) { c.Queue = uint16(n) })
	case "queues":
		d.number(o, v, 1, 16, func(n int) { c.Queues = n })
	case "queue_length":
		d.number(o, v, 1, 65535, func(n int) { c.QueueLength = uint32(n) })
	case "copy_range":
		d.number(o, v, 128, 65535, func(n int) { c.CopyRange = uint32(n) })
	case "mark":
		d.mark(o, v, &c.MarkMask)
	case "fail_open":
		d.boolean(o, v, &c.FailOpen)
	case "action":
		d.choice(o, v, "drop reset reject", func() { c.Action = Action(v) })
	case "offload":
		d.choice(o, v, "hold leave", func() { c.Offload = Offload(v) })
	case "devices_file":
		d.path(o, v, false, &c.DevicesFile)
	case "control":
		d.path(o, v, false, &c.Control)
	case "state_file":
		d.path(o, v, true, &c.StateFile)
	case "history_file":
		d.path(o, v, true, &c.HistoryFile)
	case "event_command":
		d.path(o, v, true, &c.EventCommand)
	case "dscp":
		d.dscp(o, v)
	case "ct_mark":
		d.connMark(o, v)
	default:
		d.fail(o.line, "unknown option "+quote(o.name), "remove it or correct the name")
	}
}

// protocol decodes a "config protocol" section.
func (d *decoder) protocol(s *section) {
	var known []string
	for _, p := range detect.All {
		known = append(known, p.Name)
		if p.Name != s.name {
			continue
		}
		if d.seen[s.name] {
			d.fail(s.line, "a second section for the protocol "+quote(s.name), "put its options into the first")
			return
		}
		if d.seen == nil {
			d.seen = make(map[string]bool)
		}
		d.seen[s.name] = true
		v, known := preset(p), strings.Join(Options(p), " ")
		for _, o := range s.options {
			if !hasWord(known, o.name) {
				d.fail(o.line, "unknown option "+quote(o.name)+" for the protocol "+s.name,
					"use one of "+known)
				continue
			}
			d.protocolOption(o, &v)
		}
		d.config.Protocols[s.name] = v
		return
	}
	what := "unknown protocol " + quote(s.name)
	if s.name == "" {
		what = "a protocol section without a name"
	}
	d.fail(s.line, what, "use one of "+strings.Join(known, " "))
}

// protocolOption decodes one option of a protocol section.
func (d *decoder) protocolOption(o rawOption, p *Protocol) {
	if o.name == "name" {
		p.Names = d.dnsNames(o)
		return
	}
	v, ok := d.single(o)
	if !ok {
		return
	}
	switch o.name {
	case "mode":
		d.choice(o, v, modeWords, func() { p.Mode = Mode(v) })
	case "lock":
		d.choice(o, v, "strict selective", func() { p.Lock = Lock(v) })
	case "block_udp":
		d.boolean(o, v, &p.BlockUDP)
	case "answer":
		yes := p.Answer != detect.AnswerNone
		d.boolean(o, v, &yes)
		p.Answer = detect.AnswerNone
		if yes {
			p.Answer = detect.AnswerWelcome
		}
	case "pong":
		switch lower(v) {
		case "0x28", "1":
			p.Answer = detect.AnswerWelcome
		case "0x29":
			p.Answer = detect.AnswerFull
		case "off", "0":
			p.Answer = detect.AnswerNone
		default:
			d.bad(o, v, "use 0x28, 0x29 or off")
		}
	case "probe":
		d.boolean(o, v, &p.Probe)
	case "tcp_probe":
		d.boolean(o, v, &p.TCPProbe)
	case "http":
		d.boolean(o, v, &p.HTTP)
	case "reset_encrypted":
		d.boolean(o, v, &p.ResetEncrypted)
	}
}

// whole checks the options that depend on each other.
func (d *decoder) whole() {
	c := d.config
	if int(c.Queue)+c.Queues > 65536 {
		d.fail(d.lines["queues"], "queue and queues together go beyond 65535", "choose a smaller queue")
	}
	if c.Backend == BackendNFT && c.Sets == SetsIPSet {
		d.fail(d.lines["sets"], "the nft backend cannot use ipset", "set sets to nft or auto")
	}
	d.marks()
}

// single returns the value of an option that is not a list. An empty value counts as a
// missing option, because "uci commit" drops empty values. Options for which an empty value
// means "none" are not in emptyIsDefault.
func (d *decoder) single(o rawOption) (string, bool) {
	if o.list {
		d.fail(o.line, quote(o.name)+" is not a list", "write: option "+o.name+" 'value'")
		return "", false
	}
	v := o.values[0]
	return v, v != "" || !hasWord(emptyIsDefault, o.name)
}

// emptyIsDefault are the options for which an empty value means the default.
const emptyIsDefault = "enabled timelock look_back forget max_clients backend sets queue queues " +
	"queue_length copy_range mark fail_open action offload devices_file control " +
	"mode lock block_udp pong answer probe tcp_probe http reset_encrypted dscp start_time stop_time name"

// bad reports a value that the option does not take.
func (d *decoder) bad(o rawOption, v, remedy string) {
	d.fail(o.line, "bad value "+quote(v)+" for "+o.name, remedy)
}

func (d *decoder) boolean(o rawOption, v string, to *bool) {
	switch v {
	case "1", "on", "true", "yes", "enabled":
		*to = true
	case "0", "off", "false", "no", "disabled":
		*to = false
	default:
		d.bad(o, v, "use 1 or 0")
	}
}

func (d *decoder) number(o rawOption, v string, low, high int, set func(int)) {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || int(n) < low || int(n) > high {
		d.bad(o, v, "use a number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
		return
	}
	set(int(n))
}

func (d *decoder) seconds(o rawOption, v string, low, high int, to *time.Duration) {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || int(n) < low || int(n) > high {
		d.bad(o, v, "use seconds from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
		return
	}
	*to = time.Duration(n) * time.Second
}

// mark takes a mask of mark bits.
func (d *decoder) mark(o rawOption, v string, to *uint32) {
	digits, isHex := strings.CutPrefix(v, "0x")
	n, err := strconv.ParseUint(digits, 16, 32)
	if _, ok := nfq.MakeMarks(uint32(n)); !isHex || err != nil || !ok {
		d.bad(o, v, "use a mask of exactly "+strconv.Itoa(nfq.MarkBits)+" bits that nothing else uses, such as "+nfq.FormatMark(nfq.DefaultMarkMask))
		return
	}
	*to = uint32(n)
}

func (d *decoder) choice(o rawOption, v, words string, set func()) {
	if !hasWord(words, v) {
		d.bad(o, v, "use one of "+words)
		return
	}
	set()
}

// path takes an absolute path. If none is true, "" and "off" mean no path.
func (d *decoder) path(o rawOption, v string, none bool, to *string) {
	switch {
	case none && (v == "" || v == "off"):
		*to = ""
	case !strings.HasPrefix(v, "/") || strings.ContainsAny(v, "\x00\n\r"):
		remedy := "use an absolute path"
		if none {
			remedy += ", or off"
		}
		d.bad(o, v, remedy)
	default:
		*to = v
	}
}

// fields returns the values of a list. A plain option with several words counts as a list, as
// in OpenWrt's own scripts.
func fields(o rawOption) []string {
	if !o.list {
		return strings.Fields(o.values[0])
	}
	var out []string
	for _, v := range o.values {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func (d *decoder) names(o rawOption) []string {
	var out []string
	for _, v := range fields(o) {
		if !validName(strings.ReplaceAll(strings.ReplaceAll(v, "-", "_"), ".", "_")) {
			d.bad(o, v, "use the name of a network in /etc/config/network")
			continue
		}
		out = appendNew(out, v)
	}
	return out
}

func (d *decoder) devices(o rawOption) []string {
	var out []string
	for _, v := range fields(o) {
		if !validDevice(v) {
			d.bad(o, v, deviceRemedy)
			continue
		}
		out = appendNew(out, v)
	}
	return out
}

// dnsNames takes patterns of DNS names. "off" or an empty list means none.
func (d *decoder) dnsNames(o rawOption) []string {
	var out []string
	for _, v := range fields(o) {
		if v == "off" {
			continue
		}
		if _, err := detect.NewNames([]string{v}); err != nil {
			d.bad(o, v, "use a DNS name such as tracker.example.org or *.example.org, or off")
			continue
		}
		out = appendNew(out, v)
	}
	if len(out) > detect.MaxNames {
		d.fail(o.line, "more than "+strconv.Itoa(detect.MaxNames)+" names", "use patterns such as *.example.org")
	}
	return out
}

func (d *decoder) exempt(o rawOption) {
	for _, v := range fields(o) {
		if !d.config.Exempt.add(v) {
			d.bad(o, v, "use an address, a network such as 192.168.1.0/24, or a MAC such as 00:11:22:33:44:55")
		}
	}
}

func (d *decoder) log(o rawOption) {
	var l LogClasses
	for _, v := range fields(o) {
		x, ok := ParseLogClass(v)
		if !ok {
			d.bad(o, v, "use "+logNames()+" or the letters uUtTpc")
		}
		l |= x
	}
	d.config.Log = l
}

// hasWord reports whether w is one of the words of list.
func hasWord(list, w string) bool {
	for _, x := range strings.Fields(list) {
		if x == w {
			return true
		}
	}
	return false
}

// appendNew appends v unless the list has it.
func appendNew(list []string, v string) []string {
	for _, x := range list {
		if x == v {
			return list
		}
	}
	return append(list, v)
}

// lower is strings.ToLower for ASCII. It needs no Unicode tables.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// quote shows an untrusted value on one line of printable characters.
func quote(s string) string { return strconv.QuoteToASCII(s) }
