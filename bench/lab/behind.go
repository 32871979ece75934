// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// Behind makes a namespace behind a host. The host translates the namespace's IPv4
// addresses (NAT), as a host of containers or virtual machines does. Close removes the
// namespace.
func (l *Lab) Behind(h *Host) (*netns.Namespace, error) {
	name := h.Name + "-in"
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("lab: ip netns add %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	l.OnClose(func() { exec.Command("ip", "netns", "del", name).Run() })
	inner, err := netns.Open(name)
	if err != nil {
		return nil, err
	}
	if err := h.Sysctl(map[string]string{"net/ipv4/ip_forward": "1"}); err != nil {
		return nil, err
	}
	if err := h.IPBatch(
		"link add behind gso_max_segs 1 type veth peer name "+HostDev+" gso_max_segs 1 netns "+name,
		"addr add 10.77.0.1/24 dev behind",
		"link set behind up",
	); err != nil {
		return nil, err
	}
	if err := inner.IPBatch(
		"link set lo up",
		"addr add 10.77.0.2/24 dev "+HostDev,
		"link set "+HostDev+" up",
		"route add default via 10.77.0.1",
	); err != nil {
		return nil, err
	}
	_, err = h.Run("iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-s", "10.77.0.0/24", "-j", "MASQUERADE")
	return inner, err
}

// Renew gives a host a new IPv6 address for its new connections, as a host with privacy
// extensions (RFC 8981) gets one from time to time. n distinguishes the addresses.
func (h *Host) Renew(n uint16) error {
	a := h.Addr6.As16()
	a[8], a[9], a[14], a[15] = 0x5a, 0x17, byte(n>>8), byte(n)
	if err := h.IPBatch(
		"addr change "+h.Addr6.String()+"/64 dev "+HostDev+" preferred_lft 0",
		"addr add "+netip.AddrFrom16(a).String()+"/64 dev "+HostDev+" nodad preferred_lft 600 valid_lft 600",
	); err != nil {
		return err
	}
	return h.Settle()
}
