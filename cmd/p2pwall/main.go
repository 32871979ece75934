// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/p2pwall/p2pwall/openwrt"
)

// version is set by the linker from the file VERSION.
var version = "0.0.0-dev"

const usage = `usage: p2pwall COMMAND [OPTIONS]

  run [-c FILE] [--no-rules]       find and block, in the foreground
  status [--json]                  is it working, and what did it do
  clients [--json]                 the hosts that were found
  peers [--json] [HOST]            the peers they revealed
  unlock HOST                      lift a lock and forget the host
  exempt HOST [SECONDS]            leave a host alone (one hour by default)
  monitor [--json]                 show events as they come
  check [-c FILE] [--config]       is the configuration good, can the machine do it
  rules [-c FILE] [--backend nft|iptables] [--remove]
                                   print the rules that run would load
  ctl JSON                         send one request to the control socket
  version                          print the version

FILE is ` + openwrt.DefaultPath + ` unless it is given.
`

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // also: check found that it cannot work
)

// command is a command of the program. It returns the exit code.
type command struct {
	name string
	run  func(c *call) int
}

var commands = []command{
	{"run", run},
	{"status", ask("status")},
	{"clients", ask("clients")},
	{"peers", ask("peers")},
	{"unlock", ask("unlock")},
	{"exempt", ask("exempt")},
	{"monitor", ask("monitor")},
	{"check", check},
	{"rules", rules},
	{"ctl", ctl},
	{"version", printVersion},
}

// call is one call of a command.
type call struct {
	name        string
	args        []string // what stands behind the flags
	config      string
	json        bool
	noRules     bool
	backend     string
	configOnly  bool
	remove      bool
	out, errOut io.Writer
}

func main() { os.Exit(dispatch(os.Args[1:], os.Stdout, os.Stderr)) }

func dispatch(args []string, out, errOut io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errOut, usage)
		return exitUsage
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help", "help":
		fmt.Fprint(out, usage)
		return exitOK
	case "-version", "--version":
		name = "version"
	}
	for _, cmd := range commands {
		if cmd.name != name {
			continue
		}
		c := &call{name: name, out: out, errOut: errOut}
		if err := c.parse(args[1:]); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprint(out, usage)
				return exitOK
			}
			fmt.Fprintf(errOut, "p2pwall %s: %v\n\n%s", name, err, usage)
			return exitUsage
		}
		return cmd.run(c)
	}
	fmt.Fprintf(errOut, "p2pwall: unknown command %q\n\n%s", name, usage)
	return exitUsage
}

// parse reads flags, which may stand before and behind the other arguments.
func (c *call) parse(args []string) error {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.config, "c", openwrt.DefaultPath, "")
	switch c.name {
	case "run":
		f.BoolVar(&c.noRules, "no-rules", false, "")
	case "status", "clients", "peers", "monitor":
		f.BoolVar(&c.json, "json", false, "")
	case "check":
		f.BoolVar(&c.configOnly, "config", false, "")
	case "rules":
		f.StringVar(&c.backend, "backend", "", "")
		f.BoolVar(&c.remove, "remove", false, "")
	}
	for {
		if err := f.Parse(args); err != nil {
			return err
		}
		rest := f.Args()
		if len(rest) == 0 {
			break
		}
		c.args = append(c.args, rest[0])
		args = rest[1:]
	}
	least, most := 0, 0
	switch c.name {
	case "peers":
		most = 1
	case "unlock", "ctl":
		least, most = 1, 1
	case "exempt":
		least, most = 1, 2
	}
	switch {
	case len(c.args) < least:
		return errors.New("an argument is missing")
	case len(c.args) > most:
		return fmt.Errorf("too many arguments: %s", strings.Join(c.args[most:], " "))
	}
	return nil
}

func printVersion(c *call) int {
	fmt.Fprintf(c.out, "p2pwall %s\n", version)
	return exitOK
}

// fail prints an error, one line for each fault, and returns the exit code.
func (c *call) fail(err error) int {
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(c.errOut, "p2pwall: %s\n", line)
	}
	return exitFailure
}
