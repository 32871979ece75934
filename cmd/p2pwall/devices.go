// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// lanDevices returns those of the named devices that exist now, with their
// addresses. Devices come and go: the caller asks again.
func lanDevices(names []string) ([]state.Device, error) {
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
	return out, addAddresses(out)
}

// addAddresses asks the kernel for all addresses and gives each device its own.
func addAddresses(devices []state.Device) error {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("addresses cannot be looked up: %w", err)
	}
	defer c.Close()
	messages, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETADDR, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, unix.SizeofIfAddrmsg),
	})
	if err != nil {
		return fmt.Errorf("addresses cannot be looked up: %w", err)
	}
	for _, m := range messages {
		index, own, net, ok := parseAddress(m.Data)
		if !ok {
			continue
		}
		for i := range devices {
			if d := &devices[i]; d.Index == index {
				d.Addrs = append(d.Addrs, nfq.AddrFrom(own))
				if !own.IsLinkLocalUnicast() {
					d.Prefixes = append(d.Prefixes, net)
				}
			}
		}
	}
	return nil
}

// parseAddress reads a struct ifaddrmsg and its attributes: a device's own
// address, and the network behind it. On a point-to-point link that is the other
// end's.
func parseAddress(b []byte) (index uint32, own netip.Addr, net netip.Prefix, ok bool) {
	if len(b) < unix.SizeofIfAddrmsg {
		return
	}
	bits := int(b[1])
	d, err := netlink.NewAttributeDecoder(b[unix.SizeofIfAddrmsg:])
	if err != nil {
		return
	}
	index = d.ByteOrder.Uint32(b[4:])
	var local, address netip.Addr
	for d.Next() {
		switch d.Type() {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(d.Bytes())
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(d.Bytes())
		}
	}
	if d.Err() != nil {
		return
	}
	if own = local; !own.IsValid() {
		own = address
	}
	if !address.IsValid() {
		address = own
	}
	net, err = address.Prefix(bits)
	return index, own, net, err == nil && own.IsValid()
}

// sameDevices reports whether nothing changed.
func sameDevices(a, b []state.Device) bool {
	return slices.EqualFunc(a, b, func(x, y state.Device) bool {
		return x.Index == y.Index && x.Name == y.Name &&
			slices.Equal(x.Addrs, y.Addrs) && slices.Equal(x.Prefixes, y.Prefixes)
	})
}
