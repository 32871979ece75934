// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// Addresses of the lab. The internet answers for whole prefixes.
var (
	LAN4    = netip.MustParsePrefix("192.168.1.0/24")
	LAN6    = netip.MustParsePrefix("2001:db8:1::/64")
	Router4 = netip.MustParseAddr("192.168.1.1")
	Router6 = netip.MustParseAddr("2001:db8:1::1")
	// WAN4 is the router's address on the link to the internet. With Config.NAT the
	// internet sees this address.
	WAN4 = netip.MustParseAddr("100.64.0.2")
	wan6 = netip.MustParseAddr("2001:db8:64::2")

	Internet4 = []netip.Prefix{
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
	}
	Internet6 = netip.MustParsePrefix("2001:db8:ff::/48")
)

// Names of devices. They are the same in every lab.
const (
	BridgeDev = "br-lan" // the router's LAN bridge
	WANDev    = "wan"    // the router's device to the internet
	GuestDev  = "br-guest"
	HostDev   = "eth0" // a LAN host's device
	inetDev   = "eth0"
)

// RouterMAC and guestMAC are the hardware addresses of the router's LAN bridge and guest
// bridge. The other two belong to the link to the internet.
var (
	RouterMAC = [6]byte{2, 0, 0, 0, 0, 1}
	guestMAC  = [6]byte{2, 0, 0, 0, 0, 4}
	wanMAC    = [6]byte{2, 0, 0, 0, 0, 2}
	inetMAC   = [6]byte{2, 0, 0, 0, 0, 3}
)

// Config describes a lab. The zero value is a routed network with one client, one
// innocent host and all servers.
type Config struct {
	Clients int // LAN hosts named client, client2, ...; 0 means 1
	// NAT masquerades the LAN behind WAN4. Without NAT the internet sees the LAN's own
	// addresses and can tell the clients apart.
	NAT bool
	// Forward is a port (TCP and UDP) of WAN4 that the router forwards to the first
	// client. 0 means none. It needs NAT.
	Forward uint16
	// Guest adds a guest network on a second bridge of the router, with one host in it.
	Guest bool
	// NoServers leaves out the internet's servers, for programs that bring their own.
	NoServers bool
	// NoRecord leaves out the recorder, for benchmarks.
	NoRecord bool
	// NoOffload turns off segmentation offload on all links, so that every recorded
	// packet is one packet on the wire. Lost needs it.
	NoOffload bool
}

// Host is a LAN host, or another namespace with its own addresses.
type Host struct {
	*netns.Namespace
	Addr4, Addr6 netip.Addr
	MAC          [6]byte

	gateway [6]byte // hardware address of the router's side of the host's link
}

// MACText is the hardware address in the usual form.
func (h *Host) MACText() string { return macText(h.MAC) }

// Lab is a running network.
type Lab struct {
	Clients  []*Host
	Innocent *Host
	Guest    *Host // nil without Config.Guest
	Router   *Host
	Inet     *Host
	Internet *Internet // nil with Config.NoServers

	Packets *Recorder // packets on the router's LAN and WAN; nil with Config.NoRecord

	Peers  []netip.AddrPort // the 200 supernodes, IPv4
	Peers6 []netip.AddrPort // 20 more, IPv6

	spaces []*netns.Namespace
	reaper *reaper
	onEnd  []func()
	once   sync.Once
	err    error
}

var labCount atomic.Int32

