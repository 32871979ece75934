// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Libp2p is the network layer of IPFS: Kubo, IPFS Desktop, and of other programs, such as
// some of blockchains. Source: the specifications of libp2p (multistream-select 1.0).
//
// By TCP, each side first names the protocol of the negotiation. A line has its length
// before it. Then the opener proposes an encryption, Noise or TLS, and all else is
// encrypted. By QUIC, everything but the name of the protocol in the key exchange looks
// like any other QUIC, and that name is encrypted too, with a key that is no secret. The
// router does not decrypt it: that would take AES and SHA-256. But by default both listen at
// port 4001. So a host that uses QUIC from or to this port is asked by TCP.
//
// The router asks for a protocol that nobody has. Only a program of libp2p names the
// negotiation and says "na".
var Libp2p = Protocol{
	Name:     "ipfs",
	Title:    "IPFS (libp2p)",
	Programs: "Kubo, IPFS Desktop",
	First:    libp2pFirst,
	Begins:   libp2pHello[:1],
	Probes: []Probe{
		{Name: "protocol", TCP: true, Build: libp2pAsk, Answered: libp2pAnswered},
	},
	Sift:  true,
	QUIC:  true,
	Mode:  ModeMonitor,
	Port:  4001,
	Ports: []uint16{4001},
	// It has no servers, but every node listens here: a host with such connections is asked
	// when the engine starts.
	Servers: []uint16{4001},
	// The first nodes that Kubo connects to.
	Names: []string{"*.bootstrap.libp2p.io", "bootstrap.libp2p.io"},
}

const (
	libp2pHello  = "\x13/multistream/1.0.0\n"
	libp2pRefuse = "\x03na\n"
	// libp2pWish is the proposal of a protocol: "/p2pwall/" and a number of 8 digits.
	libp2pWish = "\x12/p2pwall/"
)

func libp2pFirst(b []byte, outbound bool, f *Finding) Match {
	if !outbound {
		return No
	}
	m := hasPrefix(b, []byte(libp2pHello))
	if m == Yes {
		f.Reason, f.Conduct = ReasonHello, true
	}
	return m
}

func libp2pAsk(dst, _ []byte, salt uint32) int {
	const digits = "0123456789abcdef"
	n := copy(dst, libp2pHello+libp2pWish)
	for i := range 8 {
		dst[n+i] = digits[salt>>(28-4*i)&15]
	}
	dst[n+8] = '\n'
	return n + 9
}

// libp2pAnswered reports whether b names the negotiation and refuses the protocol. What
// sends back the question says neither.
func libp2pAnswered(b, _ []byte) bool {
	return string(b[:min(len(b), len(libp2pHello+libp2pRefuse))]) == libp2pHello+libp2pRefuse
}
