// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// NeighbourInfo is what the kernel's neighbour table says of an address.
type NeighbourInfo struct {
	// MAC is the hardware address behind the IP address: its own, or that of the
	// gateway that it is reached by. It is zero on devices that have none, as
	// tunnels.
	MAC MAC
	// Known says that there is such a neighbour. Where it is false, the address
	// did not answer, or is not reached by the device at all.
	Known bool
	// Addrs4 is how many IPv4 addresses of the device have this MAC. There is more
	// than one behind a repeater or a second router that translates addresses; but
	// a host that changed its address has two for a while, too.
	Addrs4 int
	// Invited says that one of the flows that were asked about was opened from
	// outside, see OpenedOutside.
	Invited bool
}

const (
	// neighbourPatience is how long a host may take to answer the kernel.
	neighbourPatience = time.Second
	// neighbourStep is the pause before the table is read again the first time.
	// Each later one is twice as long.
	neighbourStep = 10 * time.Millisecond

	ndmsgLen     = 12 // struct ndmsg
	rtmsgLen     = unix.SizeofRtMsg
	ifinfomsgLen = unix.SizeofIfInfomsg

	// usable are the states of an entry whose MAC can be sent to.
	usable = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE |
		unix.NUD_PERMANENT | unix.NUD_NOARP
)

// Neighbour asks the kernel whose address addr is on the device with the index dev.
// Where it does not know yet, it has the kernel ask the link, and waits for that for
// up to a second. Nothing is sent when the routes do not lead to addr by this device.
// An error is about the device or the kernel, never about the address.
func Neighbour(dev uint32, addr Addr) (NeighbourInfo, error) {
	info, err := neighbour(dev, &addr)
	if err != nil {
		err = fmt.Errorf("neighbour table, device %d: %w", dev, err)
	}
	return info, err
}

func neighbour(dev uint32, addr *Addr) (info NeighbourInfo, err error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return info, err
	}
	defer c.Close()
	// The kernel leaves out other devices' entries, where it can (4.20).
	_ = c.SetOption(netlink.GetStrictCheck, true)
	// A table that changes fast is no error.
	_ = c.SetOption(netlink.NoENOBUFS, true)
	flags, err := deviceFlags(c, dev)
	if err != nil {
		return info, err
	}
	hop, ok, err := nextHop(c, dev, addr)
	if err != nil || !ok {
		return info, err
	}
	if flags&unix.IFF_NOARP != 0 {
		info.Known = true
		return info, nil
	}
	for waited, step := time.Duration(0), neighbourStep; ; step *= 2 {
		info, err = readNeighbours(c, dev, &hop)
		if err != nil || info.Known || waited >= neighbourPatience {
			return info, err
		}
		if waited == 0 {
			if err := resolve(c, dev, &hop); err != nil {
				return info, err
			}
		}
		step = min(step, neighbourPatience-waited)
		time.Sleep(step)
		waited += step
	}
}

// deviceFlags returns the IFF_ flags of a device.
func deviceFlags(c *netlink.Conn, dev uint32) (uint32, error) {
	replies, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request},
		Data:   appendGetLink(nil, dev),
	})
	if err != nil {
		return 0, err
	}
	if len(replies) == 0 || len(replies[0].Data) < ifinfomsgLen {
		return 0, unix.EBADMSG
	}
	return native.Uint32(replies[0].Data[8:]), nil
}

// nextHop returns the neighbour by which the device leads to addr: addr itself, or a
// gateway. ok is false when it does not lead there.
func nextHop(c *netlink.Conn, dev uint32, addr *Addr) (hop Addr, ok bool, err error) {
	replies, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request},
		Data:   appendGetRoute(nil, dev, addr),
	})
	switch {
	case errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL):
		// There is no route, or one that refuses: "prohibit", "blackhole".
		return hop, false, nil
	case err != nil:
		return hop, false, err
	case len(replies) == 0:
		return hop, false, unix.EBADMSG
	}
	r, ok := parseRoute(replies[0].Data)
	// For IPv4 the kernel takes any address for a neighbour when a device is named.
	// That it found no route shows in the table.
	if !ok || r.kind != unix.RTN_UNICAST || r.dev != dev || r.table == unix.RT_TABLE_UNSPEC {
		return hop, false, nil
	}
	if r.gateway.IsZero() {
		return *addr, true, nil
	}
	return r.gateway, true, nil
}