// New makes a lab. It first removes labs of this package whose process is gone.
func New(cfg Config) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("lab: network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, errors.New("lab: the program ip (package iproute2) is missing")
	}
	if err := RemoveStale(); err != nil {
		return nil, err
	}
	moreNeighbours()
	if cfg.Clients == 0 {
		cfg.Clients = 1
	}
	roles := []string{"router", "inet"}
	for i := range cfg.Clients {
		if i == 0 {
			roles = append(roles, "client")
		} else {
			roles = append(roles, fmt.Sprintf("client%d", i+1))
		}
	}
	roles = append(roles, "innocent")
	if cfg.Guest {
		roles = append(roles, "guest")
	}
	suffix := ""
	if n := labCount.Add(1); n > 1 {
		suffix = fmt.Sprintf(".%d", n)
	}
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = fmt.Sprintf("p2pw%d-%s%s", os.Getpid(), r, suffix)
	}

	l := &Lab{Peers: peers4(), Peers6: peers6()}
	var err error
	if l.reaper, err = startReaper(names); err != nil {
		return nil, err
	}
	register(l)
	if err := l.build(cfg, names); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// moreNeighbours raises the kernel's limit of known neighbours, until the next boot. The limit
// counts the neighbours in all namespaces together. While a test invents thousands of hosts,
// other labs lost packets by IPv6, as no place was left for their neighbours.
func moreNeighbours() {
	for _, family := range []string{"ipv4", "ipv6"} {
		for _, limit := range []struct {
			name string
			n    int
		}{{"gc_thresh3", 1 << 15}, {"gc_thresh2", 1 << 14}} {
			file := "/proc/sys/net/" + family + "/neigh/default/" + limit.name
			b, err := os.ReadFile(file)
			if n, no := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && no == nil && n < limit.n {
				_ = os.WriteFile(file, []byte(strconv.Itoa(limit.n)), 0) // without it the labs work, too
			}
		}
	}
}

// build makes namespaces, links, routes and servers.
func (l *Lab) build(cfg Config, names []string) error {
	for _, n := range names {
		if out, err := exec.Command("ip", "netns", "add", n).CombinedOutput(); err != nil {
			return fmt.Errorf("lab: ip netns add %s: %w: %s", n, err, strings.TrimSpace(string(out)))
		}
		ns, err := netns.Open(n)
		if err != nil {
			return err
		}
		l.spaces = append(l.spaces, ns)
		quiet := map[string]string{
			"net/ipv4/conf/all/rp_filter":         "0",
			"net/ipv4/conf/default/rp_filter":     "0",
			"net/ipv6/conf/all/accept_ra":         "0",
			"net/ipv6/conf/default/accept_ra":     "0",
			"net/ipv6/conf/all/accept_dad":        "0",
			"net/ipv6/conf/default/accept_dad":    "0",
			"net/ipv6/conf/default/dad_transmits": "0",
			"net/ipv4/ping_group_range":           "0 2147483647",
		}
		if err := ns.Sysctl(quiet); err != nil {
			return err
		}
	}
	l.Router = &Host{Namespace: l.spaces[0], Addr4: Router4, Addr6: Router6, MAC: RouterMAC}
	l.Inet = &Host{Namespace: l.spaces[1], Addr4: netip.MustParseAddr("100.64.0.1"), Addr6: netip.MustParseAddr("2001:db8:64::1"), MAC: inetMAC, gateway: wanMAC}
	for i, ns := range l.spaces[2:] {
		switch {
		case i < cfg.Clients:
			l.Clients = append(l.Clients, lanHost(ns, byte(50+i)))
		case i == cfg.Clients:
			l.Innocent = lanHost(ns, 100)
		default:
			l.Guest = guestHost(ns)
		}
	}
	if err := l.wire(cfg); err != nil {
		return err
	}
	if err := l.linksUp(); err != nil {
		return err
	}
	for _, ns := range l.spaces {
		if err := ns.Settle(); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	if cfg.NAT {
		if err := l.nat(cfg.Forward); err != nil {
			return err
		}
	}
	if !cfg.NoRecord {
		var err error
		if l.Packets, err = newRecorder(l.Router.Namespace); err != nil {
			return err
		}
		l.OnClose(l.Packets.Close)
	}
	if !cfg.NoServers {
		var err error
		if l.Internet, err = newInternet(l.Inet.Namespace); err != nil {
			return err
		}
		l.OnClose(l.Internet.Close)
	}
	return nil
}

// linksUp waits until every link carries packets. The kernel notices the other end of a link
// by a work item, which waits while other labs are made or removed. What is sent before that
// is dropped.
func (l *Lab) linksUp() error {
	const patience = 30 * time.Second
	for _, ns := range l.spaces {
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			out, err := ns.Run("ip", "-br", "link")
			if err != nil {
				return err
			}
			down := slices.DeleteFunc(strings.Split(strings.TrimSpace(out), "\n"), func(line string) bool {
				f := strings.Fields(line) // name, state, address, flags
				return len(f) < 4 || f[1] == "UP" || f[1] == "UNKNOWN" || !strings.Contains(f[3], "UP")
			})
			if len(down) == 0 {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("lab: links of %s do not come up: %s", ns.Name, strings.Join(down, "; "))
			}
		}
	}
	return nil
}

