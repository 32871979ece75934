// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"

	"github.com/p2pwall/p2pwall/openwrt"
)

// check verifies the configuration and the machine.
func check(c *call) int {
	cfg, err := openwrt.Load(c.config)
	if err != nil {
		faults, ok := errors.AsType[openwrt.Errors](err)
		if !ok {
			c.fail(err)
			return exitUsage
		}
		for _, f := range faults {
			fmt.Fprintf(c.out, "error: %v\n", f)
		}
		return exitUsage
	}
	if c.configOnly {
		fmt.Fprintf(c.out, "ok: %s\n", c.config)
		return exitOK
	}
	all := openwrt.Findings(&cfg)
	for _, f := range all {
		fmt.Fprintf(c.out, "%s: %s\n", f.Level, f.What)
		if f.Remedy != "" {
			fmt.Fprintf(c.out, "    %s\n", f.Remedy)
		}
	}
	return openwrt.ExitCode(all)
}
