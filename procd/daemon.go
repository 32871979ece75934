// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
	"github.com/p2pwall/p2pwall/procd/control"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/procd/lan"
	"github.com/p2pwall/p2pwall/procd/notify"
	"github.com/p2pwall/p2pwall/procd/outbox"
	"github.com/p2pwall/p2pwall/state"
)

// daemon is the running service. It belongs to Run's goroutine. Other goroutines read
// status, which has a lock, and reach the engines by state.Loop.Do.
type daemon struct {
	*complaints
	o       Options
	status  status
	workers workers
	rules   rules
	files   stateFiles

	policies policies

	journal  *events.Journal
	history  history.Table
	listener listener
	outbox   *outbox.Outbox
	troubles troubles
	server   *control.Server
	notifier *notify.Notifier
	flows    *flowCutter
	locks    lockSharer

	links   lan.Watch
	looked  bool // watchDevices saw what links speaks of
	rounds  int  // how often keepHouse ran
	names   names
	place   atomic.Pointer[time.Location] // the router's time zone; nil: the system's
	inbound chan string                   // what inboundOpen found
	failed  chan error
	done    chan struct{} // closed at the end, which ends the helpers
	helpers sync.WaitGroup
}

func newDaemon(o Options, c config.Config) *daemon {
	d := &daemon{
		complaints: newComplaints(o.Log), o: o,
		journal: events.NewJournal(time.Now), listener: listener{log: o.Log}, notifier: notify.New(c.Queues),
		flows: newFlowCutter(o.Log), locks: make(lockSharer, 64),
		inbound: make(chan string, 1), failed: make(chan error, c.Queues), done: make(chan struct{}),
	}
	router, _ := os.ReadFile("/proc/sys/kernel/hostname")
	d.outbox = outbox.New(strings.TrimSpace(string(router)), o.Log, d.done, d.describe, d.now)
	d.listener.outbox = d.outbox
	d.status = status{o: &d.o, started: time.Now(), cfg: c}
	d.policies = policies{complaints: d.complaints, clock: time.Now}
	d.policies.pause.begin = d.status.started
	d.status.pause = &d.policies.pause
	d.files = stateFiles{complaints: d.complaints, path: c.StateFile, version: o.Version}
	d.rules = rules{
		complaints: d.complaints, status: &d.status, journal: d.journal,
		keeper: firewall.Keeper{HoldFile: firewall.HoldFile},
	}
	d.rules.keeper.OnPlace = func(t firewall.Target) { d.workers.setRepeat(t.Repeats()) }
	return d
}

// start starts everything. On an error the caller stops what was started.
func (d *daemon) start() error {
	c := &d.status.cfg
	d.links = lan.NewWatch()
	if err := d.findDevices(); err != nil && !errors.Is(err, errNoLAN) {
		return err
	}
	if !d.o.NoRules && len(d.status.names) > 0 {
		d.rules.keeper.Prepare(c)
	}
	d.findPlace()
	d.policies.told = d.policies.now(c, d.status.devices)
	d.status.setPolicies(d.policies.told)
	if err := d.openQueues(c); err != nil {
		return err
	}
	d.files.restoreJournal(d.journal)
	d.files.restoreHistory(&d.history, c.HistoryFile)
	if err := d.listen(c); err != nil {
		return err
	}
	d.outbox.Configure(c.Notify)
	d.names.configure(c)
	d.listener.configure(c)
	d.startHelpers(c)
	if err := countPackets(); err != nil {
		d.log.Warnf("%v", err)
	}
	for _, w := range d.workers {
		d.helpers.Go(func() {
			if err := w.loop.Run(); err != nil {
				d.failed <- err
			}
		})
	}
	switch {
	case d.o.NoRules:
		d.status.setRules("none (--no-rules)", string(config.SetsOff), true)
		return nil
	case len(d.status.names) == 0:
		// The rules of an earlier instance are for devices that this one does not have.
		d.status.setRules("none (no LAN device)", string(config.SetsOff), false)
		return d.rules.keeper.Remove()
	}
	if err := d.rules.begin(c); err != nil {
		return err
	}
	d.helpers.Go(d.askStanding)
	return nil
}

func (d *daemon) openQueues(c *config.Config) error {
	for i := range c.Queues {
		w, err := openWorker(c, i, d.log)
		if err != nil {
			return err
		}
		d.workers = append(d.workers, w)
		clock := state.Clock(d.status.started)
		now := clock()
		e, restored := d.files.restore(i, now, func() *state.Engine { return d.newEngine(c, w.sender, now) })
		d.rules.ours = d.rules.ours || restored
		w.start(e, clock, func() { d.notifier.Beat(i) }, d.log)
	}
	d.rules.workers = d.workers
	return nil
}

// engineConfig returns the part of a configuration that engines need.
func (d *daemon) engineConfig(c *config.Config) state.Config {
	e := config.EngineConfig(*c)
	e.Policies = d.policies.told
	return e
}

func (d *daemon) newEngine(c *config.Config, sender *nfq.Sender, now state.Time) *state.Engine {
	e := state.New(d.engineConfig(c), sender, nil, rand.Uint32())
	e.OnEvent = d.journal.Record
	e.OnCut = d.flows.note
	if c.Queues > 1 {
		e.OnLock = d.locks.of(e)
	}
	e.SetDevices(d.status.devices)
	e.Advance(now)
	return e
}