// readNeighbours looks a neighbour of the device up in the kernel's table.
func readNeighbours(c *netlink.Conn, dev uint32, addr *Addr) (NeighbourInfo, error) {
	entries, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETNEIGH, Flags: netlink.Request | netlink.Dump},
		Data:   appendGetNeighbours(nil, dev),
	})
	if err != nil {
		return NeighbourInfo{}, err
	}
	return neighbourAmong(entries, dev, addr), nil
}

// neighbourAmong finds a neighbour of the device among the entries, and how many
// addresses its MAC has.
func neighbourAmong(entries []netlink.Message, dev uint32, addr *Addr) (info NeighbourInfo) {
	have := map[MAC]int{}
	for _, m := range entries {
		n, ok := parseNeighbour(m.Data)
		if !ok || n.dev != dev || n.state&usable == 0 || n.mac.IsZero() {
			continue
		}
		if n.addr.Is4() {
			have[n.mac]++
		}
		if n.addr == *addr {
			info.MAC, info.Known = n.mac, true
		}
	}
	info.Addrs4 = have[info.MAC]
	return info
}

// resolve has the kernel find out the MAC of a neighbour, as for a packet to it. It
// does not wait for that.
func resolve(c *netlink.Conn, dev uint32, addr *Addr) error {
	_, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_NEWNEIGH, Flags: netlink.Request | netlink.Create | netlink.Acknowledge},
		Data:   appendUseNeighbour(nil, dev, addr),
	})
	return err
}

// familyOf returns the address family of a, its address as on the wire and the
// length of that in bits.
func familyOf(a *Addr) (family uint8, wire []byte, bits uint8) {
	if a.Is4() {
		return unix.AF_INET, a[12:], 32
	}
	return unix.AF_INET6, a[:], 128
}

func appendNative32(b []byte, typ uint16, value uint32) []byte {
	b, at := beginAttr(b, typ)
	return endAttr(native.AppendUint32(b, value), at)
}

// appendGetLink appends the body of a request for a device.
func appendGetLink(b []byte, dev uint32) []byte {
	b = append(b, make([]byte, ifinfomsgLen)...)
	native.PutUint32(b[len(b)-ifinfomsgLen+4:], dev)
	return b
}

// appendGetRoute appends the body of a request for the route to addr by a device.
func appendGetRoute(b []byte, dev uint32, addr *Addr) []byte {
	family, wire, bits := familyOf(addr)
	var flags uint32
	if family == unix.AF_INET { // IPv6 tells the table unasked, and refuses the flag
		flags = unix.RTM_F_LOOKUP_TABLE
	}
	b = append(b, family, bits, 0, 0, 0, 0, 0, 0)
	b = native.AppendUint32(b, flags)
	b = appendAttr(b, unix.RTA_DST, wire)
	return appendNative32(b, unix.RTA_OIF, dev)
}

// appendGetNeighbours appends the body of a request for all neighbours of a device.
func appendGetNeighbours(b []byte, dev uint32) []byte {
	// The index in the header would be refused.
	b = append(b, make([]byte, ndmsgLen)...)
	return appendNative32(b, unix.NDA_IFINDEX, dev)
}

// appendUseNeighbour appends the body of a message that has a neighbour be resolved.
func appendUseNeighbour(b []byte, dev uint32, addr *Addr) []byte {
	family, wire, _ := familyOf(addr)
	b = append(b, family, 0, 0, 0)
	b = native.AppendUint32(b, dev)
	b = append(b, 0, 0, unix.NTF_USE, 0)
	return appendAttr(b, unix.NDA_DST, wire)
}

// neighbourEntry is an entry of the neighbour table.
type neighbourEntry struct {
	dev   uint32
	state uint16 // unix.NUD_...
	addr  Addr
	mac   MAC // zero where there is none, or one that is not of Ethernet
}

