// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Xunlei is the download manager Xunlei (Thunder), which loads from peers, too. Source:
// the message formats that its library for devices shows. Numbers are little-endian. Only
// the greeting between peers by TCP is recognised; what the program says to its company's
// servers is encrypted.
var Xunlei = Protocol{
	Name:     "xunlei",
	Title:    "Xunlei",
	Programs: "Xunlei, Thunder",
	First:    xunleiFirst,
	Sift:     true,
	Mode:     ModeMonitor,
}

// The greeting: the version, the length of what follows these eight bytes, the type of
// message, a number, how the file is named, the length of its hash, the hash, the file's
// size and state, the length of the peer's ID, the ID, the length of the peer's address in
// its LAN, the address as text, and the port where the peer listens.
const (
	xunleiHead      = 8
	xunleiType      = 8
	xunleiGreeting  = 100
	xunleiHash      = 14
	xunleiHashSize  = 20
	xunleiPeer      = 47
	xunleiPeerSize  = 16
	xunleiAddr      = xunleiPeer + 4 + xunleiPeerSize
	xunleiAddrMost  = 24
	xunleiLeast     = xunleiAddr + 4 + 7 + 4 - xunleiHead // newer versions have more fields
	xunleiMost      = 600
	xunleiLastMajor = 0xff
)

// xunleiBounds are the places of numbers, and their bounds.
var xunleiBounds = [...]struct{ at, least, most uint32 }{
	{0, 0x20, xunleiLastMajor},
	{4, xunleiLeast, xunleiMost},
	{xunleiHash, xunleiHashSize, xunleiHashSize},
	{xunleiPeer, xunleiPeerSize, xunleiPeerSize},
	{xunleiAddr, 0, xunleiAddrMost},
}

func xunleiFirst(b []byte, outbound bool, f *Finding) Match {
	if !outbound {
		return No
	}
	for i := range xunleiBounds {
		x := &xunleiBounds[i]
		if x.at == xunleiHash && len(b) > xunleiType && b[xunleiType] != xunleiGreeting {
			return No
		}
		if len(b) < int(x.at)+4 {
			return More
		}
		if n := le32(b[x.at:]); n < x.least || n > x.most {
			return No
		}
	}
	port := xunleiAddr + 4 + int(le32(b[xunleiAddr:]))
	switch {
	case len(b) < port+4:
		return More
	case le32(b[port:]) > 0xffff, int(le32(b[4:]))+xunleiHead < port+4:
		return No
	}
	f.Reason, f.Conduct, f.TCPPort = ReasonHello, true, le16(b[port:])
	return Yes
}
