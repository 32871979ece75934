// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
	"github.com/p2pwall/p2pwall/openwrt/program"
)

// Level is the severity of a finding.
type Level string

// The levels: nothing to do; works, but not as it should; cannot work.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
)

// String returns the level's name.
func (l Level) String() string { return string(l) }

// Finding is one result of "p2pwall check". What and Remedy are English. Programs that show
// them in another language use the codes with their arguments.
type Finding struct {
	Level   Level
	What    string
	Code    string // of What; "" if it has none
	Args    []string
	Remedy  string // what to do, "" for LevelOK
	Fix     string // code of Remedy
	FixArgs []string
}

// ExitCode is the exit status of "p2pwall check": 0 if all is well, 1 with warnings, 2 if the
// wall cannot work.
func ExitCode(f []Finding) int {
	code := 0
	for _, x := range f {
		switch x.Level {
		case LevelWarning:
			code = max(code, 1)
		case LevelError:
			code = 2
		}
	}
	return code
}

// Findings examines the machine that the configuration is for. It changes nothing for good:
// to find out what the kernel can do, it loads the iptables rules into chains that no rule
// jumps to, and deletes them again.
func Findings(c *config.Config) []Finding {
	m := &machine{c: c, tool: program.Run, conntrack: nfq.CheckConntrack}
	m.all()
	return m.found
}

// machine is the subject of the findings. Tests make their own.
type machine struct {
	c    *config.Config
	root string // path before /proc and /sys
	tool func(input, name string, args ...string) (string, error)
	// conntrack tries to read the connection table.
	conntrack func() error
	found     []Finding

	target  firewall.Target
	present []string  // the LAN devices that exist
	ruleset string    // output of nft
	filter  [2]string // tables of the legacy iptables and ip6tables
	saves   [2]string // all tables of iptables and ip6tables
	ipRules string    // of both families
	ctinfo  string    // the actions of tc
	qdiscs  string
}

// saying is a sentence: a code for translations, and its English text with an argument for
// each %s.
type saying struct {
	code, text string
	args       []string
}

func say(code, text string, args ...string) *saying { return &saying{code, text, args} }

// plain returns a sentence without a code: the message of another program, or a command. Both
// are the same in every language.
func plain(text string) *saying { return &saying{text: text} }

// String returns the sentence in English.
func (s *saying) String() string {
	out, rest := "", s.text
	for _, a := range s.args {
		before, after, _ := strings.Cut(rest, "%s")
		out += before + a
		rest = after
	}
	return out + rest
}

func (m *machine) add(l Level, remedy, what *saying) {
	m.found = append(m.found, Finding{l, what.String(), what.code, what.args, remedy.String(), remedy.code, remedy.args})
}

func (m *machine) ok(what *saying)           { m.add(LevelOK, plain(""), what) }
func (m *machine) warn(remedy, what *saying) { m.add(LevelWarning, remedy, what) }
func (m *machine) fail(remedy, what *saying) { m.add(LevelError, remedy, what) }

// explained adds a finding from an error of package firewall. The error includes the remedy.
func (m *machine) explained(l Level, err error) {
	what, code, remedy := firewall.SplitRemedy(err)
	m.add(l, say(code, remedy), plain(what))
}

// all runs every check.
func (m *machine) all() {
	m.settings()
	m.lan()
	m.routing()
	if !m.admin() {
		return
	}
	if m.backend() {
		m.queue()
		m.trial()
		m.cutting()
	}
	m.accounting()
	m.readRules()
	m.inbound()
	m.offload()
	m.marks()
	m.marked()
	m.policies()
	m.bridge()
}

// settings checks what the configuration switches off.
func (m *machine) settings() {
	if !m.c.Enabled {
		m.warn(plain("uci set p2pwall.main.enabled=1"), say("off", "the wall is switched off in the configuration"))
	}
	if !m.c.Active() {
		m.warn(say("set-mode", "set \"mode\" of a protocol section to block"), say("no-protocol", "every protocol is off: nothing is looked for"))
	}
}

