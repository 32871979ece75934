// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "slices"

// Kind is how much a payload says.
type Kind uint8

const (
	// None: the payload is not of the protocol.
	None Kind = iota
	// Weak: it fits, but is too short to say so alone; it counts only
	// towards or from a known peer.
	Weak
	// Query: a client asks a peer and waits for an answer.
	Query
	// Reply: a client answers a query.
	Reply
	// Session: a TCP connection of the protocol.
	Session
)

// Reason names what was recognised, for logs and the status page.
type Reason uint8

// The reasons a host is held for a client.
const (
	ReasonNone      Reason = iota
	ReasonPing             // it pinged a peer
	ReasonPong             // it answered a ping
	ReasonPeer             // it went to a known peer
	ReasonHello            // it opened a session
	ReasonTransfer         // clear-text HTTP of a transfer
	ReasonPush             // a transfer over a connection from outside
	ReasonProbe            // it answered a probe
	ReasonAnnounce         // it asked a tracker
	ReasonLocal            // it looked for peers in the LAN
	ReasonEncrypted        // an encrypted session, and more that speaks for it
	ReasonName             // it asked for a name that is listed
	ReasonFlow             // a flow of the protocol that was going on already
	ReasonMapping          // it had the router open a port
	ReasonMany             // it spoke to many addresses from one port
	ReasonHandshake        // it went on with an encrypted handshake as only it can
)

var reasonNames = [...]string{
	"", "ping", "pong", "peer", "hello", "http", "push", "probe", "announce", "local",
	"encrypted", "name", "flow", "mapping", "many", "handshake",
}

// String returns the short name that the control socket uses.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// Endpoint is an address (IPv4 in its mapped form ::ffff:a.b.c.d) and a port.
type Endpoint struct {
	Addr [16]byte
	Port uint16
}

// MaxNamed is the number of peers that one payload can name; what is beyond
// is left out.
const MaxNamed = 32

// Finding is what a payload said. The owner keeps one and passes it in, so that
// nothing is allocated.
type Finding struct {
	Kind   Kind
	Reason Reason
	// Protocol is the index in All of the protocol that matched.
	Protocol int
	// Peers[:N] are the peers that the head of a request names.
	Peers [MaxNamed]Endpoint
	N     int
	// Ignored counts addresses that were named but malformed or absurd.
	Ignored int
	// Client is the name of the program, where the payload tells it.
	Client ClientName
	// TCPPort and UDPPort are where the sender says that it listens, or 0.
	TCPPort, UDPPort uint16
	// OtherPort is a second one by TCP, or 0. It is cut, but not asked at.
	OtherPort uint16
	// Hash is the info-hash of a torrent that the sender names, or zero.
	Hash [20]byte
	// Conduct says that only such a program sends this of its own accord: no web
	// page can have a browser send it, nor can anybody outside cause it. Sent to
	// several addresses it proves the program.
	Conduct bool
	// NotListening says that the datagram came from a port at which its sender need not
	// listen: it is not asked there, and the port is not cut.
	NotListening bool
	// Key is what datagrams to and from the sender are enciphered with, where the payload
	// gives it away, or zero. It goes back to Keyed, and to the probes that need it.
	Key [16]byte
	// Length is how many bytes from the beginning on the message has that First or Next
	// recognised, where what follows it is to be shown to Next; else 0.
	Length int
	// Wait says that the next message tells more. Of a host of which nothing is proved, the
	// connection goes on until that one has come.
	Wait bool
	// Inner is a number for whom the datagram is for behind a proxy, or 0.
	Inner uint32
}

// Reset empties the finding for its next use.
func (f *Finding) Reset() {
	f.Kind, f.Reason, f.Protocol, f.N, f.Ignored = None, ReasonNone, 0, 0, 0
	f.Client.n, f.TCPPort, f.UDPPort, f.Hash, f.Key, f.Inner = 0, 0, 0, [20]byte{}, [16]byte{}, 0
	f.OtherPort = 0
	f.Conduct, f.NotListening, f.Length, f.Wait = false, false, 0, false
}

