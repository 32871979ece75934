// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/notify"
	"github.com/p2pwall/p2pwall/procd/syslog"
)

// housekeeping is how often the daemon checks rules and devices.
const housekeeping = time.Second

// savePeriod is how often the daemon writes its state, if the state has changed.
const savePeriod = time.Minute

// Options are what Run needs in addition to the configuration.
type Options struct {
	_       [0]func() // not comparable: the code for == would cost flash
	Config  string    // path of the configuration
	NoRules bool      // another program loads the rules
	Version string
	Log     *syslog.Logger
}

// Run is the service. It blocks until the context or a signal ends it, and then removes
// its rules. On SIGHUP it reads the configuration again. On SIGUSR2 it ends for a
// successor: rules and sets stay. Run has logged the error that it returns.
func Run(ctx context.Context, o Options) error {
	cfg, err := config.Load(o.Config)
	if err != nil {
		o.Log.Failure(err)
		return err
	}
	if !cfg.Enabled {
		o.Log.Printf("disabled by \"option enabled\" in %s: nothing to do", o.Config)
		// systemd counts a service that ends without it as failed, and starts it again.
		notify.New(0).Ready()
		return nil
	}
	d := newDaemon(o, cfg)
	// Signals are caught before start: an early signal must not end the program and leave
	// its rules behind.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	// The program goes on when nobody reads its log any more. The signal is caught, not
	// ignored: child processes would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if err := d.start(); err != nil {
		d.stop(false)
		o.Log.Failure(err)
		return err
	}
	o.Log.Printf("version %s: %s", o.Version, d.summary())
	d.notifier.Ready()

	successor, err := d.serve(ctx, signals)
	d.notifier.Stopping()
	d.stop(successor)
	return err
}

// serve does what is due until the program has to end. It reports whether a successor takes
// the rules and sets over.
func (d *daemon) serve(ctx context.Context, signals <-chan os.Signal) (successor bool, err error) {
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
				d.log.Printf("ending for a successor: rules and sets stay")
				return true, nil
			default:
				d.log.Printf("ending: %v", s)
				return false, nil
			}
		case <-house.C:
			d.keepHouse()
		case <-save.C:
			d.save(false)
		case <-ctx.Done():
			d.log.Printf("ending: %v", context.Cause(ctx))
			return false, nil
		case err := <-d.failed:
			d.log.Errorf("the queue failed: %v", err)
			d.lastWords(err)
			return false, err
		}
	}
}
