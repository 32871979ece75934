// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	lines := flags.String("lines", "", "build nothing: read a crash report of this architecture's package on standard\ninput, and print it with the lines of this source")
	publish := flags.String("release", "", "make a release of this version: feeds with signed indexes, in a folder that any web\nserver can offer")
	keys := flags.String("keys", "", "the folder of the release's keys, made at the first release; default: p2pwall in the\nuser's folder for configuration")
	if err := flags.Parse(args); err != nil {
		return err
	}

	release, err := openRelease(*root)
	if err != nil {
		return err
	}
	if *lines != "" {
		return addLines(release, *lines)
	}
	if *out == "" {
		*out = release.path("dist")
	}
	if *publish != "" {
		return makeRelease(release, *publish, filepath.Join(*out, "release-"+*publish), *keys, *only)
	}
	if *deb {
		return buildDebian(release, *out, *only)
	}
	return buildOpenWrt(release, *out, *only)
}

// addLines adds the lines of the source to a crash report.
func addLines(r *release, arch string) error {
	targets, err := choose(openWrtTargets, arch)
	if err != nil {
		return err
	}
	exe, err := r.build(targets[0], r.root, "./cmd/p2pwall")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "p2pwall-lines-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(exe); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	cmd := r.leanCommand("-lines", file.Name())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}