func (d *daemon) listen(c *config.Config) (err error) {
	service := &control.Service{
		Journal: d.journal, History: &d.history, PID: os.Getpid(), Info: d.status.info, Check: d.status.check, LAN: d.status.lan,
		Receivers: d.outbox.Receivers, TestReceivers: d.outbox.Test, Now: d.now, Name: d.names.of,
		Pause: d.policies.pause.set,
	}
	for _, w := range d.workers {
		service.Loops = append(service.Loops, w.loop)
	}
	d.server, err = control.Listen(c.Control, service.Handle)
	return err
}

// startHelpers starts the goroutines that wait for other programs or the kernel. Workers
// must not wait.
func (d *daemon) startHelpers(c *config.Config) {
	d.helpers.Go(func() { d.journal.Run(d.done, d.listener.each()) })
	d.helpers.Go(func() { d.notifier.Watch(d.done) })
	d.helpers.Go(d.outbox.Run)
	d.helpers.Go(func() { d.locks.run(d.done, d.workers) })
	if !d.o.NoRules {
		d.helpers.Go(func() {
			d.flows.run(d.done, func() error { return d.workers.cutFlows(d.status.marks(), d.status.lan()) })
		})
	}
}

// stop ends everything that was started. For a successor rules and sets stay: the kernel
// alone goes on blocking what is locked.
func (d *daemon) stop(successor bool) {
	if d.server != nil {
		d.workers.do((*state.Engine).End)
	}
	d.rules.countGone()
	if !successor { // before the files: a busy disk takes seconds to write them
		d.rules.remove()
	}
	if d.server != nil {
		d.save(true)
		if !successor { // a successor reads the copy in RAM
			d.files.flashHistory(&d.history, d.status.cfg.HistoryFile)
		}
	}
	if d.server != nil {
		for _, w := range d.workers {
			w.loop.Stop()
		}
		d.server.Close()
	}
	close(d.done)
	d.helpers.Wait()
	d.listener.close()
	d.links.Close()
	for _, w := range d.workers {
		w.close()
	}
}

// save writes all state files, or only those of engines whose counters changed.
func (d *daemon) save(all bool) {
	d.history.Take(d.now(), d.workers.do)
	d.files.save(all, d.workers, d.journal)
	d.files.saveHistory(&d.history, d.status.cfg.HistoryFile)
}

// errNoLAN says that no LAN device is known. A daemon that starts without one waits for a
// configuration that names one. If it ended, the service manager would only start it
// again.
var errNoLAN = errors.New("no LAN device is known")

func (d *daemon) findDevices() error {
	d.looked = false
	names, missing, err := d.status.cfg.LANDevices()
	if err != nil {
		return err
	}
	what := ""
	if len(missing) > 0 {
		what = "no device is known for network " + strings.Join(missing, ", ")
	}
	if len(names) == 0 {
		if what == "" {
			what = errNoLAN.Error()
		}
		d.say("networks", what+": nothing is watched; name a device with \"list device\" (Debian), "+
			"or a network of /etc/config/network with \"list network\" (OpenWrt), in "+d.o.Config+" and reload")
		return errNoLAN
	}
	d.say("networks", what)
	devices, err := lan.Devices(names)
	if err != nil {
		return err
	}
	d.status.setDevices(names, devices)
	return nil
}

// historyEvery: in every tenth round of keepHouse the history is brought up to date, and
// the end of exemptions is noticed. Devices are looked at even if the kernel said nothing.
const historyEvery = 10

// keepHouse checks devices, policies and rules. It runs every second.
func (d *daemon) keepHouse() {
	d.rounds++
	tenth := d.rounds%historyEvery == 0
	if d.links.Changed() || !d.looked || tenth {
		d.watchDevices()
	}
	d.watchPolicies()
	if d.rounds == historyEvery {
		// The start is over. The runtime would keep the memory that it took.
		debug.FreeOSMemory()
	}
	if tenth {
		d.findPlace()
		d.history.Take(d.now(), d.workers.do)
		d.watchExemptions()
	}
	if !d.o.NoRules {
		d.rules.check()
	}
	d.lookForTrouble()
}

// watchDevices notes devices that come or go, and addresses that change.
func (d *daemon) watchDevices() {
	now, err := lan.Devices(d.status.names)
	said := ""
	if err != nil {
		said, now = err.Error(), d.status.devices
	}
	d.looked = err == nil
	d.say("addresses", said)
	if !lan.Same(now, d.status.devices) {
		d.status.setDevices(d.status.names, now)
		d.workers.do(func(e *state.Engine, _ state.Time) { e.SetDevices(now) })
		if !d.o.NoRules {
			d.rules.joinGroups(&d.status.cfg)
		}
	}
	for _, name := range d.status.names {
		missing := ""
		if !slices.ContainsFunc(now, func(x state.Device) bool { return x.Name == name }) {
			missing = "device " + name + " is not there: its hosts are not watched until it is"
		}
		d.say("device "+name, missing)
	}
}

// summary says in one line which devices are watched, and by which rules and sets.
func (d *daemon) summary() string {
	s := &d.status
	if len(s.names) == 0 {
		return "watching nothing"
	}
	return fmt.Sprintf("watching %s, rules by %s, sets by %s, lock time %v",
		strings.Join(s.names, " "), s.backend, s.sets, s.cfg.TimeLock)
}