// file returns the content of a file in /proc or /sys, and whether it exists.
func (m *machine) file(path string) (string, bool) {
	b, err := os.ReadFile(m.root + path)
	return strings.TrimSpace(string(b)), err == nil
}

// admin reports whether this process may change rules.
func (m *machine) admin() bool {
	text, _ := m.file("/proc/thread-self/status")
	for _, l := range strings.Split(text, "\n") {
		if v, found := strings.CutPrefix(l, "CapEff:"); found {
			caps, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			if err == nil && caps>>unix.CAP_NET_ADMIN&1 == 1 {
				return true
			}
		}
	}
	m.fail(say("root", "run as root"), say("no-privilege", "without CAP_NET_ADMIN nothing can be said about rules, and no rule can be loaded"))
	return false
}

// lan checks the LAN devices.
func (m *machine) lan() {
	devices, missing, err := m.c.LANDevices()
	if errs, ok := err.(config.Errors); ok {
		for _, e := range errs {
			e := *e
			remedy := e.Remedy
			e.Remedy = ""
			m.warn(plain(remedy), plain(e.Error()))
		}
	}
	m.target.Devices = devices
	if len(devices) == 0 {
		m.fail(say("name-device", "name one with \"list device\", or a network of /etc/config/network with \"list network\""),
			say("no-device", "no LAN device is known"))
		return
	}
	for _, n := range missing {
		m.warn(say("bring-up", "check its name, or bring it up; without the service %s is not written: use \"list device\"", m.c.DevicesFile),
			say("network-without-device", "the network %s has no device", n))
	}
	var good []string
	for _, d := range devices {
		if !m.deviceExists(d) {
			m.warn(say("device-name", "check its name with \"ip link\""), say("device-missing", "the LAN device %s does not exist (yet)", d))
			continue
		}
		if up, ok := m.file("/sys/class/net/" + d + "/master/ifindex"); ok && up != "" {
			bridge := "its bridge"
			if l, err := os.Readlink(m.root + "/sys/class/net/" + d + "/master"); err == nil {
				bridge = l[strings.LastIndexByte(l, '/')+1:]
			}
			m.warn(say("name-bridge", "name %s instead", bridge),
				say("bridge-port", "the LAN device %s is a port of %s: packets seem to come from that", d, bridge))
			continue
		}
		good = append(good, d)
	}
	m.present = good
	if good != nil {
		m.ok(say("lan", "LAN: %s", strings.Join(good, ", ")))
	}
}

// deviceExists asks the kernel. It does not read /sys, which may belong to another network
// namespace.
func (m *machine) deviceExists(name string) bool {
	if m.root != "" {
		_, ok := m.file("/sys/class/net/" + name + "/ifindex")
		return ok
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	return err == nil && unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr) == nil
}

// routing checks whether the machine forwards packets, and over which devices.
func (m *machine) routing() {
	v4, _ := m.file("/proc/sys/net/ipv4/ip_forward")
	if v4 != "1" {
		m.warn(plain("sysctl -w net.ipv4.ip_forward=1, and in /etc/sysctl.conf"), say("no-forward", "this machine does not forward IPv4"))
	}
	for _, w := range m.wan(false) {
		for _, d := range m.target.Devices {
			if w == d {
				m.warn(say("only-lan", "name only devices of the LAN; a bridge that holds LAN and WAN ports cannot be watched"),
					say("route-by-lan", "the default route goes through %s, which is a LAN device: traffic within the LAN is never touched", w))
			}
		}
	}
}

