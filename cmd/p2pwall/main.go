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
	commit  string // of the source, or ""
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // also: check found that the program cannot work
)

type command struct {
	name, args  string
	help        string
	options     string          // names of its options for call.option, besides -c
	run         func(*call) int // returns the exit code
	least, most int             // how many arguments the command takes
}

// commands are the commands of the program itself. Those that ask the daemon are in
// control.Commands; the help lists them after the first one here.
var commands = [...]command{
	{name: "run", help: "find and block, in the foreground", options: "c no-rules user log", run: run},
	{name: "check", help: "is the configuration good, can the machine do it", options: "c config json", run: checkMachine},
	{name: "rules", help: "print the rules that run would load", options: "c backend remove", run: rules},
	{name: "ctl", args: " JSON", help: "send one request to the control socket", run: ctl, least: 1, most: 1},
	{name: "version", help: "print the version", run: printVersion},
}

// asking sets x to the command that sends the control socket's command c.
func (x *command) asking(c *control.Command) {
	*x = command{name: c.Name, help: c.Help, run: ask}
	switch c.Host {
	case control.May:
		x.args, x.most = " [HOST]", 1
	case control.Must:
		x.args, x.least, x.most = " HOST", 1, 1
	}
	if c.Number == "seconds" {
		x.args += " [SECONDS]"
		x.most++
	}
	if !c.Changes {
		x.options = "json"
	}
}

// each calls f with every command, in the order of the help, until it returns false.
func each(f func(*command) bool) {
	for i := range commands {
		if !f(&commands[i]) {
			return
		}
		for j := 0; i == 0 && j < len(control.Commands); j++ {
			if c := &control.Commands[j]; c.Help != "" {
				var x command
				if x.asking(c); !f(&x) {
					return
				}
			}
		}
	}
}

func usage() string {
	const column = 35 // where the descriptions begin
	text := "usage: p2pwall COMMAND [OPTIONS]\n\n"
	each(func(x *command) bool {
		line := "  " + x.name
		c := &call{command: x}
		for _, name := range strings.Fields(x.options) {
			dashes := " [--"
			if len(name) == 1 {
				dashes = " [-"
			}
			line += dashes + name
			if _, _, value := c.option(name); value != "" {
				line += " " + value
			}
			line += "]"
		}
		line += x.args
		if len(line) >= column {
			text += line + "\n"
			line = ""
		}
		text += fmt.Sprintf("%-*s%s\n", column, line, x.help)
		return true
	})
	return text + "\nFILE is " + config.DefaultPath + " unless it is given.\n"
}

// call is one call of a command.
type call struct {
	*command
	args        []string // the arguments that are not options
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
	code := -1
	each(func(x *command) bool {
		if x.name == name {
			code = x.do(args[1:], out, errOut)
		}
		return code < 0
	})
	if code >= 0 {
		return code
	}
	fmt.Fprintf(errOut, "p2pwall: unknown command %q\n\n%s", name, usage())
	return exitUsage
}

func (x *command) do(args []string, out, errOut io.Writer) int {
	c := &call{command: x, config: config.DefaultPath, out: out, errOut: errOut}
	err := c.parse(args)
	switch {
	case err == errHelp:
		fmt.Fprint(out, usage())
		return exitOK
	case err == nil && len(c.args) < x.least:
		err = errors.New("an argument is missing")
	case err == nil && len(c.args) > x.most:
		err = fmt.Errorf("too many arguments: %s", strings.Join(c.args[x.most:], " "))
	}
	if err != nil {
		fmt.Fprintf(errOut, "p2pwall %s: %v\n\n%s", x.name, err, usage())
		return exitUsage
	}
	return x.run(c)
}

var errHelp = errors.New("help is wanted")

// option returns the variable that an option sets: a flag, or a string whose name in the
// help is value. Both are nil if the command has no such option. Every command has the
// option -c.
func (c *call) option(name string) (flag *bool, to *string, value string) {
	if name != "c" && !slices.Contains(strings.Fields(c.command.options), name) {
		return nil, nil, ""
	}
	switch name {
	case "c":
		return nil, &c.config, "FILE"
	case "no-rules":
		flag = &c.noRules
	case "user":
		return nil, &c.user, "NAME"
	case "log":
		return nil, &c.log, "stderr|journal|syslog"
	case "json":
		flag = &c.json
	case "config":
		flag = &c.configOnly
	case "backend":
		return nil, &c.backend, "nft|iptables"
	case "remove":
		flag = &c.remove
	}
	return flag, nil, ""
}

// parse reads the options. They may stand before and after the arguments, and begin with
// one dash or two.
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
		flag, to, _ := c.option(name)
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
