// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	root := flags.String("root", "", "the checkout; default: looked for upwards from here")
	out := flags.String("out", "", "where the packages go; default: dist in the checkout")
	deb := flags.Bool("deb", false, "build the Debian packages instead of OpenWrt's")
	only := flags.String("only", "", "build for these architectures only, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}

	release, err := openRelease(*root)
	if err != nil {
		return err
	}
	if *out == "" {
		*out = release.path("dist")
	}
	if *deb {
		return buildDebian(release, *out, *only)
	}
	return buildOpenWrt(release, *out, *only)
}
