// SPDX-License-Identifier: GPL-2.0-or-later

// Package lan asks the kernel for the LAN's devices, their addresses and the networks
// behind them.
package lan

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// Devices returns those of the named devices that exist now, with their addresses and the
// networks behind them. Devices come and go, so the caller must ask again.
func Devices(names []string) ([]state.Device, error) {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("devices cannot be looked up: %w", err)
	}
	defer unix.Close(s)
	var out []state.Device
	for _, name := range names {
		req, err := unix.NewIfreq(name)
		if err != nil || unix.IoctlIfreq(s, unix.SIOCGIFINDEX, req) != nil {
			continue // it is not there
		}
		out = append(out, state.Device{Index: req.Uint32(), Name: name})
	}
	if len(out) == 0 {
		return nil, nil
	}
	if err := addNetworks(out); err != nil {
		return out, fmt.Errorf("addresses and routes cannot be looked up: %w", err)
	}
	return out, nil
}

// addNetworks asks the kernel for all addresses and routes and gives each device its
// own.
func addNetworks(devices []state.Device) error {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := dump(c, unix.RTM_GETADDR, unix.SizeofIfAddrmsg, func(b []byte) { addAddress(devices, b) }); err != nil {
		return err
	}
	return dump(c, unix.RTM_GETROUTE, unix.SizeofRtMsg, func(b []byte) { addRoute(devices, b) })
}

// dump requests a table of the kernel with a header of n zero bytes, and calls f with
// each entry.
func dump(c *netlink.Conn, typ netlink.HeaderType, n int, f func([]byte)) error {
	messages, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: typ, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, n),
	})
	for _, m := range messages {
		f(m.Data)
	}
	return err
}

// addAddress adds an address and its network to the device that has it. It leaves out
// link-local networks: every link has them.
func addAddress(devices []state.Device, b []byte) {
	index, own, net, ok := parseAddress(b)
	if d := deviceOf(devices, index); ok && d != nil {
		d.Addrs = append(d.Addrs, nfq.AddrFrom(own))
		if !own.IsLinkLocalUnicast() {
			d.Prefixes = append(d.Prefixes, net)
		}
	}
}

// addRoute adds the network of a route to the devices that lead there: to Routed if it is
// behind a gateway, else to Prefixes. In the second case the network is on the link, and
// the router may have no address in it. The default route is left out.
func addRoute(devices []state.Device, b []byte) {
	net, hops := parseRoute(b)
	if a := net.Addr(); net.Bits() <= 0 || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return
	}
	for _, hop := range hops {
		d := deviceOf(devices, hop.device)
		if d == nil {
			continue
		}
		to := &d.Prefixes
		if hop.gateway {
			to = &d.Routed
		}
		// The network of an address has a route as well, and is in the list already.
		if !slices.Contains(*to, net) {
			*to = append(*to, net)
		}
	}
}

func deviceOf(devices []state.Device, index uint32) *state.Device {
	for i := range devices {
		if devices[i].Index == index {
			return &devices[i]
		}
	}
	return nil
}

// parseAddress reads a struct ifaddrmsg and its attributes: a device's own address and
// its network. On a point-to-point link the network is that of the other end.
func parseAddress(b []byte) (index uint32, own netip.Addr, net netip.Prefix, ok bool) {
	if len(b) < unix.SizeofIfAddrmsg {
		return
	}
	index = binary.NativeEndian.Uint32(b[4:])
	var address netip.Addr
	nfq.EachAttr(b[unix.SizeofIfAddrmsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFA_LOCAL:
			own, _ = netip.AddrFromSlice(v)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(v)
		}
	})
	if !own.IsValid() {
		own = address
	}
	if !address.IsValid() {
		address = own
	}
	net, err := address.Prefix(int(b[1]))
	return index, own, net, err == nil && own.IsValid()
}

// routeHop is the device of a route, and whether the route goes to a gateway.
type routeHop struct {
	device  uint32
	gateway bool
}

// parseRoute reads a struct rtmsg and its attributes: the network and the hops of a
// unicast route in the main table. For any other route it returns no hops.
func parseRoute(b []byte) (net netip.Prefix, hops []routeHop) {
	if len(b) < unix.SizeofRtMsg {
		return
	}
	bits, table, kind := int(b[1]), uint32(b[4]), b[7]
	copied := binary.NativeEndian.Uint32(b[8:])&unix.RTM_F_CLONED != 0
	var hop routeHop
	nfq.EachAttr(b[unix.SizeofRtMsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.RTA_DST:
			if a, ok := netip.AddrFromSlice(v); ok {
				net, _ = a.Prefix(bits)
			}
		case unix.RTA_TABLE:
			table = number(v)
		case unix.RTA_MULTIPATH:
			hops = parseHops(v)
		default:
			hop.read(typ, v)
		}
	})
	if copied || kind != unix.RTN_UNICAST || table != unix.RT_TABLE_MAIN {
		return net, nil
	}
	if hops == nil && hop.device != 0 {
		hops = []routeHop{hop}
	}
	return net, hops
}

// parseHops reads several struct rtnexthop with attributes.
func parseHops(b []byte) (hops []routeHop) {
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			break
		}
		hop := routeHop{device: binary.NativeEndian.Uint32(b[4:])}
		nfq.EachAttr(b[unix.SizeofRtNexthop:n], hop.read)
		hops = append(hops, hop)
		b = b[min((n+3)&^3, len(b)):]
	}
	return hops
}

// read takes the device or the gateway from an attribute.
func (h *routeHop) read(typ uint16, v []byte) {
	switch typ {
	case unix.RTA_OIF:
		h.device = number(v)
	case unix.RTA_GATEWAY, unix.RTA_VIA:
		h.gateway = true
	}
}

// number returns the value of an attribute of four bytes, 0 of any other.
func number(v []byte) uint32 {
	if len(v) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}

// Same reports whether two lists of devices are equal.
func Same(a, b []state.Device) bool {
	return slices.EqualFunc(a, b, func(x, y state.Device) bool {
		return x.Index == y.Index && x.Name == y.Name &&
			slices.Equal(x.Addrs, y.Addrs) && slices.Equal(x.Prefixes, y.Prefixes) &&
			slices.Equal(x.Routed, y.Routed)
	})
}
