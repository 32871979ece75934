// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/p2pwall/p2pwall/procd"
	"github.com/p2pwall/p2pwall/procd/syslog"
)

// idleGC is the value of GOGC if the environment sets none. The packet path allocates
// nothing, so a small heap costs no time.
const idleGC = 10

// run runs the daemon until a signal ends it.
func run(c *call) int {
	log, err := syslog.Open(c.log, c.errOut)
	if err != nil {
		return c.fail(err)
	}
	if c.user != "" {
		log.Failure(procd.Become(c.user, c.withoutUser()))
		return exitFailure
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(idleGC)
	}
	if procd.Run(context.Background(), procd.Options{Config: c.config, NoRules: c.noRules, Version: version, Log: log}) != nil {
		return exitFailure
	}
	return exitOK
}

// withoutUser returns the arguments of the same call without --user.
func (c *call) withoutUser() []string {
	args := []string{os.Args[0], c.name, "-c", c.config}
	if c.log != "" {
		args = append(args, "--log", c.log)
	}
	if c.noRules {
		args = append(args, "--no-rules")
	}
	return args
}