// wan returns the devices of the default routes.
func (m *machine) wan(six bool) []string {
	var out []string
	path := "/proc/thread-self/net/route"
	if six {
		path = "/proc/thread-self/net/ipv6_route"
	}
	text, _ := m.file(path)
	for _, l := range strings.Split(text, "\n") {
		f := strings.Fields(l)
		device := ""
		switch {
		case !six && len(f) >= 8 && f[1] == "00000000" && f[7] == "00000000":
			device = f[0]
		case six && len(f) == 10 && strings.Trim(f[0]+f[1], "0") == "" && f[9] != "lo":
			device = f[9]
		}
		if device != "" && !slices.Contains(out, device) {
			out = append(out, device)
		}
	}
	return out
}

// backend resolves the backend and the sets.
func (m *machine) backend() bool {
	t, notes, err := firewall.Detect(m.c)
	t.Devices = m.target.Devices
	m.target = t
	if err != nil {
		m.explained(LevelError, err)
		return false
	}
	m.ok(say("backend", "backend %s, sets %s", string(t.Backend), string(t.Sets)))
	for _, n := range notes {
		m.explained(LevelWarning, errors.New(n))
	}
	if t.Backend == config.BackendIPTables && !program.Have("ip6tables-restore") {
		if on, _ := m.file("/proc/sys/net/ipv6/conf/all/forwarding"); on == "1" {
			fix := &firewall.Remedies[firewall.RemedyIP6Tables]
			m.warn(say(fix.Code, fix.Text), say("no-ip6tables", "IPv6 is forwarded and not watched: there is no ip6tables"))
		}
	}
	return true
}

// queue checks whether the kernel can pass packets to a program.
func (m *machine) queue() {
	if _, ok := m.file("/proc/thread-self/net/netfilter/nfnetlink_queue"); ok {
		m.ok(say("queue", "the kernel has NFQUEUE"))
		return
	}
	release, _ := m.file("/proc/sys/kernel/osrelease")
	for _, dir := range []string{"/", "/kernel/net/netfilter/"} {
		for _, end := range []string{"", ".xz", ".zst", ".gz"} {
			if _, err := os.Stat(m.root + "/lib/modules/" + release + dir + "nfnetlink_queue.ko" + end); err == nil {
				m.ok(say("queue-module", "the kernel has NFQUEUE as a module"))
				return
			}
		}
	}
	m.fail(say("install-queue", "install kmod-nfnetlink-queue (OpenWrt), or: modprobe nfnetlink_queue"),
		say("no-queue", "the kernel has no NFQUEUE (nfnetlink_queue)"))
}

// trial lets the kernel check the same rules that the daemon would load.
func (m *machine) trial() {
	if len(m.target.Devices) == 0 {
		return
	}
	r, err := firewall.MakeRules(m.c, m.target)
	if err != nil {
		m.fail(say("correct", "correct the configuration"), plain(err.Error()))
		return
	}
	if r.NFT != "" {
		if _, err := m.tool(r.NFT, "nft", "-c", "-f", "-"); err != nil {
			// If the present table does not fit, the daemon replaces it.
			if _, again := m.tool(firewall.RecreateNFT(r.NFT), "nft", "-c", "-f", "-"); again != nil {
				m.fail(say("same-versions", "install nftables and kmod-nft-queue in the versions of this system"),
					say("rules-refused", "nft does not take the rules: %s", err.Error()))
			}
		}
	}
	for _, err := range firewall.TryIPTables(r) {
		m.explained(LevelError, err)
	}
}

// cutting checks whether the machine can cut connections that exist before a client is found.
func (m *machine) cutting() {
	if !m.c.SiftsIn(config.ModeBlock) && !m.c.SiftsIn(config.ModeMark) && !m.c.Quiet(config.ModeBlock) {
		return
	}
	if m.target.Sets == config.SetsOff {
		m.warn(say("set-sets", "set sets to auto"), say("no-sets", "without sets in the kernel only what is recognised when it begins is cut: "+
			"transfers that are going on already, and encrypted ones, pass"))
	}
	if err := m.conntrack(); err != nil {
		m.warn(say("install-conntrack-netlink", "install kmod-nf-conntrack-netlink (OpenWrt), or: modprobe nf_conntrack_netlink"),
			say("no-conntrack-netlink", "connections cannot be changed (%s): what began before a client is found may go on past the rules", err.Error()))
	}
}

