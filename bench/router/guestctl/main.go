// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

func main() {
	if name := filepath.Base(os.Args[0]); name != "guestctl" {
		rc, err := remote(name, os.Args[1:])
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			rc = 1
		}
		os.Exit(rc)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guestctl:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command")
	}
	command, args := args[0], args[1:]
	numbers := func(from, count int) ([]int, error) {
		if len(args) != from+count {
			return nil, fmt.Errorf("%s: %d arguments wanted, %d given", command, from+count, len(args))
		}
		var n []int
		for _, a := range args[from:] {
			x, err := strconv.Atoi(a)
			if err != nil {
				return nil, err
			}
			n = append(n, x)
		}
		return n, nil
	}
	switch command {
	case "flood":
		n, err := numbers(1, 4)
		if err != nil {
			return err
		}
		return flood(args[0], n[0], n[1], n[2], n[3])
	case "cpu":
		n, err := numbers(0, 1)
		if err != nil {
			return err
		}
		return cpu(n[0])
	case "service":
		return service(args)
	case "first":
		return first(args)
	case "udp":
		n, err := numbers(1, 1)
		if err != nil {
			return err
		}
		return udp(args[0], n[0])
	case "echo":
		n, err := numbers(0, 1)
		if err != nil {
			return err
		}
		return echo(n[0])
	case "sink":
		n, err := numbers(0, 1)
		if err != nil {
			return err
		}
		return sink(n[0])
	case "bulk":
		n, err := numbers(2, 1)
		if err != nil {
			return err
		}
		return bulk(args[0], args[1], n[0])
	case "web":
		return web()
	case "visits":
		n, err := numbers(2, 1)
		if err != nil {
			return err
		}
		return visits(args[0], args[1], n[0])
	case "tcp":
		n, err := numbers(1, 2)
		if err != nil {
			return err
		}
		return tcp(args[0], n[0], n[1])
	}
	return fmt.Errorf("unknown command %q", command)
}
