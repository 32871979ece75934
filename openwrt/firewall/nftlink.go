// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nftConn asks nf_tables for tables and rules, without running nft.
type nftConn struct {
	c *netlink.Conn
}

func dialNFT() (*nftConn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	return &nftConn{c}, nil
}

// nftRequest is a message of nf_tables: a family, a type and attributes.
func nftRequest(family, typ int, flags netlink.HeaderFlags, attrs []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | typ),
			Flags: netlink.Request | flags,
		},
		// struct nfgenmsg: family, version, resource.
		Data: append([]byte{byte(family), unix.NFNETLINK_V0, 0, 0}, attrs...),
	}
}

// generation returns a number that changes with every change to nf_tables. The daemon's own
// changes to its sets change it too.
func (n *nftConn) generation() (uint32, error) {
	msgs, err := n.c.Execute(nftRequest(unix.AF_UNSPEC, unix.NFT_MSG_GETGEN, 0, nil))
	if err != nil {
		return 0, err
	}
	for _, m := range msgs {
		if len(m.Data) < 4 {
			continue
		}
		d, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			return 0, err
		}
		d.ByteOrder = binary.BigEndian
		for d.Next() {
			if d.Type() == unix.NFTA_GEN_ID {
				return d.Uint32(), d.Err()
			}
		}
	}
	return 0, nil
}

// ofTable asks for a table or for its contents. The attribute of the table's name has the
// number of NFTA_TABLE_NAME in all messages that have one.
func (n *nftConn) ofTable(family, typ int, flags netlink.HeaderFlags, table string) ([]netlink.Message, error) {
	e := netlink.NewAttributeEncoder()
	e.String(unix.NFTA_TABLE_NAME, table)
	attrs, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return n.c.Execute(nftRequest(family, typ, flags, attrs))
}

// hasTable reports whether a table exists.
func (n *nftConn) hasTable(family int, table string) (bool, error) {
	_, err := n.ofTable(family, unix.NFT_MSG_GETTABLE, 0, table)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// nftRule is the part of a rule that the Keeper needs.
type nftRule struct {
	_        [0]func() // makes it not comparable, which saves flash
	chain    string
	handle   uint64
	hold     bool // the rule is one of our offload rules
	offloads bool // the rule adds to a flow table
}

// rules returns the rules of a table, in their order. It returns none if the table does not
// exist.
func (n *nftConn) rules(family int, table string) ([]nftRule, error) {
	msgs, err := n.ofTable(family, unix.NFT_MSG_GETRULE, netlink.Dump, table)
	if err != nil {
		return nil, err
	}
	var out []nftRule
	for _, m := range msgs {
		// Older kernels do not filter by table.
		if r, of, err := parseNFTRule(m.Data); err != nil {
			return nil, err
		} else if of == table && int(m.Data[0]) == family {
			out = append(out, r)
		}
	}
	return out, nil
}

func parseNFTRule(data []byte) (r nftRule, table string, err error) {
	if len(data) < 4 {
		return r, "", nil
	}
	d, err := netlink.NewAttributeDecoder(data[4:])
	if err != nil {
		return r, "", err
	}
	d.ByteOrder = binary.BigEndian
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_RULE_TABLE:
			table = d.String()
		case unix.NFTA_RULE_CHAIN:
			r.chain = d.String()
		case unix.NFTA_RULE_HANDLE:
			r.handle = d.Uint64()
		case unix.NFTA_RULE_EXPRESSIONS:
			r.offloads = bytes.Contains(d.Bytes(), []byte("flow_offload\x00"))
		case unix.NFTA_RULE_USERDATA:
			r.hold = bytes.Contains(d.Bytes(), []byte(HoldComment))
		}
	}
	return r, table, d.Err()
}

// ruleHash returns a hash of a list of rules. nf_tables never uses a handle twice and never
// changes the content of a rule. So the handles in their order identify the rules.
func ruleHash(rules []nftRule) uint64 {
	h := fnv.New64a()
	var b [8]byte
	for _, r := range rules {
		binary.BigEndian.PutUint64(b[:], r.handle)
		h.Write([]byte(r.chain))
		h.Write(b[:])
	}
	return h.Sum64()
}

// takeCounters calls f with the packet count of each counter of a table, and sets the
// counters to zero.
func (n *nftConn) takeCounters(family int, table string, f func(name string, packets uint64)) error {
	msgs, err := n.ofTable(family, unix.NFT_MSG_GETOBJ_RESET, netlink.Dump, table)
	for _, m := range msgs {
		if err == nil {
			err = parseCounter(m.Data, f)
		}
	}
	return err
}

func parseCounter(data []byte, f func(name string, packets uint64)) error {
	if len(data) < 4 {
		return nil
	}
	d, err := netlink.NewAttributeDecoder(data[4:])
	if err != nil {
		return err
	}
	var name string
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_OBJ_NAME:
			name = d.String()
		case unix.NFTA_OBJ_DATA: // comes after the name
			d.Nested(func(d *netlink.AttributeDecoder) error {
				for d.Next() {
					if d.Type() == unix.NFTA_COUNTER_PACKETS && len(d.Bytes()) == 8 {
						f(name, binary.BigEndian.Uint64(d.Bytes()))
					}
				}
				return nil
			})
		}
	}
	return d.Err()
}

func (n *nftConn) close() { _ = n.c.Close() }