// accounting checks the packet counters. The rules use them to recognise the first packets of
// a connection.
func (m *machine) accounting() {
	on, ok := m.file("/proc/sys/net/netfilter/nf_conntrack_acct")
	switch {
	case !ok:
		m.warn(say("install-conntrack", "install kmod-nf-conntrack (OpenWrt), or: modprobe nf_conntrack"),
			say("no-conntrack", "connections are not tracked (yet): only connection attempts and small UDP can be looked at"))
	case on == "0":
		m.warn(plain("sysctl -w net.netfilter.nf_conntrack_acct=1, and in /etc/sysctl.conf"),
			say("not-counted", "packets of connections are not counted (nf_conntrack_acct=0): the rules turn it on, but more packets of connections that are open by then go through the queue"))
	}
}

// readRules reads the firewall's rules once.
func (m *machine) readRules() {
	if program.Have("nft") {
		text, err := m.tool("", "nft", "-t", "list", "ruleset")
		if err != nil {
			text, _ = m.tool("", "nft", "list", "ruleset")
		}
		m.ruleset = text
	}
	for i, name := range []string{"iptables", "ip6tables"} {
		if program.Have(name + "-save") {
			m.saves[i], _ = m.tool("", name+"-save")
		}
		if firewall.IsLegacy(name) {
			m.filter[i] = m.saves[i]
		}
	}
	for _, family := range []string{"-4", "-6"} {
		if program.Have("ip") {
			rules, _ := m.tool("", "ip", family, "rule", "show")
			m.ipRules += rules
		}
	}
	if program.Have("tc") {
		m.ctinfo, _ = m.tool("", "tc", "actions", "list", "action", "ctinfo")
		m.qdiscs, _ = m.tool("", "tc", "qdisc", "show")
	}
}

// marks checks who else uses our bits of the mark.
func (m *machine) marks() {
	var others markUses
	others.nft(m.ruleset, func(family, name string) bool {
		// Skip tables made by iptables: the output of iptables-save is more exact.
		i := 0
		if family == "ip6" {
			i = 1
		}
		return family != "inet" && m.filter[i] == "" && strings.Contains(m.saves[i], "*"+name+"\n")
	})
	others.iptables("iptables", m.saves[0])
	others.iptables("ip6tables", m.saves[1])
	others.rules(m.ipRules)
	others.ctinfo(m.ctinfo)
	mask := m.c.MarkMask
	used := false
	for _, who := range others.who {
		both := others.bits[who] & mask
		if both == 0 {
			continue
		}
		used = true
		free := others.free(nfq.MarkBits)
		shared := say("mark", "%s uses bits of the mark that the wall uses, too: %s", who, nfq.FormatMark(both))
		switch {
		case others.bits[who] == wholeMark:
			m.warn(say("use-mask", "let it use bits of its own only, with a mask"),
				say("whole-mark", "%s uses the whole mark, also the bits that the wall uses (%s)", who, nfq.FormatMark(mask)))
		case free == 0:
			m.warn(say("fewer-bits", "let it use fewer bits"), shared)
		default:
			m.warn(say("other-bits", "choose other bits: %s",
				"uci set p2pwall.main.mark="+nfq.FormatMark(free)+"; uci commit p2pwall; service p2pwall restart"), shared)
		}
	}
	if !used {
		m.ok(say("mark-free", "nothing else uses the bits of the mark that the wall uses (%s)", nfq.FormatMark(mask)))
	}
}

// inbound checks whether the firewall lets connections from outside in. If it does, a client
// needs no outgoing connections of its own.
func (m *machine) inbound() {
	m.inboundOf(false)
	if on, _ := m.file("/proc/sys/net/ipv6/conf/all/forwarding"); on == "1" {
		m.inboundOf(true)
	}
}

