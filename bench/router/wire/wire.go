// SPDX-License-Identifier: GPL-2.0-or-later

// Package wire has the messages between guestctl, which replaces a tool inside an emulated
// router, and the test bed outside, which runs the tool. They are JSON objects, each with
// one of the fields of Message set besides Session.
package wire

// Message is one object on the channel.
type Message struct {
	// Session is the process id of guestctl. It tells the messages of an aborted call
	// from those of the next one.
	Session int
	Call    *Call   `json:",omitempty"` // guest to host, first
	Open    *Open   `json:",omitempty"` // host to guest, answered
	Send    *Send   `json:",omitempty"` // host to guest, answered
	Answer  *Answer `json:",omitempty"` // guest to host
	End     *End    `json:",omitempty"` // host to guest, last
}

// Call asks the test bed to run a tool.
type Call struct {
	Tool  string
	Args  []string
	Stdin []byte
	// Files has the contents of files that arguments name, by the arguments' indices.
	Files map[int][]byte
}

// Open asks guestctl for a netlink socket of a protocol.
type Open struct {
	ID       int
	Protocol int
}

// Send asks guestctl to send a message to the kernel.
type Send struct {
	ID   int
	Data []byte
}

// Answer is the result of an Open or a Send.
type Answer struct {
	Errno     int
	PortID    uint32
	Datagrams [][]byte
}

// End is the tool's exit code and output.
type End struct {
	Code           int
	Stdout, Stderr []byte
}
