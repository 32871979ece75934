// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// FastTrack datagram types, see the protocol notes. The lab makes its own bytes: it tests
// package detect, so it must not use it.
const (
	typePing = 0x27
	typePong = 0x28
	typeBusy = 0x29
)

// Minimum encryption types that real clients were seen to use.
const (
	EncGiFT     = 0x29
	EncMLDonkey = 0xa9
)

// Hello is the 12 bytes with which giFT and MLDonkey open every session.
var Hello = []byte{0xfa, 0x00, 0xb6, 0x2b, 0xfa, 0xcb, 0x12, 0x38, 0x32, 0x09, 0xd2, 0x32}

// PingBytes is a client's ping: type, minimum encryption type, 80, network name, 00.
func PingBytes(enc uint32, network string) []byte {
	b := []byte{typePing, 0, 0, 0, 0, 0x80}
	binary.BigEndian.PutUint32(b[1:], enc)
	return append(append(b, network...), 0)
}

// pongBytes answers a ping as a supernode with room does.
func pongBytes(ping []byte) []byte {
	b := []byte{typePong, 0, 0, 0, 0, 0x00, 0x17, 0x3c, 0x13, 0x40, 0x0a}
	copy(b[1:5], ping[1:5])
	return append(b, ping[6:]...)
}

// busyBytes answers a ping as a supernode without room does.
func busyBytes(ping []byte) []byte {
	b := make([]byte, 13)
	b[0] = typeBusy
	copy(b[1:5], ping[1:5])
	b[5] = 1
	return b
}

func isPing(b []byte) bool {
	return len(b) >= 8 && b[0] == typePing && b[5] == 0x80 && b[len(b)-1] == 0
}

func isPong(b []byte) bool {
	return len(b) >= 13 && b[0] == typePong && b[len(b)-1] == 0
}

// PeerPorts are the ports of the supernodes, as in the captures of real clients.
var PeerPorts = []uint16{1214, 1345, 1710, 2066, 2354, 2871, 3128, 3531}

// TransferPeer is the host that serves files. It is not a supernode. It names
// TransferSupernode as its supernode, which is none of the 200.
var (
	TransferPeer      = netip.MustParseAddrPort("203.0.113.77:1214")
	TransferSupernode = netip.MustParseAddrPort("203.0.113.99:2354")
)

// peers4 are the 200 supernodes, 100 in each of two networks. All end in an even number,
// so that TransferPeer and other addresses are not among them.
func peers4() []netip.AddrPort {
	var out []netip.AddrPort
	for i := range 200 {
		net := [4]byte{198, 51, 100, byte(20 + i/2*2)}
		if i%2 == 1 {
			net = [4]byte{203, 0, 113, byte(20 + i/2*2)}
		}
		out = append(out, netip.AddrPortFrom(netip.AddrFrom4(net), PeerPorts[i*5/3%len(PeerPorts)]))
	}
	return out
}

func peers6() []netip.AddrPort {
	var out []netip.AddrPort
	for i := range 20 {
		a := Internet6.Addr().As16()
		a[13], a[15] = 1, byte(20+i)
		out = append(out, netip.AddrPortFrom(netip.AddrFrom16(a), PeerPorts[i%len(PeerPorts)]))
	}
	return out
}

// The simulated session has the sizes from a capture of a real one and meaningless
// contents. After the handshake both sides send messages: one type octet, one length
// octet and that many bytes. All is encrypted, so that it looks random.
const (
	helloLen  = 12
	replyLen  = 8 + 6 // from the supernode
	nameLen   = 6     // from the client
	listLen   = 1605  // from the supernode
	joinLen   = 19    // from the client
	handIn    = helloLen + nameLen + joinLen
	msgSearch = 's'
	msgResult = 'r'
	msgKeep   = 'k'
)

// cipher encrypts one direction of a session. As in a real session, the stream is
// different for each supernode. Both ends derive it from the supernode's address.
type cipher struct{ r *rand.ChaCha8 }

func newCipher(supernode netip.AddrPort, direction byte) cipher {
	seed := [32]byte{direction}
	copy(seed[1:], supernode.String())
	return cipher{rand.NewChaCha8(seed)}
}

// apply encrypts or decrypts the next bytes.
func (c cipher) apply(b []byte) []byte {
	pad := make([]byte, len(b))
	c.r.Read(pad)
	for i := range b {
		b[i] ^= pad[i]
	}
	return b
}

func message(kind byte, size int) []byte {
	b := make([]byte, 2+size)
	b[0], b[1] = kind, byte(size)
	return b
}
