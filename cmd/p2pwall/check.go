// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// rules prints the rules that run would load, or removes the loaded ones.
func rules(c *call) int {
	cfg, err := config.Load(c.config)
	if err != nil {
		return c.fail(err)
	}
	if c.remove {
		k := firewall.Keeper{HoldFile: firewall.HoldFile}
		if err := k.Remove(); err != nil {
			return c.fail(err)
		}
		return exitOK
	}
	t, err := firewall.Choose(&cfg, config.Backend(c.backend))
	if err != nil {
		return c.fail(err)
	}
	devices, missing, err := cfg.LANDevices()
	if err != nil {
		return c.fail(err)
	}
	for _, n := range missing {
		fmt.Fprintf(c.errOut, "p2pwall: no device is known for network %s\n", n)
	}
	t.Devices = devices
	r, err := firewall.MakeRules(&cfg, t)
	if err != nil {
		return c.fail(err)
	}
	fmt.Fprint(c.out, r)
	return exitOK
}