func lanHost(ns *netns.Namespace, n byte) *Host {
	a6 := Router6.As16()
	a6[15] = n
	return &Host{
		Namespace: ns,
		Addr4:     netip.AddrFrom4([4]byte{192, 168, 1, n}),
		Addr6:     netip.AddrFrom16(a6),
		MAC:       [6]byte{2, 0, 0, 0, 1, n},
		gateway:   RouterMAC,
	}
}

func guestHost(ns *netns.Namespace) *Host {
	return &Host{
		Namespace: ns,
		Addr4:     netip.MustParseAddr("192.168.2.50"),
		Addr6:     netip.MustParseAddr("2001:db8:2::32"),
		MAC:       [6]byte{2, 0, 0, 0, 2, 50},
		gateway:   guestMAC,
	}
}

// bridge returns the router's device to a host. router returns the router's addresses
// there.
func (h *Host) bridge() string {
	if h.gateway == guestMAC {
		return GuestDev
	}
	return BridgeDev
}

func (h *Host) router() (v4, v6 netip.Addr) {
	if h.gateway == guestMAC {
		return netip.MustParseAddr("192.168.2.1"), netip.MustParseAddr("2001:db8:2::1")
	}
	return Router4, Router6
}

// wire makes devices, addresses and routes.
func (l *Lab) wire(cfg Config) error {
	seg := ""
	if cfg.NoOffload {
		seg = " gso_max_segs 1"
	}
	router := []string{
		"link set lo up",
		"link add " + BridgeDev + " address " + macText(RouterMAC) + " type bridge forward_delay 0 mcast_snooping 0",
		"link add " + WANDev + seg + " address " + macText(wanMAC) + " type veth peer name " + inetDev + seg + " address " + macText(inetMAC) + " netns " + l.Inet.Name,
		"addr add 192.168.1.1/24 dev " + BridgeDev,
		"addr add 2001:db8:1::1/64 dev " + BridgeDev + " nodad",
		"addr add 100.64.0.2/30 dev " + WANDev,
		"addr add 2001:db8:64::2/64 dev " + WANDev + " nodad",
		"link set " + BridgeDev + " up",
		"link set " + WANDev + " up",
	}
	hosts := append(append([]*Host{}, l.Clients...), l.Innocent)
	if l.Guest != nil {
		hosts = append(hosts, l.Guest)
		router = append(router,
			"link add "+GuestDev+" address "+macText(guestMAC)+" type bridge forward_delay 0 mcast_snooping 0",
			"addr add 192.168.2.1/24 dev "+GuestDev,
			"addr add 2001:db8:2::1/64 dev "+GuestDev+" nodad",
			"link set "+GuestDev+" up")
	}
	for i, h := range hosts {
		port := fmt.Sprintf("lan%d", i)
		router = append(router,
			"link add "+port+seg+" type veth peer name "+HostDev+seg+" address "+macText(h.MAC)+" netns "+h.Name,
			"link set "+port+" master "+h.bridge()+" up")
	}
	// The neighbours are entered in advance. While the kernel resolves an address it
	// queues packets in a short queue, and a flood would push the packets of other hosts
	// out of it.
	routes := []string{
		"route add default via 100.64.0.1",
		"route add ::/0 via 2001:db8:64::1",
	}
	neighbours := func(dev string, mac [6]byte, addrs ...netip.Addr) (lines []string) {
		for _, a := range addrs {
			lines = append(lines, "neigh replace "+a.String()+" lladdr "+macText(mac)+" dev "+dev+" nud permanent")
		}
		return lines
	}
	routes = append(routes, neighbours(WANDev, inetMAC, l.Inet.Addr4, l.Inet.Addr6)...)
	for _, h := range hosts {
		routes = append(routes, neighbours(h.bridge(), h.MAC, h.Addr4, h.Addr6)...)
	}
	inet := []string{
		"link set lo up",
		"addr add 100.64.0.1/30 dev " + inetDev,
		"addr add 2001:db8:64::1/64 dev " + inetDev + " nodad",
		"link set " + inetDev + " up",
		"route add 2001:db8:1::/64 via 2001:db8:64::2",
		"route add 2001:db8:2::/64 via 2001:db8:64::2",
		"route add local " + Internet6.String() + " dev lo",
	}
	if !cfg.NAT {
		inet = append(inet, "route add 192.168.1.0/24 via 100.64.0.2", "route add 192.168.2.0/24 via 100.64.0.2")
	}
	for _, p := range Internet4 {
		inet = append(inet, "route add local "+p.String()+" dev lo")
	}
	inet = append(inet, neighbours(inetDev, wanMAC, WAN4, wan6)...)
	// The router is first, because it makes the devices of all others. Its routes come
	// later: they need the link to be up at both ends.
	if err := l.Router.IPBatch(router...); err != nil {
		return err
	}
	if err := l.Inet.IPBatch(inet...); err != nil {
		return err
	}
	if err := l.Router.IPBatch(routes...); err != nil {
		return err
	}
	for _, h := range hosts {
		router4, router6 := h.router()
		err := h.IPBatch(append([]string{
			"link set lo up",
			"link set " + HostDev + " up",
			fmt.Sprintf("addr add %s/24 dev %s", h.Addr4, HostDev),
			fmt.Sprintf("addr add %s/64 dev %s nodad", h.Addr6, HostDev),
			"route add default via " + router4.String(),
			"route add ::/0 via " + router6.String(),
		}, neighbours(HostDev, h.gateway, router4, router6)...)...)
		if err != nil {
			return err
		}
	}
	if err := l.Inet.Sysctl(map[string]string{"net/ipv6/ip_nonlocal_bind": "1"}); err != nil {
		return err
	}
	return l.Router.Sysctl(map[string]string{
		"net/ipv4/ip_forward":                "1",
		"net/ipv6/conf/all/forwarding":       "1",
		"net/netfilter/nf_conntrack_acct":    "1",
		"net/bridge/bridge-nf-call-iptables": "0", "net/bridge/bridge-nf-call-ip6tables": "0",
		"net/bridge/bridge-nf-call-arptables": "0",
	})
}

