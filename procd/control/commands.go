// SPDX-License-Identifier: GPL-2.0-or-later

package control

import "strings"

// Need says whether a command names a host.
type Need uint8

// The command takes no host, may take one, must take one.
const (
	None Need = iota
	May
	Must
)

// Command is a command of the control socket.
type Command struct {
	Name    string
	Help    string // for the program's help; "" if the program has no such command
	Host    Need
	Number  string // a further member of the request: "seconds" or "since"
	Changes bool   // it changes something; all other commands only read
	Follows bool   // its reply has no end; not for ubus

	json func(*Service, *jsonWriter, *Request) error
	text func(*Service, *strings.Builder, *Request) error // nil: no text form
}

// Commands is the table of all commands. The program's commands and their help are made
// from it. The rpcd object, its access list and the manual are written by hand; tests
// compare them with this table.
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
	// Page returns all that LuCI's page shows. Each request makes a router start two
	// programs, so the page sends only one. With a host the reply has its peers as well.
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
