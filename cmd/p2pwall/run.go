// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd"
	"github.com/p2pwall/p2pwall/procd/syslog"
)

// idleGC is the garbage collector's target where the environment sets none:
// nothing is allocated on the packet path, so a small heap costs no time.
const idleGC = 25

// housekeeping is how often rules and devices are looked at.
const housekeeping = time.Second

// savePeriod is how often the state is written when it changed.
const savePeriod = time.Minute

// run is the daemon: it returns when a signal ends it.
func run(c *call) int {
	log, err := syslog.Open(c.log, c.errOut)
	if err != nil {
		return c.fail(err)
	}
	if c.user != "" {
		return logFailure(log, procd.Become(c.user, c.withoutUser()))
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(idleGC)
	}
	cfg, err := config.Load(c.config)
	if err != nil {
		return logFailure(log, err)
	}
	if !cfg.Enabled {
		log.Printf("disabled by \"option enabled\" in %s: nothing to do", c.config)
		return exitOK
	}
	d := newDaemon(c, cfg, log)
	// Signals from the first moment on: an early one must not leave rules.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	// A log that nobody reads any more is no reason to end. To ignore the
	// signal would be passed on to the programs that are run.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if err := d.start(); err != nil {
		d.stop(false)
		return logFailure(log, err)
	}
	log.Printf("version %s: %s", version, d.summary())
	d.notifier.Ready()

	house := time.NewTicker(housekeeping)
	defer house.Stop()
	save := time.NewTicker(savePeriod)
	defer save.Stop()
	for {
		select {
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				d.notifier.Reloading()
				d.reload()
				d.notifier.Ready()
			case syscall.SIGUSR2:
				log.Printf("ending for a successor: rules and sets stay")
				d.notifier.Stopping()
				d.stop(true)
				return exitOK
			default:
				log.Printf("ending: %v", s)
				d.notifier.Stopping()
				d.stop(false)
				return exitOK
			}
		case <-house.C:
			d.keepHouse()
		case <-save.C:
			d.save(false)
		case err := <-d.failed:
			log.Errorf("the queue failed: %v", err)
			d.notifier.Stopping()
			d.stop(false)
			return exitFailure
		}
	}
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

func logFailure(log *syslog.Logger, err error) int {
	for _, line := range strings.Split(err.Error(), "\n") {
		log.Errorf("%s", line)
	}
	return exitFailure
}

const acctFile = "/proc/sys/net/netfilter/nf_conntrack_acct"

// countPackets has the kernel count the packets of connections, which the rules
// need. OpenWrt does so by default, Debian does not.
func countPackets() error {
	b, err := os.ReadFile(acctFile)
	if err != nil || strings.TrimSpace(string(b)) != "0" {
		return nil // no connection tracking to set up yet, or already on
	}
	if err := os.WriteFile(acctFile, []byte("1"), 0); err != nil {
		return fmt.Errorf("the kernel does not count packets of connections, connections will be read longer than needed: "+
			"set net.netfilter.nf_conntrack_acct=1 with sysctl (%w)", err)
	}
	return nil
}
