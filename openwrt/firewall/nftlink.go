// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/nfq"
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

// nfgenLen is the length of struct nfgenmsg: family, version, resource.
const nfgenLen = 4

// ask sends a request of nf_tables, and calls f with each answer that has attributes. The
// attribute of the table's name has the number of NFTA_TABLE_NAME in all messages that have
// one.
func (n *nftConn) ask(family, typ int, flags netlink.HeaderFlags, table string, f func(b []byte)) error {
	body := []byte{byte(family), unix.NFNETLINK_V0, 0, 0}
	if table != "" {
		body = nfq.AppendAttrString(body, unix.NFTA_TABLE_NAME, table)
	}
	answers, err := n.c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | typ), Flags: netlink.Request | flags},
		Data:   body,
	})
	for _, m := range answers {
		if len(m.Data) > nfgenLen {
			f(m.Data)
		}
	}
	return err
}

// generation returns a number that changes with every change to nf_tables. The daemon's own
// changes to its sets change it too.
func (n *nftConn) generation() (gen uint32, err error) {
	err = n.ask(unix.AF_UNSPEC, unix.NFT_MSG_GETGEN, 0, "", func(b []byte) {
		nfq.EachAttr(b[nfgenLen:], func(typ uint16, v []byte) {
			if typ == unix.NFTA_GEN_ID && len(v) == 4 {
				gen = binary.BigEndian.Uint32(v)
			}
		})
	})
	return gen, err
}

// hasTable reports whether a table exists.
func (n *nftConn) hasTable(family int, table string) (bool, error) {
	err := n.ask(family, unix.NFT_MSG_GETTABLE, 0, table, func([]byte) {})
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
func (n *nftConn) rules(family int, table string) (out []nftRule, err error) {
	err = n.ask(family, unix.NFT_MSG_GETRULE, netlink.Dump, table, func(b []byte) {
		// Older kernels do not filter by table.
		if r, of := parseNFTRule(b); of == table && int(b[0]) == family {
			out = append(out, r)
		}
	})
	return out, err
}

func parseNFTRule(b []byte) (r nftRule, table string) {
	nfq.EachAttr(b[nfgenLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_RULE_TABLE:
			table = nftName(v)
		case unix.NFTA_RULE_CHAIN:
			r.chain = nftName(v)
		case unix.NFTA_RULE_HANDLE:
			if len(v) == 8 {
				r.handle = binary.BigEndian.Uint64(v)
			}
		case unix.NFTA_RULE_EXPRESSIONS:
			r.offloads = bytes.Contains(v, []byte("flow_offload\x00"))
		case unix.NFTA_RULE_USERDATA:
			r.hold = bytes.Contains(v, []byte(HoldComment))
		}
	})
	return r, table
}

// nftName returns the text of an attribute, which ends with a zero byte.
func nftName(v []byte) string { return strings.TrimSuffix(string(v), "\x00") }

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
	return n.ask(family, unix.NFT_MSG_GETOBJ_RESET, netlink.Dump, table, func(b []byte) {
		var name string
		nfq.EachAttr(b[nfgenLen:], func(typ uint16, v []byte) {
			switch typ {
			case unix.NFTA_OBJ_NAME:
				name = nftName(v)
			case unix.NFTA_OBJ_DATA: // comes after the name
				nfq.EachAttr(v, func(typ uint16, v []byte) {
					if typ == unix.NFTA_COUNTER_PACKETS && len(v) == 8 {
						f(name, binary.BigEndian.Uint64(v))
					}
				})
			}
		})
	})
}

func (n *nftConn) close() { _ = n.c.Close() }
