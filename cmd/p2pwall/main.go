// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
)

// version and commit are set by the linker.
var (
	version = "0.0.0-dev"
	commit  string // of the source, or nothing
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // also: check found that it cannot work
)

// command is a command of the program.
type command struct {
	name, args  string
	help        string
	options     string          // those of call.options that it has, beside -c
	run         func(*call) int // returns the exit code
	least, most int             // how many arguments it takes
}

// commands returns the table of all commands: our own, and those that ask the daemon.
func commands() []command {
	all := []command{{name: "run", help: "find and block, in the foreground", options: "c no-rules user log", run: run}}
	for i := range control.Commands {
		if c := &control.Commands[i]; c.Help != "" {
			all = append(all, asking(c))
		}
	}
	return append(all,
		command{name: "check", help: "is the configuration good, can the machine do it", options: "c config json", run: checkMachine},
		command{name: "rules", help: "print the rules that run would load", options: "c backend remove", run: rules},
		command{name: "ctl", args: " JSON", help: "send one request to the control socket", run: ctl, least: 1, most: 1},
		command{name: "version", help: "print the version", run: printVersion},
	)
}

// asking is the program's command for one of the control socket.
func asking(c *control.Command) command {
	x := command{name: c.Name, help: c.Help, run: ask}
	switch c.Host {
	case control.May:
		x.args, x.most = " [HOST]", 1
	case control.Must:
		x.args, x.least, x.most = " HOST", 1, 1
	}
	if c.Number != "" {
		x.args += " [" + strings.ToUpper(c.Number) + "]"
		x.most++
	}
	if !c.Changes {
		x.options = "json"
	}
	return x
}

// usage is the program's help.
func usage() string {
	const column = 35 // at which what a command does is written
	var b strings.Builder
	b.WriteString("usage: p2pwall COMMAND [OPTIONS]\n\n")
	options := new(call).options()
	for _, x := range commands() {
		line := "  " + x.name
		for _, o := range options {
			if slices.Contains(strings.Fields(x.options), o.name) {
				line += " [" + o.String() + "]"
			}
		}
		line += x.args
		if len(line) >= column {
			b.WriteString(line + "\n")
			line = ""
		}
		fmt.Fprintf(&b, "%-*s%s\n", column, line, x.help)
	}
	b.WriteString("\nFILE is " + config.DefaultPath + " unless it is given.\n")
	return b.String()
}

// call is one call of a command.
type call struct {
	command
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
		fmt.Fprint(errOut, usage())
		return exitUsage
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help", "help":
		fmt.Fprint(out, usage())
		return exitOK
	case "-version", "--version":
		name = "version"
	}
	for _, cmd := range commands() {
		if cmd.name != name {
			continue
		}
		c := &call{command: cmd, config: config.DefaultPath, out: out, errOut: errOut}
		err := c.parse(args[1:])
		switch {
		case err == errHelp:
			fmt.Fprint(out, usage())
			return exitOK
		case err == nil && len(c.args) < cmd.least:
			err = errors.New("an argument is missing")
		case err == nil && len(c.args) > cmd.most:
			err = fmt.Errorf("too many arguments: %s", strings.Join(c.args[cmd.most:], " "))
		}
		if err != nil {
			fmt.Fprintf(errOut, "p2pwall %s: %v\n\n%s", name, err, usage())
			return exitUsage
		}
		return cmd.run(c)
	}
	fmt.Fprintf(errOut, "p2pwall: unknown command %q\n\n%s", name, usage())
	return exitUsage
}

var errHelp = errors.New("help is wanted")

// option sets a flag, or the value that must follow.
type option struct {
	name  string
	value string // how help names the value
	flag  *bool  // nil: it has a value
	to    *string
}

// String is the option as help has it.
func (o *option) String() string {
	switch {
	case o.flag != nil:
		return "--" + o.name
	case len(o.name) == 1:
		return "-" + o.name + " " + o.value
	}
	return "--" + o.name + " " + o.value
}

// options are all options of all commands, in the order of the help.
func (c *call) options() []option {
	return []option{
		{name: "c", value: "FILE", to: &c.config},
		{name: "no-rules", flag: &c.noRules},
		{name: "user", value: "NAME", to: &c.user},
		{name: "log", value: "stderr|journal|syslog", to: &c.log},
		{name: "config", flag: &c.configOnly},
		{name: "json", flag: &c.json},
		{name: "backend", value: "nft|iptables", to: &c.backend},
		{name: "remove", flag: &c.remove},
	}
}

// option returns the option of that name, nil when the command has none. Every command
// takes a configuration.
func (c *call) option(name string) *option {
	for _, o := range c.options() {
		if o.name == name && (name == "c" || slices.Contains(strings.Fields(c.command.options), name)) {
			return &o
		}
	}
	return nil
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
		o := c.option(name)
		switch {
		case o == nil:
			return fmt.Errorf("unknown option %s", arg)
		case o.flag != nil && given:
			return fmt.Errorf("option --%s takes no value", name)
		case o.flag != nil:
			*o.flag = true
			continue
		case !given && len(args) == 0:
			return fmt.Errorf("option %s needs a value", arg)
		case !given:
			value, args = args[0], args[1:]
		}
		*o.to = value
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