func (f *Finding) name(e Endpoint, ok bool) {
	switch {
	case !ok || !Plausible(e):
		f.Ignored++
	case f.N < MaxNamed:
		f.Peers[f.N] = e
		f.N++
	}
}

// Answer is the form in which a query is answered in a peer's name.
type Answer uint8

const (
	// AnswerNone leaves queries unanswered.
	AnswerNone Answer = iota
	// AnswerWelcome says that the peer has room. The client stays in its
	// UDP mode and tries to connect.
	AnswerWelcome
	// AnswerFull says that the peer has none. The client goes on asking.
	AnswerFull
)

// Match is what a look at the beginning of a stream yields.
type Match uint8

const (
	// No: these bytes are not of the protocol.
	No Match = iota
	// More: they could become so; show more.
	More
	// Yes: they are.
	Yes
	// Gap: what comes before these bytes was not shown yet.
	Gap
	// Hint: they can be, but others look the same. The host is asked; on a client of the
	// protocol that is locked, they are taken for it.
	Hint
)

// FlowState is what a protocol keeps of one flow. What the words mean is the protocol's own
// business; all are zero in a flow that is new.
type FlowState [5]uint32

// Protocol is everything the engine has to know of one protocol. A nil function
// stands for "the protocol has none".
type Protocol struct {
	// Name is the identifier in configuration and JSON, of small letters. Title is the
	// name for people, and Programs are the programs that they know, the most common first.
	Name, Title, Programs string

	// Datagram classifies the UDP payload b of a LAN host. It sets f.Reason.
	Datagram func(b []byte, f *Finding) Kind

	// First looks at the first bytes of one direction of a TCP connection;
	// outbound tells whether the LAN host sent them. It is called again
	// with more bytes while it returns More, with at most StreamBuffer. It
	// changes f only when it returns Yes or Hint.
	First func(b []byte, outbound bool, f *Finding) Match

	// Next looks at the next message of a connection in which one was recognised that has
	// f.Length, and is called as First is. It may set f.Length, too; No ends it.
	Next func(b []byte, outbound bool, f *Finding) Match

	// Middle reports whether b, a segment of a connection whose beginning was not seen,
	// shows to be of the protocol. It decides about connections of a locked client only.
	Middle func(b []byte) bool

	// Header looks at one line of an HTTP head, without its line end; first
	// says that it is the request or status line. It sets f.Peers where the
	// line names some.
	Header func(line []byte, first, outbound bool, f *Finding) Match

	// Flow looks at datagrams of a LAN host that Datagram calls Weak, one flow at a
	// time: at is when the datagram came, in microseconds of a clock that wraps. Yes is
	// conduct of the program, Hint makes its host a suspect.
	Flow func(s *FlowState, b []byte, at uint32) Match

	// Keyed classifies the UDP payload b of a LAN host in which nothing was recognised, as
	// Datagram does, with the key that the host has given away.
	Keyed func(b []byte, key *[16]byte, f *Finding) Kind

	// Local reports whether b, which a LAN host sent to one of Groups, is a search for
	// others in the LAN. f.TCPPort and f.UDPPort are where the host listens.
	Local  func(b []byte, port uint16, f *Finding) bool
	Groups []Group

	// Login is how a session in clear with a server is answered in the server's name.
	Login *Login

	// Hidden is how encrypted sessions are told that look like nothing in particular.
	Hidden *Handshake
	// Decoy reports whether the address is one of those that Answer makes
	// up: whoever goes there is a client, but reveals no peer.
	Decoy func(a *[16]byte) bool

	// Answer builds into dst, which has room for MaxAnswer, the answer that
	// fits query, and returns its length, or 0 when there is none.
	Answer func(dst, query []byte, form Answer, a *Asked) int

	// Probes are the ways to make a running client answer.
	Probes []Probe

	// WebRTC says that its programs have sessions of WebRTC, too.
	WebRTC bool

	// Exclusive says that the address of a peer serves nothing but the protocol: all
	// between a locked client and its peers is cut, also what was there before.
	Exclusive bool

	// Sift says that the protocol's traffic can look like nothing in particular: what a
	// host says is looked at more closely, and a lock cuts the client's own ports, and each
	// connection by what it is.
	Sift bool

	// Mode is what is done about the protocol, and Strict says that its lock lets no TCP
	// connection be opened at all, as long as nobody configures anything else.
	Mode   Mode
	Strict bool

	// Old says that hardly anybody uses the network any more: the page shows it behind the
	// others.
	Old bool

	// Full says that Answer has the form AnswerFull as well.
	Full bool

	// Quiet says that a client that has its sessions says nothing by which it is known,
	// and that nothing of these is either, but for their first bytes. Clients that had
	// theirs before are asked by TCP at Port.
	Quiet bool

	// OnePort says that its programs listen at one number by TCP and UDP.
	OnePort bool
	// Port is where a client listens that does not say where, or 0.
	Port uint16
	// Ports are where its programs listen if nobody has changed that. A client that is
	// known by its connections alone is asked there.
	Ports []uint16
	// Servers are the ports at which servers of the network take logins, and hardly anything
	// else is served. A host that has a connection to one of them, or to one of Ports, when
	// the wall starts, is asked at Ports.
	Servers []uint16
	// Names are the DNS names that its programs look up, as far as they have
	// any: who asks for one is suspected; "*." stands for any names before.
	Names []string
}

