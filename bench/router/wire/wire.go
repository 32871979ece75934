// SPDX-License-Identifier: GPL-2.0-or-later

// Package wire is the language between a tool's stand-in inside an emulated
// router and the test bed outside, which runs the tool: JSON objects, each with
// one of the fields of Message set.
package wire

// Message is one object on the channel.
type Message struct {
	// Session is the stand-in's process number: what belongs to a call that
	// was broken off must not be taken for the next one's.
	Session int
	Call    *Call   `json:",omitempty"` // guest to host, first
	Open    *Open   `json:",omitempty"` // host to guest, answered
	Send    *Send   `json:",omitempty"` // host to guest, answered
	Answer  *Answer `json:",omitempty"` // guest to host
	End     *End    `json:",omitempty"` // host to guest, last
}

// Call asks for a tool to be run.
type Call struct {
	Tool  string
	Args  []string
	Stdin []byte
	// Files holds what the files named by arguments contain, by the
	// arguments' places.
	Files map[int][]byte
}

// Open asks for a netlink socket of a protocol.
type Open struct {
	ID       int
	Protocol int
}

// Send asks for a message to be put to the kernel.
type Send struct {
	ID   int
	Data []byte
}

// Answer is what came of an Open or a Send.
type Answer struct {
	Errno     int
	PortID    uint32
	Datagrams [][]byte
}

// End is the tool's end.
type End struct {
	Code           int
	Stdout, Stderr []byte
}