func (m *machine) inboundOf(six bool) {
	remedy := say("reject-wan", "let the firewall reject what comes from the WAN and answers nothing "+
		"(OpenWrt: option forward REJECT in the defaults and the wan zone of /etc/config/firewall)")
	proto, table := "IPv4", 0
	if six {
		proto, table = "IPv6", 1
	}
	wan := m.wan(six)
	if len(wan) == 0 && six && len(m.wan(false)) > 0 {
		// Most such lines never get IPv6, so this is no warning.
		m.ok(say("line-without-ipv6", "the line has no IPv6: nothing comes in by it"))
		return
	}
	if len(wan) == 0 {
		m.warn(say("again", "run the check again when the line is up"),
			say("no-default-route", "cannot tell whether inbound %s connections are blocked: there is no default route", proto))
		return
	}
	for _, in := range wan {
		for _, out := range m.present {
			if in == out {
				continue
			}
			p := inboundPacket{in, out, six}
			o := max(parseNFT(m.ruleset, p).inbound(), parseIPTables(m.filter[table], p).inbound())
			switch o {
			case outcomeClosed:
				m.ok(say("inbound-blocked", "inbound %s connections from %s to %s are blocked", proto, in, out))
			case outcomeUnknown:
				m.warn(remedy, say("inbound-unknown", "cannot tell whether inbound %s connections from %s to %s are blocked: the rules are too special", proto, in, out))
			default:
				m.warn(remedy, say("inbound-open", "inbound %s connections from %s to %s are not blocked", proto, in, out))
			}
		}
	}
}

// offload checks whether flows bypass the rules.
func (m *machine) offload() {
	const off = "uci set firewall.@defaults[0].flow_offloading=0; uci commit firewall; service firewall restart"
	table, hardware := "", false
	var with []string
	for _, l := range strings.Split(m.ruleset, "\n") {
		w := strings.Fields(l)
		switch {
		case len(w) >= 3 && w[0] == "table":
			table = w[1] + " " + w[2]
		case len(w) >= 2 && w[0] == "flowtable":
			if !slices.Contains(with, table) {
				with = append(with, table)
			}
		case len(w) >= 2 && w[0] == "flags" && strings.HasPrefix(w[1], "offload"):
			hardware = true
		}
	}
	for _, t := range with {
		switch {
		case m.c.Offload == config.OffloadLeave:
			m.warn(say("hold", "set offload to hold, or: %s", off), say("offload", "flow offload (table %s) hides connections from the wall", t))
		case t != "inet fw4" || m.target.Backend != config.BackendNFT:
			m.warn(plain(off), say("offload-not-fw4", "flow offload (table %s) hides connections from the wall: it can be held back only for fw4 with the nft backend", t))
		case hardware:
			m.warn(say("when-missed", "when clients are missed: %s",
				"uci set firewall.@defaults[0].flow_offloading_hw=0; uci commit firewall; service firewall restart"),
				say("offload-hardware", "flow offload is done in hardware: connections are held back until they are decided, which was not tried on every device"))
		default:
			m.ok(say("offload-held", "flow offload: connections are held back until they are decided"))
		}
	}
	for _, f := range m.filter {
		if strings.Contains(f, "FLOWOFFLOAD") {
			m.warn(plain(off), say("offload-iptables", "flow offload (iptables) hides connections from the wall"))
			break
		}
	}
}

// bridge checks whether iptables sees packets within a bridge.
func (m *machine) bridge() {
	on, _ := m.file("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if on == "1" && m.target.Backend == config.BackendIPTables {
		m.warn(plain("sysctl -w net.bridge.bridge-nf-call-iptables=0, unless something else needs it"),
			say("bridge", "packets within a bridge go through iptables too (bridge-nf-call-iptables=1): the wall leaves them alone, but it costs time"))
	}
}