// Mode is what is done about a protocol.
type Mode uint8

// The modes.
const (
	ModeOff     Mode = iota // it is not looked for
	ModeMonitor             // found and told of, nothing blocked
	ModeBlock               // found and blocked
)

// Group is a multicast group of the LAN, and the UDP port to which programs send there.
type Group struct {
	Addr string // of IPv4 or IPv6
	Port uint16
}

// Asks reports whether there is a question to put by TCP, or by UDP.
func (p *Protocol) Asks(tcp bool) bool {
	for i := range p.Probes {
		if p.Probes[i].TCP == tcp {
			return true
		}
	}
	return false
}

// Handshake is an encrypted handshake that gives its program away to whoever answers it.
type Handshake struct {
	// First reports whether b, the first data of a connection, can begin it. Alone says that
	// so little else begins so that one such connection is enough to be asked.
	First func(b []byte) bool
	Alone bool
	// Shaped reports whether b can begin a session that cannot be asked. That counts only
	// on a host that is locked for the protocol. It may be nil.
	Shaped func(b []byte) bool
	// Middle shows the next segment b of a connection that is in its middle, and reports
	// whether it is a session, in clear or encrypted. More asks for more of it. ends says
	// that its sender had nothing more to send (TCP's flag PSH).
	Middle func(m *PeerMiddle, b []byte, ends bool) Match
	// Answer builds what answers the handshake into dst, and returns its length: first is
	// what the one who opened the connection sent. Proof writes into want what he then
	// sends, as only the program can. It reports whether there is such a thing.
	// Proved looks for it. The same salt makes the same answer.
	Answer func(dst, first []byte, salt uint32) int
	Proof  func(first []byte, salt uint32, want *[20]byte) bool
	Proved func(b []byte, want *[20]byte) bool
}

// Login is the beginning of a session with a server, in clear. A client that has but one server
// is proved by what it says when it is answered in that one's name.
type Login struct {
	// Answer builds into dst what a server says to first, the words in which the session was
	// recognised, and returns its length, or 0 when there is no answer to these. The same salt
	// makes the same answer.
	Answer func(dst, first []byte, salt uint32) int
	// Told reads a segment b that the program sent when it had seen the answer. Yes is what only
	// such a program says to that; Hint is so as well, but more may come that tells more of it.
	Told func(b []byte, salt uint32, f *Finding) Match
}