// parseNeighbour reads a struct ndmsg and its attributes.
func parseNeighbour(b []byte) (n neighbourEntry, ok bool) {
	if len(b) < ndmsgLen {
		return n, false
	}
	n.dev, n.state = native.Uint32(b[4:]), native.Uint16(b[8:])
	b = b[ndmsgLen:]
	for {
		typ, value, rest, more := nextAttr(b)
		if !more {
			return n, !n.addr.IsZero()
		}
		switch typ {
		case unix.NDA_DST:
			n.addr = addrOf(value)
		case unix.NDA_LLADDR:
			if len(value) == len(n.mac) {
				n.mac = MAC(value)
			}
		}
		b = rest
	}
}

// routeEntry is what is needed of a route.
type routeEntry struct {
	kind    uint8 // unix.RTN_...
	table   uint32
	dev     uint32
	gateway Addr // zero for none
}

// parseRoute reads a struct rtmsg and its attributes.
func parseRoute(b []byte) (r routeEntry, ok bool) {
	if len(b) < rtmsgLen {
		return r, false
	}
	r.table, r.kind = uint32(b[4]), b[7]
	b = b[rtmsgLen:]
	for {
		typ, value, rest, more := nextAttr(b)
		if !more {
			return r, true
		}
		switch typ {
		case unix.RTA_TABLE:
			if len(value) == 4 {
				r.table = native.Uint32(value)
			}
		case unix.RTA_OIF:
			if len(value) == 4 {
				r.dev = native.Uint32(value)
			}
		case unix.RTA_GATEWAY:
			r.gateway = addrOf(value)
		case unix.RTA_VIA: // u16 family, address: of the other family
			if len(value) > 2 {
				r.gateway = addrOf(value[2:])
			}
		}
		b = rest
	}
}

// addrOf returns the address on the wire, or the zero Addr when b is none.
func addrOf(b []byte) Addr {
	switch len(b) {
	case 4:
		return AddrFrom4([4]byte(b))
	case 16:
		return Addr(b)
	}
	return Addr{}
}

const (
	// neighbourAskers is how many addresses are asked for at the same time: one
	// that nobody answers for takes a second.
	neighbourAskers = 4
	// neighbourQueue is how many more may wait.
	neighbourQueue = 16
)

// NeighbourAsker looks neighbours up elsewhere than on the caller's goroutine.
type NeighbourAsker struct {
	asks   chan neighbourAsk
	closed chan struct{}
	ended  sync.WaitGroup
}

type neighbourAsk struct {
	id    uint64
	dev   uint32
	addr  Addr
	flows [2]Flow
}

// NewNeighbourAsker returns an asker that hands what Neighbour found to answer, on one
// of its own goroutines. Answers may come in another order than they were asked for.
func NewNeighbourAsker(answer func(id uint64, info NeighbourInfo, err error)) *NeighbourAsker {
	return newNeighbourAsker(Neighbour, answer)
}

func newNeighbourAsker(look func(uint32, Addr) (NeighbourInfo, error), answer func(uint64, NeighbourInfo, error)) *NeighbourAsker {
	a := &NeighbourAsker{asks: make(chan neighbourAsk, neighbourQueue), closed: make(chan struct{})}
	for range neighbourAskers {
		a.ended.Go(func() {
			for {
				select {
				case <-a.closed:
					return
				case q := <-a.asks:
					info, err := look(q.dev, q.addr)
					for _, f := range q.flows {
						// Where the table cannot be read, nobody is invited.
						if f == (Flow{}) {
							continue
						}
						if yes, _ := OpenedOutside(f); yes {
							info.Invited = true
						}
					}
					answer(q.id, info, err)
				}
			}
		})
	}
	return a
}

// Ask has the address looked up on the device with the index dev, and the flows that are
// not zero in the connection table. The caller finds what the answer is about by the id.
// Ask never waits and does not allocate; it returns
// false, and does nothing, when too many lookups are waiting.
func (a *NeighbourAsker) Ask(id uint64, dev uint32, addr Addr, flows [2]Flow) bool {
	select {
	case a.asks <- neighbourAsk{id, dev, addr, flows}:
		return true
	default:
		return false
	}
}

// Close waits for the lookups under way, for up to a second, and drops those that
// wait. No answer comes after it. It is called once.
func (a *NeighbourAsker) Close() {
	close(a.closed)
	a.ended.Wait()
}
