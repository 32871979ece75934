// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/syslog"
)

// housekeeping is how often rules and devices are looked at.
const housekeeping = time.Second

// savePeriod is how often the state is written when it changed.
const savePeriod = time.Minute

// Options are what Run has to know beside the configuration.
type Options struct {
	_       [0]func() // is not compared, which would cost flash
	Config  string    // path of the configuration
	NoRules bool      // somebody else loads rules
	Version string
	Log     *syslog.Logger
}

// Run is the service: it finds and blocks until the context or a signal ends it, and
// takes its rules away again. SIGHUP has it read the configuration anew. SIGUSR2 ends
// it for a successor: rules and sets stay. An error that it returns is in the log.
func Run(ctx context.Context, o Options) error {
	cfg, err := config.Load(o.Config)
	if err != nil {
		o.Log.Failure(err)
		return err
	}
	if !cfg.Enabled {
		o.Log.Printf("disabled by \"option enabled\" in %s: nothing to do", o.Config)
		return nil
	}
	d := newDaemon(o, cfg)
	// Signals from the first moment on: an early one must not leave rules.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	// A log that nobody reads any more is no reason to end. To ignore the
	// signal would be passed on to the programs that are run.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if err := d.start(); err != nil {
		d.stop(false)
		o.Log.Failure(err)
		return err
	}
	o.Log.Printf("version %s: %s", o.Version, d.summary())
	d.notifier.Ready()

	house := time.NewTicker(housekeeping)
	defer house.Stop()
	save := time.NewTicker(savePeriod)
	defer save.Stop()
	successor := false
	for {
		select {
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				d.notifier.Reloading()
				d.reload()
				d.notifier.Ready()
				continue
			case syscall.SIGUSR2:
				o.Log.Printf("ending for a successor: rules and sets stay")
				successor = true
			default:
				o.Log.Printf("ending: %v", s)
			}
		case <-house.C:
			d.keepHouse()
			continue
		case <-save.C:
			d.save(false)
			continue
		case <-ctx.Done():
			o.Log.Printf("ending: %v", context.Cause(ctx))
		case err = <-d.failed:
			o.Log.Errorf("the queue failed: %v", err)
			d.lastWords(err)
		}
		d.notifier.Stopping()
		d.stop(successor)
		return err
	}
}
