// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// rules prints what run would load, or removes what it loaded.
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
	t := firewall.Target{Backend: config.Backend(c.backend), Sets: config.SetsNFT}
	switch t.Backend {
	case config.BackendNFT:
		// Also where this kernel has no queue for nft: they can be read all the same.
		t.CutsFlows = nfq.CheckConntrack() == nil
		if cfg.Sets == config.SetsOff {
			t.Sets = config.SetsOff
		}
	case config.BackendIPTables:
		cfg.Backend = t.Backend
		if t, _, err = firewall.Detect(&cfg); err != nil {
			return c.fail(err)
		}
	case "", config.BackendAuto:
		if t, _, err = firewall.Detect(&cfg); err != nil {
			return c.fail(err)
		}
	default:
		return c.fail(fmt.Errorf("unknown backend %q: use nft or iptables", c.backend))
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
