// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
)

// socket returns the control socket's path. It returns the default path if there is no
// configuration file, because status should still reach the daemon.
func (c *call) socket() (string, error) {
	cfg, err := config.Load(c.config)
	if cfg.Control != "" { // set even if the file has faults
		return cfg.Control, nil
	}
	if errors.Is(err, fs.ErrNotExist) || c.config == config.DefaultPath {
		d := config.Default()
		return d.Control, nil
	}
	return "", err
}

// ask sends the command to the daemon as a request and prints the reply.
func ask(c *call) int {
	req := control.Request{Cmd: c.name, Text: !c.json}
	x := control.Find(c.name)
	if x.Host != control.None && len(c.args) > 0 {
		a, err := netip.ParseAddr(c.args[0])
		if err != nil {
			return c.fail(fmt.Errorf("%q is no IP address: \"p2pwall clients\" lists them", c.args[0]))
		}
		req.Host = a.String()
		c.args = c.args[1:]
	}
	if x.Number == "seconds" {
		req.Seconds = 3600
		if len(c.args) > 0 {
			n, err := strconv.ParseInt(c.args[0], 10, 64)
			if err != nil || n < 0 {
				return c.fail(fmt.Errorf("%q is no number of seconds", c.args[0]))
			}
			req.Seconds = n
		}
	}
	return c.exchange(req)
}

// patience is how long a reply may take. A check runs programs.
const patience = time.Minute

// exchange sends a request and prints the reply. For a request whose reply goes on it
// prints every line.
func (c *call) exchange(req control.Request) int {
	follow, wait := false, patience
	if x := control.Find(req.Cmd); x != nil {
		follow = x.Follows
	}
	if follow {
		wait = 0
	}
	path, err := c.socket()
	if err != nil {
		return c.fail(err)
	}
	code, lines := exitOK, 0
	var faults []string
	if req.Cmd == "status" || req.Cmd == "page" {
		faults = c.faults()
	}
	err = control.Call(path, control.AppendRequest(nil, req), wait, func(line []byte) bool {
		lines++
		if c.json || c.name == "ctl" {
			fmt.Fprintf(c.out, "%s\n", control.AppendFaults(line, faults))
			if bytes.HasPrefix(line, []byte(`{"error":`)) {
				code = exitFailure
			}
			return follow && code == exitOK
		}
		text, err := control.ParseText(line)
		switch {
		case err != nil:
			code = c.fail(err)
			return false
		case follow:
			fmt.Fprintln(c.out, text)
		default:
			fmt.Fprint(c.out, text)
			for _, f := range faults {
				fmt.Fprintf(c.out, "FAULT    %s\n", f)
			}
			if faults != nil {
				fmt.Fprintln(c.out, "FAULT    the configuration is not in force: the daemon goes on with the one before")
			}
		}
		return follow
	})
	if err != nil {
		return c.fail(err)
	}
	switch {
	case code != exitOK:
	case follow:
		return c.fail(errors.New("the daemon has ended"))
	case lines == 0:
		return c.fail(errors.New("the daemon hung up without an answer: look at its log"))
	}
	return code
}

// ctl sends a request given as JSON. Scripts and LuCI use it.
func ctl(c *call) int {
	req, err := control.ParseRequest([]byte(c.args[0]))
	if err != nil {
		return c.fail(err)
	}
	return c.exchange(req)
}
