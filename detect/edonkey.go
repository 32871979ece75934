// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// EDonkey is the network of eDonkey's servers and clients, with eMule's extensions and
// with Kad, which needs no servers: eMule, aMule, MLDonkey, Shareaza. Sources: the
// opcodes and comments of eMule and aMule, and captures of aMule 2.3.3 and MLDonkey
// 3.2.1. Numbers are little-endian.
//
// By TCP, clients log in to a server and greet each other (edonkey_tcp.go). By UDP, they
// talk to servers and to each other (edonkey_udp.go), and act as Kad nodes (kad.go). All
// of this can be obfuscated: see edonkey_hidden.go and kad_hidden.go.

var EDonkey = Protocol{
	Name:     "edonkey",
	Title:    "eDonkey",
	Programs: "eMule, aMule, MLDonkey, Shareaza",
	Datagram: edonkeyDatagram,
	First:    edonkeyFirst,
	Begins:   "\xe3\xc5",
	Flow:     kadFlow,
	Hidden:   &edonkeyHidden,
	Probes: []Probe{
		{Name: "find", Key: true, Build: kadSearch, Answered: kadFound},
		{Name: "hello", Weak: true, Build: kadGreet, Answered: kadGreeted},
		{Name: "greeting", TCP: true, Build: edonkeyGreeting, Answered: edonkeyGreeted},
		{Name: "reask", Weak: true, Build: emuleAsk, Answered: emuleAnswered},
	},
	Sift: true,
	Mode: ModeBlock,
	// The default of eMule and aMule, and that of eDonkey.
	Ports: []uint16{4662, 4661},
	// By default, eMule and aMule load their lists of servers and nodes from here.
	Names: []string{"*.emule-security.org"},
}

// The first byte of a message.
const (
	edonkeyPlain  = 0xe3
	edonkeyEMule  = 0xc5
	edonkeyPacked = 0xd4
	kadPlain      = 0xe4
	kadPacked     = 0xe5
)

func edonkeyDatagram(b []byte, f *Finding) Kind {
	if len(b) < 2 {
		return None
	}
	var read func([]byte, *Finding) Kind
	switch b[0] {
	case kadPlain, kadPacked:
		read = kadDatagram
	case edonkeyEMule:
		read = emuleDatagram
	case edonkeyPlain:
		read = edonkeyServerDatagram
	default:
		if kadShaped(b) {
			return Weak
		}
		return None
	}
	// The first two bytes of a DNS message are random, so it may begin like any of these.
	if isDNSQuery(b) || dnsHead(b, true) && dnsQuestion(b) > 0 {
		return None
	}
	return read(b, f)
}
