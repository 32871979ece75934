// SPDX-License-Identifier: GPL-2.0-or-later

package control

import "strings"

// Need says whether a command names a host.
type Need uint8

// The needs: it takes none, it may have one, it must have one.
const (
	None Need = iota
	May
	Must
)

// Command is something that can be asked for at the control socket.
type Command struct {
	Name    string
	Help    string // what it does, as a command of the program; "" where it is none
	Host    Need
	Number  string // the member of a request that it takes as well: seconds, since
	Changes bool   // it changes something; all others only look
	Follows bool   // its reply goes on: not for ubus

	json func(*Service, *jsonWriter, *Request) error
	text func(*Service, *strings.Builder, *Request) error // nil: it has no text form
}

// Commands is the table of all that can be asked for. The program's commands and their
// help are made from it. What rpcd offers, the access list and the manual are written by
// hand, and tests compare them with it.
var Commands = [...]Command{
	{
		Name: "status", Help: "is it working, and what did it do",
		json: (*Service).status, text: (*Service).statusText,
	},
	{
		Name: "clients", Help: "the hosts that were found",
		json: (*Service).clients, text: (*Service).clientsText,
	},
	{
		Name: "peers", Help: "the peers they revealed", Host: May,
		json: (*Service).peers, text: (*Service).peersText,
	},
	{
		Name: "unlock", Help: "lift a lock and forget the host", Host: Must, Changes: true,
		json: (*Service).changeJSON, text: (*Service).changeText,
	},
	{
		Name: "exempt", Help: "leave a host alone (one hour by default, 0: no more)",
		Host: Must, Number: "seconds", Changes: true,
		json: (*Service).changeJSON, text: (*Service).changeText,
	},
	{
		Name: "pause", Help: "look for nothing for some time (one hour by default, 0: go on)", Number: "seconds", Changes: true,
		json: (*Service).pauseJSON, text: (*Service).pauseText,
	},
	{
		Name: "history", Help: "what ran on which day, and what was cut of it", Host: May,
		json: (*Service).history, text: (*Service).historyText,
	},
	{
		Name: "notify", Help: "send a test message to all who are told of events", Changes: true,
		json: (*Service).notify, text: (*Service).notifyText,
	},
	{Name: "monitor", Help: "show events as they come", Follows: true},
	// All at once that LuCI's page shows: each request costs a router the start of two
	// programs. With a host it has the peers of that one as well.
	{Name: "page", Host: May, json: (*Service).page},
	{Name: "events", Number: "since", json: (*Service).events},
	{Name: "check", json: (*Service).check},
}

// Find returns the command of that name, or nil.
func Find(name string) *Command {
	for i := range Commands {
		if c := &Commands[i]; c.Name == name {
			return c
		}
	}
	return nil
}