// Asked is what an answer in a peer's name depends on beside the query.
type Asked struct {
	Peer     [16]byte // in whose name it is
	PeerPort uint16
	Client   Endpoint // who asked
	Salt     uint32   // varies what may vary
}

// Probe is one way to make a running client answer.
type Probe struct {
	// Name is for logs.
	Name string
	// TCP says that it goes over TCP to where the client listens, and not
	// by UDP to where its queries come from.
	TCP bool
	// Alone is how many bytes of it are sent first, by TCP. Only another program answers
	// them.
	Alone int
	// Every is how many seconds are at least between two such questions to a host, or 0:
	// some programs take who asks too often for an attacker.
	Every uint8
	// Visible says that the user of the program sees that it was asked. Only a host is asked
	// that is suspected of this very protocol.
	Visible bool
	// Hash says that it is about a torrent that the client has named, Key that it is made
	// with the key that the client has given away.
	Hash, Key bool
	// Weak says that an answer has no token in it. It keeps a lock. Of a suspect it proves
	// nothing: with what it gives away, the suspect is asked anew.
	Weak bool
	// Build builds the probe into dst, which has room for MaxAnswer, and
	// returns its length, or 0 when this way cannot be gone. query is the
	// last query of the client, or with Hash the info-hash that it named last, or with
	// Key its key, and may be empty. The same salt makes the same probe.
	Build func(dst, query []byte, salt uint32) int
	// Answered reports whether b, which the client sent back, answers the
	// probe. Where it is nil, whatever Datagram or First and Header
	// recognise does.
	Answered func(b, probe []byte) bool
}

// MaxQuery is the longest query that is kept for a probe, in bytes.
const MaxQuery = 64

// MaxAnswer is the longest answer or probe that is built, in bytes.
const MaxAnswer = 768

// ProbePort is the port of the router from which probes go out and to which
// the answers come: FastTrack's own.
const ProbePort = 1214

// All are the protocols that are known, at most MaxProtocols. The index is used as a number
// for the protocol in tables.
var All = []*Protocol{&FastTrack, &BitTorrent, &WinMX, &OpenNAP, &EDonkey, &Soulseek, &DirectConnect, &Gnutella}

// MaxLimited is how many questions there may be with Probe.Every, in all protocols.
const MaxLimited = 8

// MaxProtocols is how many protocols the tables have room for.
const MaxProtocols = 16

// Meets reports whether a connection to the port makes its host one that is asked: whether
// servers or peers of a network that has servers are there.
func Meets(port uint16) bool {
	for _, p := range All {
		if p.Meets(port) {
			return true
		}
	}
	return false
}

// Meets reports whether servers or peers of the protocol are at the port.
func (p *Protocol) Meets(port uint16) bool {
	return p.Servers != nil && (slices.Contains(p.Servers, port) || slices.Contains(p.Ports, port))
}

// ByName returns the index in All of the protocol with that name, or -1.
func ByName(name string) int {
	for i, p := range All {
		if p.Name == name {
			return i
		}
	}
	return -1
}

// Plausible reports whether a peer can be at e: a public unicast address with a
// port.
func Plausible(e Endpoint) bool {
	if e.Port == 0 {
		return false
	}
	a := &e.Addr
	if !is4(a) {
		// Global unicast is 2000::/3 (RFC 4291); documentation
		// prefixes are left in, test networks use them.
		return a[0]&0xe0 == 0x20
	}
	b, c := a[12], a[13]
	switch {
	case b == 0, b == 10, b == 127, b >= 224:
		return false
	case b == 100 && c&0xc0 == 64, // RFC 6598, carrier-grade NAT
		b == 169 && c == 254,
		b == 172 && c&0xf0 == 16,
		b == 192 && c == 168:
		return false
	}
	return true
}

func is4(a *[16]byte) bool {
	return a[10] == 0xff && a[11] == 0xff &&
		a[0]|a[1]|a[2]|a[3]|a[4]|a[5]|a[6]|a[7]|a[8]|a[9] == 0
}