// nat masquerades the LAN, with iptables or, if that is missing, with nft.
func (l *Lab) nat(forward uint16) error {
	client := l.Clients[0].Addr4.String()
	port := strconv.Itoa(int(forward))
	if _, err := exec.LookPath("iptables"); err == nil {
		cmds := [][]string{{"-w", "-t", "nat", "-A", "POSTROUTING", "-o", WANDev, "-j", "MASQUERADE"}}
		if forward != 0 {
			for _, p := range []string{"tcp", "udp"} {
				cmds = append(cmds, []string{"-w", "-t", "nat", "-A", "PREROUTING", "-i", WANDev, "-p", p, "--dport", port, "-j", "DNAT", "--to-destination", client})
			}
		}
		for _, c := range cmds {
			if _, err := l.Router.Run("iptables", c...); err != nil {
				return err
			}
		}
		return nil
	}
	rules := "table ip labnat {\n chain post { type nat hook postrouting priority srcnat; oifname " + WANDev + " masquerade; }\n"
	if forward != 0 {
		rules += " chain pre { type nat hook prerouting priority dstnat; iifname " + WANDev + " meta l4proto { tcp, udp } th dport " + port + " dnat to " + client + "; }\n"
	}
	cmd := l.Router.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules + "}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("lab: nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Firewall makes the router drop packets from the internet unless they belong to a
// connection from inside or to Config.Forward, as OpenWrt's firewall does. It needs
// iptables.
func (l *Lab) Firewall() error { return l.Router.onlyAsked("FORWARD", WANDev) }

// Firewall makes the host drop packets that do not belong to its own connections, as a
// desktop's firewall does. It needs iptables.
func (h *Host) Firewall() error { return h.onlyAsked("INPUT", HostDev) }

// onlyAsked adds rules to the end of a chain, for packets that come in from a device.
func (h *Host) onlyAsked(chain, dev string) error {
	for tool, rules := range map[string][]string{
		"iptables":  {"-m conntrack --ctstate ESTABLISHED,RELATED,DNAT -j ACCEPT", "-j DROP"},
		"ip6tables": {"-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "-p icmpv6 -j ACCEPT", "-j DROP"},
	} {
		for _, rule := range rules {
			args := append([]string{"-w", "-A", chain, "-i", dev}, strings.Fields(rule)...)
			if _, err := h.Run(tool, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// OnClose registers a function that Close calls. The last one registered is called first.
func (l *Lab) OnClose(f func()) { l.onEnd = append(l.onEnd, f) }

// Close ends everything that runs in the lab and removes the lab. It may be called twice.
func (l *Lab) Close() error {
	l.once.Do(func() {
		for i := len(l.onEnd) - 1; i >= 0; i-- {
			l.onEnd[i]()
		}
		for _, ns := range l.spaces {
			ns.Close()
		}
		l.err = l.reaper.end()
		unregister(l)
	})
	return l.err
}

func macText(m [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// reaper is a child process that removes the namespaces and kills what runs in them, as
// soon as its standard input ends: at Close, or when this process ends for any reason.
type reaper struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	names []string
}

// reaperScript does not kill the lab's own process ($1), which may have a thread in a
// namespace at that moment.
const reaperScript = `trap '' INT TERM HUP
cat >/dev/null
self=$1; shift
for n in "$@"; do
	[ -e "` + netns.Dir + `/$n" ] || continue
	for p in $(ip netns pids "$n" 2>/dev/null); do
		[ "$p" = "$self" ] || kill -9 "$p" 2>/dev/null
	done
	ip netns del "$n" 2>/dev/null
done`

func startReaper(names []string) (*reaper, error) {
	args := append([]string{"-c", reaperScript, "reaper", strconv.Itoa(os.Getpid())}, names...)
	cmd := exec.Command("sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return &reaper{cmd, stdin, names}, nil
}

func (r *reaper) end() error {
	r.stdin.Close()
	r.cmd.Wait() // the exit code says nothing; the check below counts
	for _, n := range r.names {
		if _, err := os.Stat(netns.Dir + "/" + n); err == nil {
			return fmt.Errorf("lab: namespace %s was left behind", n)
		}
	}
	return nil
}

// RemoveStale removes the namespaces of labs whose process is gone, and ends the programs
// that still run in them.
func RemoveStale() error {
	entries, err := os.ReadDir(netns.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var stale []string
	for _, e := range entries {
		if pid, ok := labPid(e.Name()); ok && unix.Kill(pid, 0) == unix.ESRCH {
			stale = append(stale, e.Name())
		}
	}
	if len(stale) == 0 {
		return nil
	}
	r, err := startReaper(stale)
	if err != nil {
		return err
	}
	return r.end()
}

// labPid reads the process id from the name of a lab's namespace.
func labPid(name string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, "p2pw")
	if !ok {
		return 0, false
	}
	num, _, ok := strings.Cut(rest, "-")
	if !ok {
		return 0, false
	}
	pid, err := strconv.Atoi(num)
	return pid, err == nil && pid > 1 && strconv.Itoa(pid) == num
}
