// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/p2pwall/p2pwall/cmd/p2pwall-replay/replay"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// prefixes is the value of -lan, which may be given several times.
type prefixes []netip.Prefix

func (p *prefixes) String() string {
	var s []string
	for _, x := range *p {
		s = append(s, x.String())
	}
	return strings.Join(s, ",")
}

// Set implements flag.Value.
func (p *prefixes) Set(s string) error {
	for _, w := range strings.Split(s, ",") {
		x, err := netip.ParsePrefix(w)
		if err != nil {
			a, err2 := netip.ParseAddr(w)
			if err2 != nil {
				return errors.New("use a network such as 192.168.1.0/24")
			}
			x = netip.PrefixFrom(a, a.BitLen())
		}
		*p = append(*p, x.Masked())
	}
	return nil
}

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // a capture or the configuration could not be read
	exitUsage  = 2
)

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("p2pwall-replay", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "usage: p2pwall-replay [--json] [-c FILE] [-lan NETWORK]... CAPTURE...\n")
		f.PrintDefaults()
	}
	var lan prefixes
	asJSON := f.Bool("json", false, "write one JSON object per capture and line")
	file := f.String("c", "", "configuration `FILE` in UCI syntax; without it, all that is known is blocked")
	f.Var(&lan, "lan", "`NETWORK` of the LAN, may be repeated; without it, each capture tells")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case f.NArg() == 0:
		f.Usage()
		return exitUsage
	}
	c := config.Default()
	for name, p := range c.Protocols {
		p.Mode = config.ModeBlock
		c.Protocols[name] = p
	}
	if *file != "" {
		var err error
		if c, err = config.Load(*file); err != nil {
			fmt.Fprintln(stderr, err)
			return exitFailed
		}
	}
	o := replay.Options{Engine: config.EngineConfig(c), LAN: lan}
	// A capture has no router's clock, leases or devices. Only the policies that need
	// none of these hold.
	o.Engine.Policies = c.EnginePolicies(&config.Surroundings{Index: func(string) uint32 { return 0 }})
	code := exitOK
	for _, path := range f.Args() {
		r, err := replay.Run(path, o)
		if err != nil {
			fmt.Fprintf(stderr, "p2pwall-replay: %s: %v\n", path, err)
			code = exitFailed
		}
		if r == nil {
			continue
		}
		if *asJSON {
			err = json.NewEncoder(stdout).Encode(r)
		} else {
			err = summary(stdout, r)
		}
		if err != nil {
			fmt.Fprintf(stderr, "p2pwall-replay: %v\n", err)
			return exitFailed
		}
	}
	return code
}
