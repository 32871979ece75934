// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/p2pwall/p2pwall/openwrt/config"
)

// version and commit are set by the linker.
var (
	version = "0.0.0-dev"
	commit  string // of the source, or nothing
)

const usage = `usage: p2pwall COMMAND [OPTIONS]

  run [-c FILE] [--no-rules] [--user NAME] [--log stderr|journal|syslog]
                                   find and block, in the foreground
  status [--json]                  is it working, and what did it do
  clients [--json]                 the hosts that were found
  peers [--json] [HOST]            the peers they revealed
  unlock HOST                      lift a lock and forget the host
  exempt HOST [SECONDS]            leave a host alone (one hour by default, 0: no more)
  monitor [--json]                 show events as they come
  check [-c FILE] [--config] [--json]
                                   is the configuration good, can the machine do it
  rules [-c FILE] [--backend nft|iptables] [--remove]
                                   print the rules that run would load
  ctl JSON                         send one request to the control socket
  version                          print the version

FILE is ` + config.DefaultPath + ` unless it is given.
`

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // also: check found that it cannot work
)

// command is a command of the program.
type command struct {
	name        string
	run         func(c *call) int // returns the exit code
	least, most int               // how many arguments it takes
}

var commands = []command{
	{"run", run, 0, 0},
	{"status", ask, 0, 0},
	{"clients", ask, 0, 0},
	{"peers", ask, 0, 1},
	{"unlock", ask, 1, 1},
	{"exempt", ask, 1, 2},
	{"monitor", ask, 0, 0},
	{"check", checkMachine, 0, 0},
	{"rules", rules, 0, 0},
	{"ctl", ctl, 1, 1},
	{"version", printVersion, 0, 0},
}

// call is one call of a command.
type call struct {
	name        string
	args        []string // what is no option
	config      string
	json        bool
	noRules     bool
	user        string
	log         string // the kind of log, "" for standard error
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
		c := &call{name: name, config: config.DefaultPath, out: out, errOut: errOut}
		err := c.parse(args[1:])
		switch {
		case err == errHelp:
			fmt.Fprint(out, usage)
			return exitOK
		case err == nil && len(c.args) < cmd.least:
			err = errors.New("an argument is missing")
		case err == nil && len(c.args) > cmd.most:
			err = fmt.Errorf("too many arguments: %s", strings.Join(c.args[cmd.most:], " "))
		}
		if err != nil {
			fmt.Fprintf(errOut, "p2pwall %s: %v\n\n%s", name, err, usage)
			return exitUsage
		}
		return cmd.run(c)
	}
	fmt.Fprintf(errOut, "p2pwall: unknown command %q\n\n%s", name, usage)
	return exitUsage
}

var errHelp = errors.New("help is wanted")

// option returns what an option sets: a flag, or a value that must follow; nil
// for both when the command has no such option.
func (c *call) option(name string) (flag *bool, value *string) {
	switch c.name + " " + name {
	case c.name + " c":
		return nil, &c.config
	case "run no-rules":
		return &c.noRules, nil
	case "run user":
		return nil, &c.user
	case "run log":
		return nil, &c.log
	case "status json", "clients json", "peers json", "monitor json", "check json":
		return &c.json, nil
	case "check config":
		return &c.configOnly, nil
	case "rules backend":
		return nil, &c.backend
	case "rules remove":
		return &c.remove, nil
	}
	return nil, nil
}

// parse reads options, which may stand before and behind the arguments and begin
// with one dash or with two.
func (c *call) parse(args []string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			c.args = append(c.args, args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			c.args = append(c.args, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		if name == "h" || name == "help" {
			return errHelp
		}
		flag, to := c.option(name)
		switch {
		case flag == nil && to == nil:
			return fmt.Errorf("unknown option %s", arg)
		case flag != nil && given:
			return fmt.Errorf("option --%s takes no value", name)
		case flag != nil:
			*flag = true
			continue
		case !given && len(args) == 0:
			return fmt.Errorf("option %s needs a value", arg)
		case !given:
			value, args = args[0], args[1:]
		}
		*to = value
	}
	return nil
}

func printVersion(c *call) int {
	if commit == "" {
		commit = "unknown"
	}
	fmt.Fprintf(c.out, "p2pwall %s (commit %s)\n", version, commit)
	return exitOK
}

// fail prints an error, one line for each fault, and returns the exit code.
func (c *call) fail(err error) int {
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(c.errOut, "p2pwall: %s\n", line)
	}
	return exitFailure
}
