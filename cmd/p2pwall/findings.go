// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"strings"

	"github.com/p2pwall/p2pwall/openwrt/check"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
)

// checkMachine verifies the configuration and the machine.
func checkMachine(c *call) int {
	cfg, err := config.Load(c.config)
	var all []check.Finding
	switch faults, ok := err.(config.Errors); {
	case ok:
		for _, f := range faults {
			all = append(all, check.Finding{Level: check.LevelError, What: f.Error()})
		}
	case err != nil:
		c.fail(err)
		return exitUsage
	case c.configOnly:
		all = []check.Finding{{Level: check.LevelOK, What: c.config}}
	default:
		all = check.Findings(&cfg)
	}
	if c.json {
		fmt.Fprintf(c.out, "%s\n", control.CheckReply(all))
		return check.ExitCode(all)
	}
	for _, f := range all {
		fmt.Fprintf(c.out, "%s: %s\n", f.Level, f.What)
		if f.Remedy != "" {
			fmt.Fprintf(c.out, "    %s\n", f.Remedy)
		}
	}
	return check.ExitCode(all)
}

// faults returns the faults of the configuration file. The daemon does not report them:
// it goes on with the configuration that it read last, and on OpenWrt it sees only a copy
// of the file.
func (c *call) faults() []string {
	_, err := config.Load(c.config)
	if all, ok := err.(config.Errors); ok && all[0].Line > 0 {
		return strings.Split(err.Error(), "\n")
	}
	return nil
}
