// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "slices"

// Kind says how sure a payload is, and which part it plays.
type Kind uint8

const (
	// None: the payload is not of the protocol.
	None Kind = iota
	// Weak: the payload fits, but is too short to be sure. It counts only to or from a
	// known peer.
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

// The reasons for taking a host for a client.
const (
	ReasonNone      Reason = iota
	ReasonPing             // it pinged a peer
	ReasonPong             // it answered a ping
	ReasonPeer             // it contacted a known peer
	ReasonHello            // it opened a session
	ReasonTransfer         // it transferred a file over plain HTTP
	ReasonPush             // it served a file over a connection from outside
	ReasonProbe            // it answered a probe
	ReasonAnnounce         // it asked a tracker
	ReasonLocal            // it searched the LAN for peers
	ReasonEncrypted        // it opened an encrypted session, and there was other evidence
	ReasonName             // it looked up a listed DNS name
	ReasonFlow             // it was in the middle of a flow of the protocol
	ReasonMapping          // it asked the router to open a port
	ReasonMany             // it sent to many addresses from one port
	ReasonHandshake        // it completed an encrypted handshake that we answered
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

// Endpoint is an address and a port. IPv4 is in its mapped form, ::ffff:a.b.c.d.
type Endpoint struct {
	Addr [16]byte
	Port uint16
}

// MaxNamed is how many peers of one payload are kept. Further ones are ignored.
const MaxNamed = 32

// Finding is what a payload tells. The caller owns the Finding and passes it in, so that
// nothing is allocated.
type Finding struct {
	Kind   Kind
	Reason Reason
	// Protocol is the index in All of the protocol that matched.
	Protocol int
	// Peers[:N] are the peers that the head of a request names.
	Peers [MaxNamed]Endpoint
	N     int
	// Ignored counts named addresses that are malformed or cannot be a peer's.
	Ignored int
	// Client is the program's name, if the payload contains it.
	Client ClientName
	// TCPPort and UDPPort are the ports at which the sender says it listens, or 0.
	TCPPort, UDPPort uint16
	// OtherPort is a second TCP port of the sender, or 0. It is blocked, but never
	// probed.
	OtherPort uint16
	// Hash is the info-hash of a torrent that the sender names, or zero. setHash sets it.
	Hash [20]byte
	// Conduct says that only a program of the protocol sends this, and of its own accord.
	// No web page can make a browser send it, and nobody outside can provoke it. Sent to
	// several addresses, it proves the program.
	Conduct bool
	// NotListening says that the sender may not listen at the datagram's source port. The
	// engine does not block that port. It probes the port only if it knows no other.
	NotListening bool
	// Key is the key that encrypts the sender's datagrams, if the payload reveals it, or
	// zero. The engine passes it to the probes that need it. setKey sets it.
	Key [16]byte
	// secret says that Hash or Key is set.
	secret bool
	// Length is the length of the message that First or Next recognised, counted from the
	// start of its input, if Next should read what follows. Otherwise it is 0.
	Length int
	// Wait says that the next message tells more. If nothing is proved about the host
	// yet, the connection stays open until that message has come.
	Wait bool
	// Inner is a hash of the destination behind a proxy, or 0 without a proxy.
	Inner uint32
}

// Reset clears the finding for its next use.
func (f *Finding) Reset() {
	f.Kind, f.Reason, f.Protocol, f.N, f.Ignored = None, ReasonNone, 0, 0, 0
	f.Client.n, f.TCPPort, f.UDPPort, f.OtherPort, f.Inner = 0, 0, 0, 0, 0
	f.Conduct, f.NotListening, f.Length, f.Wait = false, false, 0, false
	if f.secret { // seldom: MIPS clears an array one byte at a time
		f.Hash, f.Key, f.secret = [20]byte{}, [16]byte{}, false
	}
}

func (f *Finding) setHash(b []byte) { f.Hash, f.secret = [20]byte(b), true }
func (f *Finding) setKey(b []byte)  { f.Key, f.secret = [16]byte(b), true }

func (f *Finding) name(e Endpoint, ok bool) {
	switch {
	case !ok || !Plausible(e):
		f.Ignored++
	case f.N < MaxNamed:
		f.Peers[f.N] = e
		f.N++
	}
}

// Answer is how the engine answers a query in a peer's name.
type Answer uint8

const (
	// AnswerNone leaves queries unanswered.
	AnswerNone Answer = iota
	// AnswerWelcome says that the peer has a free slot. The client stays in its UDP mode
	// and tries to connect.
	AnswerWelcome
	// AnswerFull says that the peer has no free slot. The client goes on asking.
	AnswerFull
)

// Match is the result of reading the beginning of a stream.
type Match uint8

const (
	// No: these bytes do not belong to the protocol.
	No Match = iota
	// More: more bytes are needed to decide.
	More
	// Yes: these bytes belong to the protocol.
	Yes
	// Gap: earlier bytes are still missing.
	Gap
	// Hint: they may belong to the protocol, but other traffic looks the same. The engine
	// probes the host. On a locked client of the protocol, a Hint counts as a Yes.
	Hint
)

// FlowState is what a protocol keeps for one flow. Only the protocol knows what its words
// mean. All are zero in a new flow.
type FlowState [5]uint32

// Protocol is everything that the engine has to know about one protocol. A nil function
// means that the protocol has no such thing.
type Protocol struct {
	// Name is the identifier in configuration and JSON, in lower-case letters. Title is
	// the name for people. Programs are the programs that people know, the most common
	// first.
	Name, Title, Programs string

	// Datagram classifies the UDP payload b from a LAN host. It sets f.Reason.
	Datagram func(b []byte, f *Finding) Kind

	// First reads the first bytes of one direction of a TCP connection. outbound says
	// that the LAN host sent them. While First returns More, the caller calls it again
	// with more bytes, StreamBuffer at most. First changes f only when it returns Yes or
	// Hint.
	First func(b []byte, outbound bool, f *Finding) Match
	// Begins are the bytes with which the beginnings start that First may know. If it is
	// empty, they may start with any byte.
	Begins string

	// TLS reports whether a TLS connection that a LAN host opens is of the protocol. name
	// is the server's name in its ClientHello, protocols the list of protocol names, each
	// with its length before it. Both may be nil.
	TLS func(name, protocols []byte) bool

	// Next reads the message after one for which f.Length was set. The caller calls it in
	// the same way as First. Next may set f.Length again. No ends the reading.
	Next func(b []byte, outbound bool, f *Finding) Match

	// Middle reports whether the segment b shows the protocol, on a connection whose
	// beginning nobody saw. It is used only for connections of a locked client.
	Middle func(b []byte) bool

	// Header reads one line of an HTTP head, without its line end. first says that it is
	// the request or status line. Header sets f.Peers if the line names some.
	Header func(line []byte, first, outbound bool, f *Finding) Match

	// Flow reads the datagrams from a LAN host that Datagram calls Weak, one flow at a
	// time. at is the time of arrival, in microseconds of a clock that wraps. Yes counts
	// as conduct of the program. Hint makes the host a suspect.
	Flow func(s *FlowState, b []byte, at uint32) Match

	// Local reports whether b is a search for peers in the LAN. A LAN host sent b to one
	// of Groups. f.TCPPort and f.UDPPort are where the host listens.
	Local  func(b []byte, port uint16, f *Finding) bool
	Groups []Group

	// Login answers a plain session with a server in the server's name.
	Login *Login

	// Hidden recognises encrypted sessions that look like random bytes.
	Hidden *Handshake
	// Decoy reports whether Answer made up the address. A host that goes there is a
	// client, but reveals no peer.
	Decoy func(a *[16]byte) bool

	// Answer builds the answer to query into dst, which has room for MaxAnswer. It
	// returns the length of the answer, or 0 if there is none.
	Answer func(dst, query []byte, form Answer, a *Asked) int

	// Probes are the ways to make a running client answer.
	Probes []Probe

	// WebRTC says that some of its programs use WebRTC as well.
	WebRTC bool

	// Exclusive says that a peer's address serves nothing but the protocol. The engine
	// cuts all traffic between a locked client and its peers, including older
	// connections.
	Exclusive bool

	// Sift says that the protocol's traffic can look like random bytes. The engine looks
	// at the host's traffic more closely. A lock then blocks the client's own ports, and
	// judges each connection by its content.
	Sift bool

	// Mode and Strict are defaults for the configuration. Mode is what the engine does
	// about the protocol. Strict says that a lock refuses all new TCP connections.
	Mode   Mode
	Strict bool

	// Old says that hardly anybody uses the network any more. The page shows it after the
	// others.
	Old bool

	// Full says that Answer also supports AnswerFull.
	Full bool

	// Quiet says that a session shows the protocol only in its first bytes, and that a
	// client with open sessions sends nothing else. The engine probes hosts that may have
	// such older sessions at Port, by TCP.
	Quiet bool

	// Panel reports whether b is the answer of a program's user interface, by HTTP at
	// PanelPort. The interface names the program, but does not say which networks it uses.
	Panel     func(b []byte) bool
	PanelPort uint16
	// Word builds word n, of WordSize bytes, for a program that closes a connection without an
	// answer, and reports whether it is one of the program's own: after that it waits for more.
	// After the others it closes the connection. The first Words together name the program, as
	// a panel does.
	Word func(dst []byte, n int, salt uint32) bool

	// QUIC says that its programs also use QUIC, from the port number at which they listen
	// by TCP. A host that sends what may be QUIC from or to Port is probed where it sends
	// from. Only one protocol can have it.
	QUIC bool

	// OnePort says that its programs listen at the same port number by TCP and UDP.
	OnePort bool
	// Port is where a client listens if it does not name a port, or 0.
	Port uint16
	// Ports are the default listening ports of its programs. The engine probes there if
	// it knows a client only by its connections.
	Ports []uint16
	// Servers are the login ports of the network's servers. Hardly any other service uses
	// them. If a host has a connection to one of them, or to one of Ports, when the
	// engine starts, the engine probes the host at Ports.
	Servers []uint16
	// Names are the DNS names that its programs look up. A host that looks one up becomes
	// a suspect. "*." stands for all names below.
	Names []string
}

// Mode is what the engine does about a protocol.
type Mode uint8

// The modes.
const (
	ModeOff     Mode = iota // not looked for
	ModeMonitor             // found and reported, not blocked
	ModeBlock               // found and blocked
)

// Group is a multicast group of the LAN, and the UDP port to which programs send there.
type Group struct {
	Addr string // IPv4 or IPv6
	Port uint16
}

// Asks reports whether the protocol has a probe by TCP, or by UDP.
func (p *Protocol) Asks(tcp bool) bool {
	for i := range p.Probes {
		if p.Probes[i].TCP == tcp {
			return true
		}
	}
	return false
}

// Handshake is an encrypted handshake. A program reveals itself to the side that answers
// it.
type Handshake struct {
	// First reports whether b, the first data of a connection, can begin the handshake.
	// Alone says that little else begins in that way, so that a single such connection is
	// enough for the engine to test it.
	First func(b []byte) bool
	Alone bool
	// Shaped reports whether b can begin a session that the engine cannot test. It counts
	// only on a host that is locked for the protocol. It may be nil.
	Shaped func(b []byte) bool
	// Middle reads the next segment b of a connection that is in its middle. It reports
	// whether the connection is a session of the protocol, plain or encrypted. More asks
	// for another segment. ends says that the sender had nothing more to send (TCP's flag
	// PSH).
	Middle func(m *PeerMiddle, b []byte, ends bool) Match
	// Pieces does the same for what comes in: see Pieces.Feed. It may be nil.
	Pieces func(s *Pieces, seq uint32, b []byte, length int, ends bool) Match
	// Answer builds the answer to the handshake into dst, and returns its length. first
	// is what the opener of the connection sent. Proof writes into want what only the
	// program can send next. It returns false if first has no such proof. Proved looks
	// for want in b. The same salt makes the same answer.
	Answer func(dst, first []byte, salt uint32) int
	Proof  func(first []byte, salt uint32, want *[20]byte) bool
	Proved func(b []byte, want *[20]byte) bool
}

// Login is the beginning of a plain session with a server. The engine answers in the
// server's name, and the client's reply proves the program. So a client with only one
// server can be proved too.
type Login struct {
	// Answer builds into dst what a server replies to first, the bytes in which the
	// session was recognised. It returns the length, or 0 if it has no answer to these
	// bytes. The same salt makes the same answer.
	Answer func(dst, first []byte, salt uint32) int
	// Again builds in the same way what a server says in the middle of a session, so that
	// the program has to react. last is what the program said there last, nil if unknown. It
	// returns 0 if that goes to no server. Again may be nil. A server of a protocol that has
	// it, and another program, say what First recognises.
	Again func(dst, last []byte, salt uint32) int
	// Told reads a segment b that the program sent after it saw the answer. Yes and Hint
	// both mean that only such a program says this. After a Hint, later segments may tell
	// more. In the middle of a session only Yes counts.
	Told func(b []byte, salt uint32, f *Finding) Match
}

// Asked is what an answer in a peer's name depends on, apart from the query.
type Asked struct {
	Peer     [16]byte // the peer that seems to answer
	PeerPort uint16
	Client   Endpoint // the client that asked
	Salt     uint32   // varies the parts that may vary
}

// Probe is one way to make a running client answer.
type Probe struct {
	// Name is for logs.
	Name string
	// TCP says that the probe goes by TCP to the port where the client listens. Other
	// probes go by UDP to the port from which the client's queries come.
	TCP bool
	// Alone is how many bytes of a TCP probe are sent first, on their own. If the host
	// answers those bytes, it runs some other program. Early says that some clients answer
	// them, too. So a client that was proved is sent everything at once.
	Alone int
	Early bool
	// Every is the least time between two such probes of a host, in seconds, or 0: some
	// programs take frequent probes for an attack.
	Every uint8
	// Visible says that the user of the program sees the probe. The engine then probes
	// only hosts that it suspects of this very protocol.
	Visible bool
	// Hash says that the probe needs the info-hash of a torrent that the client has
	// named. Key says that it needs the key that the client has revealed.
	Hash, Key bool
	// Weak says that the answer contains no token. Such an answer keeps a lock, but
	// proves nothing about a suspect. The engine uses what it reveals to probe the
	// suspect again.
	Weak bool
	// Build builds the probe into dst, which has room for MaxAnswer. It returns the
	// length, or 0 if it cannot build the probe. query is the client's last query; with
	// Hash, the info-hash that the client named last; with Key, the client's key. It may
	// be empty. The same salt makes the same probe.
	Build func(dst, query []byte, salt uint32) int
	// Answered reports whether b, which the client sent back, answers the probe. If
	// Answered is nil, any b that Datagram, or First and Header, recognise is an answer.
	Answered func(b, probe []byte) bool
}

// WordSize is the length of a word, in bytes. Words is how many name a program; see
// Protocol.Word.
const (
	WordSize = 4
	Words    = 8
)

// MaxQuery is the longest query that is kept for a probe, in bytes.
const MaxQuery = 64

// MaxAnswer is the longest answer or probe that is built, in bytes.
const MaxAnswer = 768

// ProbePort is the router's port for probes: they leave from it, and the answers come to
// it. It is FastTrack's own port.
const ProbePort = 1214

// All are the known protocols, at most MaxProtocols. Tables use the index as the
// protocol's number.
var All = []*Protocol{
	&FastTrack, &BitTorrent, &WinMX, &OpenNAP, &EDonkey, &Soulseek, &DirectConnect, &Gnutella,
	&Libp2p, &Xunlei, &Ares, &AppleJuice, &Mute,
}

// MaxLimited is how many probes may have Probe.Every, in all protocols together.
const MaxLimited = 8

// MaxProtocols is how many protocols the tables have room for.
const MaxProtocols = 16

// Meets reports whether the engine probes a host for having a connection to the port:
// whether any protocol with servers has servers or peers there.
func Meets(port uint16) bool {
	for _, p := range All {
		if p.Meets(port) {
			return true
		}
	}
	return false
}

// Meets reports whether the protocol has servers, and has servers or peers at the port.
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

// Plausible reports whether a peer can be at e: e needs a public unicast address and a
// port.
func Plausible(e Endpoint) bool {
	if e.Port == 0 {
		return false
	}
	a := &e.Addr
	if !is4(a) {
		// Global unicast is 2000::/3 (RFC 4291). Documentation prefixes count as
		// plausible, because test networks use them.
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
