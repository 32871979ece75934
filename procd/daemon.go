// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/check"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
	"github.com/p2pwall/p2pwall/procd/control"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/lan"
	"github.com/p2pwall/p2pwall/procd/notify"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// worker is one queue with its engine.
type worker struct {
	queue  *nfq.Queue
	sender *nfq.Sender
	loop   *state.Loop
	sets   *nfq.SetWriter
	saved  state.Counters // what the state file was written with

	neighbours *nfq.NeighbourAsker
}

// daemon is the wiring of a running wall.
type daemon struct {
	o        Options
	log      *syslog.Logger
	started  time.Time
	journal  *events.Journal
	notifier *notify.Notifier
	server   *control.Server
	keeper   *firewall.Keeper
	marks    nfq.Marks // as at the start
	workers  []*worker
	failed   chan error
	done     chan struct{} // closed at the end, for the journal and commands
	helpers  sync.WaitGroup
	restored bool
	loading  bool              // rules were loaded, or half so
	complain map[string]string // what was said last, by subject

	// mu guards what the control socket and the journal read.
	mu       sync.Mutex
	cfg      config.Config
	names    []string // of the LAN devices
	devices  []state.Device
	backend  string
	setsKind string
	rulesOK  bool
	restart  []string // options whose new values need a restart
	commands *events.Commands

	held   chan heldBy // locks that the other engines are to know of
	groups nfq.Groups
	flows  *flowCutter
	rounds int    // of the housekeeping
	logged uint64 // the last event in the log's file
}

func newDaemon(o Options, cfg config.Config) *daemon {
	d := &daemon{
		o: o, cfg: cfg, log: o.Log, started: time.Now(),
		journal: events.NewJournal(time.Now), flows: newFlowCutter(), notifier: notify.New(cfg.Queues),
		keeper: &firewall.Keeper{HoldFile: firewall.HoldFile}, marks: cfg.Marks(),
		failed: make(chan error, cfg.Queues), done: make(chan struct{}),
		complain: map[string]string{}, held: make(chan heldBy, 64),
	}
	d.keeper.OnPlace = d.setRepeat
	return d
}

// say logs a line about a subject, once until it changes; "" ends it.
func (d *daemon) say(subject, what string) {
	if d.complain[subject] == what {
		return
	}
	d.complain[subject] = what
	if what != "" {
		d.log.Warnf("%s", what)
	}
}

// start brings everything up. On an error the caller stops what is up.
func (d *daemon) start() error {
	if err := d.findDevices(); err != nil && !errors.Is(err, errNoLAN) {
		return err
	}
	if !d.o.NoRules && len(d.names) > 0 {
		d.keeper.Prepare(&d.cfg)
	}
	service := &control.Service{Journal: d.journal, PID: os.Getpid(), Info: d.info, Check: d.check, LAN: d.lan}
	if err := d.openQueues(); err != nil {
		return err
	}
	for _, w := range d.workers {
		service.Loops = append(service.Loops, w.loop)
	}
	if path := d.journalPath(); path != "" {
		b, err := readState(path)
		if err == nil && b != nil {
			err = d.journal.Restore(b, d.o.Version)
		}
		if err != nil {
			d.log.Printf("log of events %s: %v", path, err)
		}
	}
	var err error
	if d.server, err = control.Listen(d.cfg.Control, service.Handle); err != nil {
		return err
	}
	d.setCommands()
	d.helpers.Go(func() { d.journal.Run(d.done, d.eventFunc()) })
	d.helpers.Go(func() { d.notifier.Watch(d.done) })
	d.helpers.Go(d.shareLocks)
	if !d.o.NoRules {
		d.helpers.Go(func() { d.flows.run(d) })
	}
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
	if d.o.NoRules {
		d.backend, d.setsKind, d.rulesOK = "none (--no-rules)", string(config.SetsOff), true
		return nil
	}
	if len(d.names) == 0 {
		// What an instance before this one left is for devices of that one.
		d.mu.Lock()
		d.backend, d.setsKind = "none (no LAN device)", string(config.SetsOff)
		d.mu.Unlock()
		return d.keeper.Remove()
	}
	return d.watch()
}

// watch loads the rules for the first time.
func (d *daemon) watch() error {
	first := !d.restored // loading the rules sets it
	var suspects []nfq.AddrPort
	if first {
		suspects = d.lookAgain()
	}
	if err := d.loadRules(); err != nil {
		return err
	}
	d.suspect(suspects)
	return nil
}

// lookAgain has the kernel count the LAN's UDP flows anew, so that the rules
// find none that is past its first packets. It returns who may be a client, to be
// asked when the rules are there.
func (d *daemon) lookAgain() (suspects []nfq.AddrPort) {
	var err error
	if lan := d.lan(); d.cfg.Sifts() {
		suspects, err = nfq.LookAgain(lan)
	} else {
		_, err = nfq.DeleteUDPFlows(lan)
	}
	if err != nil {
		d.log.Warnf("%v: a client that runs already is found when it asks somebody new", err)
	}
	return suspects
}

// lan returns the LAN's networks.
func (d *daemon) lan() []netip.Prefix {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lan []netip.Prefix
	for i := range d.devices {
		lan = append(lan, d.devices[i].Prefixes...)
	}
	return lan
}

// suspect has hosts asked what they are. The answer comes to one of the workers.
func (d *daemon) suspect(all []nfq.AddrPort) {
	for _, w := range d.workers {
		w.loop.Do(func(e *state.Engine, now state.Time) {
			for _, a := range all {
				e.Suspect(a, now)
			}
		})
	}
}

// openQueues opens the queues and makes an engine for each.
func (d *daemon) openQueues() error {
	for i := range d.cfg.Queues {
		q, degraded, err := nfq.Open(nfq.Config{
			Num: d.cfg.Queue + uint16(i), MaxLen: d.cfg.QueueLength,
			CopyRange: d.cfg.CopyRange, FailOpen: d.cfg.FailOpen, Marks: d.marks,
		})
		if err != nil {
			return err
		}
		w := &worker{queue: q}
		d.workers = append(d.workers, w)
		for _, line := range degraded {
			d.log.Warnf("%s", line)
		}
		if w.sender, err = nfq.OpenSender(d.marks.Own); err != nil {
			return err
		}
		clock := state.Clock(d.started)
		w.loop = state.NewLoop(d.newEngine(w, clock()), q, clock)
		w.loop.OnBeat = func() { d.notifier.Beat(i) }
		d.restore(w, i, clock())
		prober := nfq.NewTCPProber(func(id uint64, answer []byte) {
			w.loop.Do(func(e *state.Engine, now state.Time) { e.ProbedTCP(id, answer, now) })
		})
		w.loop.Engine.SetProber(prober)
		var said sync.Once
		w.neighbours = nfq.NewNeighbourAsker(func(id uint64, info nfq.NeighbourInfo, err error) {
			mac := info.MAC
			if err != nil {
				said.Do(func() { d.log.Warnf("%v: whose address cannot be known is not locked (said once)", err) })
				mac = nfq.MAC{}
			}
			w.loop.Do(func(e *state.Engine, now state.Time) { e.Neighbour(id, mac, info.Addrs4 > 1, info.Invited, now) })
		})
		w.loop.Engine.SetNeighbours(w.neighbours)
	}
	return nil
}

func (d *daemon) newEngine(w *worker, now state.Time) *state.Engine {
	e := state.New(config.EngineConfig(d.cfg), w.sender, nil, rand.Uint32())
	e.OnEvent = d.journal.Record
	e.OnCut = d.flows.note
	if d.cfg.Queues > 1 {
		e.OnLock = func(x *state.Held) {
			select {
			case d.held <- heldBy{*x, e}:
			default: // it is told again when the lock is renewed
			}
		}
	}
	e.SetDevices(d.devices)
	e.Advance(now)
	return e
}

// heldBy is a lock, and the engine that has it.
type heldBy struct {
	state.Held
	engine *state.Engine
}

// shareLocks has a host that is locked in one queue locked in all.
func (d *daemon) shareLocks() {
	for {
		select {
		case <-d.done:
			return
		case x := <-d.held:
			for _, w := range d.workers {
				w.loop.Do(func(e *state.Engine, now state.Time) {
					if e != x.engine {
						e.Hold(&x.Held, now)
					}
				})
			}
		}
	}
}

// journalPath is where the log of events outlives a restart, "" for nowhere.
func (d *daemon) journalPath() string {
	if d.cfg.StateFile == "" {
		return ""
	}
	return d.cfg.StateFile + ".events"
}

// statePath is the state file of worker i.
func (d *daemon) statePath(i int) string {
	if i == 0 || d.cfg.StateFile == "" {
		return d.cfg.StateFile
	}
	return fmt.Sprintf("%s.%d", d.cfg.StateFile, i)
}

// restore reads what the last run left. A file that cannot be used is set
// aside, and the start goes on empty.
func (d *daemon) restore(w *worker, i int, now state.Time) {
	path := d.statePath(i)
	if path == "" {
		return
	}
	b, err := readState(path)
	if err != nil {
		d.log.Warnf("state file: %v: starting empty", err)
		return
	}
	if b == nil {
		return
	}
	if err := w.loop.Engine.Restore(b, now); err != nil {
		aside := path + ".damaged"
		where := "moved to " + aside
		if e := os.Rename(path, aside); e != nil {
			where = "left where it is: " + e.Error()
		}
		d.log.Warnf("state file %s: %v: %s, starting empty", path, err, where)
		w.loop.Engine = d.newEngine(w, now)
		return
	}
	d.restored = true
	if n, locked := w.loop.Engine.Len(); n > 0 {
		d.log.Printf("state file %s: %d clients, %d of them locked", path, n, locked)
	}
}

// save writes the state files: all, or those of engines that did something.
func (d *daemon) save(all bool) {
	for i, w := range d.workers {
		path := d.statePath(i)
		if path == "" {
			continue
		}
		var b []byte
		var counters state.Counters
		snapshot := func(e *state.Engine, now state.Time) {
			if counters = e.Counters; all || counters != w.saved {
				b = e.Snapshot(nil, now)
			}
		}
		if !w.loop.Do(snapshot) {
			snapshot(w.loop.Engine, w.loop.Now()) // the loop failed: nobody owns the engine
		}
		if b == nil {
			continue
		}
		if err := writeState(path, b); err != nil {
			d.say("state", fmt.Sprintf("state file: %v: locks will not survive a restart", err))
			continue
		}
		d.say("state", "")
		w.saved = counters
	}
	if path := d.journalPath(); path != "" && (all || d.journal.Last() != d.logged) {
		d.logged = d.journal.Last()
		if err := writeState(path, d.journal.Snapshot(nil, d.o.Version)); err != nil {
			d.say("events", fmt.Sprintf("log of events: %v: it will not survive a restart", err))
			return
		}
		d.say("events", "")
	}
}

// stop ends everything that is up. For a successor, rules and sets stay: what is
// locked stays locked by the kernel alone.
func (d *daemon) stop(successor bool) {
	d.countGone()
	if d.server != nil {
		d.save(true)
	}
	if !successor && d.loading {
		if err := d.keeper.Remove(); err != nil {
			d.log.Errorf("rules: %v", err)
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
	if d.commands != nil {
		d.commands.Close()
	}
	for _, w := range d.workers {
		if w.neighbours != nil {
			w.neighbours.Close()
		}
		if w.sets != nil {
			_ = w.sets.Close()
		}
		if w.sender != nil {
			w.sender.Close()
		}
		_ = w.queue.Close()
	}
}

// errNoLAN says that no LAN device is known. A daemon that starts so waits for a
// configuration that names one: to end would only have it started again.
var errNoLAN = errors.New("no LAN device is known")

// findDevices reads which devices are the LAN's.
func (d *daemon) findDevices() error {
	names, missing, err := d.cfg.LANDevices()
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
	d.mu.Lock()
	d.names, d.devices = names, devices
	d.mu.Unlock()
	return nil
}

// loadRules puts the rules in place and opens the sets they have.
func (d *daemon) loadRules() error {
	d.loading = true
	l, err := d.keeper.Load(&d.cfg, d.names)
	d.setRepeat(d.keeper.Target()) // it may have failed, and those of before hold
	for _, line := range l.Degraded {
		d.log.Warnf("%s", line)
	}
	if err != nil {
		d.mu.Lock()
		d.rulesOK = false
		d.mu.Unlock()
		return err
	}
	t := d.keeper.Target()
	d.mu.Lock()
	changed := d.setsKind != string(t.Sets)
	d.backend, d.setsKind, d.rulesOK = string(t.Backend), string(t.Sets), true
	d.mu.Unlock()
	if changed {
		if err := d.openSets(t.Sets); err != nil {
			d.log.Warnf("%v: every blocked packet goes through the queue", err)
		}
	}
	d.tellSets()
	d.joinGroups()
	return nil
}

// joinGroups has searches for peers in the LAN come to the rules, if they are looked
// for.
func (d *daemon) joinGroups() {
	var on []uint32
	if d.cfg.Sifts() {
		for i := range d.devices {
			on = append(on, d.devices[i].Index)
		}
	}
	if err := d.groups.Join(on); err != nil {
		d.log.Warnf("searches for peers in the LAN are not seen: %v", err)
	}
}

// setRepeat has the verdicts be what the rules for a target expect.
func (d *daemon) setRepeat(t firewall.Target) {
	for _, w := range d.workers {
		w.queue.SetRepeat(t.Repeats())
	}
}

// openSets opens the sets for each worker. What a former run left in them goes,
// unless its state was restored.
func (d *daemon) openSets(kind config.SetsKind) error {
	for _, w := range d.workers {
		if w.sets != nil {
			old := w.sets
			w.loop.Do(func(e *state.Engine, now state.Time) { e.SetSets(nil, now) })
			_ = old.Close()
			w.sets = nil
		}
		open := nfq.OpenNFTSets
		switch kind {
		case config.SetsNFT:
		case config.SetsIPSet:
			open = nfq.OpenIPSets
		default:
			continue
		}
		k, err := open()
		if err != nil {
			return err
		}
		if !d.restored {
			if err := k.Clear(); err != nil {
				_ = k.Close()
				return err
			}
			d.restored = true // from now on the sets are ours
		}
		w.sets = d.newSetWriter(w, k)
	}
	d.restored = true
	return nil
}

// newSetWriter starts what writes a worker's sets, and has its engine know what the kernel
// has taken.
func (d *daemon) newSetWriter(w *worker, k *nfq.KernelSets) *nfq.SetWriter {
	var s *nfq.SetWriter
	s = nfq.NewSetWriter(k, func(batch uint64, err error) {
		w.loop.Do(func(e *state.Engine, now state.Time) { e.SetsTaken(s, batch, err, now) })
	})
	return s
}

// tellSets has every engine write what it knows into the kernel's sets.
func (d *daemon) tellSets() {
	for _, w := range d.workers {
		if w.sets != nil {
			w.loop.Do(func(e *state.Engine, now state.Time) { e.SetSets(w.sets, now) })
		}
	}
}

// reload reads the configuration anew. A bad one changes nothing.
func (d *daemon) reload() {
	cfg, err := config.Load(d.o.Config)
	if err == nil && !cfg.Enabled {
		err = errors.New("\"option enabled\" is off: stop the service instead")
	}
	if err != nil {
		d.log.Failure(err)
		d.log.Warnf("the configuration was not read again: the old one stays in force")
		return
	}
	old := d.cfg
	var restart []string
	for _, x := range []struct {
		what    string
		changed bool
	}{
		{"max_clients", cfg.MaxClients != old.MaxClients},
		{"queue", cfg.Queue != old.Queue},
		{"queues", cfg.Queues != old.Queues},
		{"queue_length", cfg.QueueLength != old.QueueLength},
		{"copy_range", cfg.CopyRange != old.CopyRange},
		{"mark", cfg.MarkMask != old.MarkMask},
		{"fail_open", cfg.FailOpen != old.FailOpen},
		{"control", cfg.Control != old.Control},
	} {
		if x.changed {
			restart = append(restart, x.what)
			d.log.Warnf("option %s takes effect with the next start", x.what)
		}
	}
	cfg.MaxClients, cfg.Queue, cfg.Queues = old.MaxClients, old.Queue, old.Queues
	cfg.QueueLength, cfg.CopyRange, cfg.Control = old.QueueLength, old.CopyRange, old.Control
	cfg.FailOpen, cfg.MarkMask = old.FailOpen, old.MarkMask
	d.mu.Lock()
	d.cfg, d.restart = cfg, restart
	d.mu.Unlock()
	if err := d.findDevices(); err != nil && len(d.names) > 0 {
		d.log.Failure(err)
		d.log.Warnf("the devices of before are watched: %s", strings.Join(d.names, " "))
	}
	d.setCommands()
	for _, w := range d.workers {
		w.loop.Do(func(e *state.Engine, now state.Time) {
			e.Configure(config.EngineConfig(cfg))
			e.SetDevices(d.devices)
		})
	}
	switch {
	case d.o.NoRules || len(d.names) == 0:
	case !d.loading:
		if err := d.watch(); err != nil {
			d.log.Errorf("rules: %v", err)
		}
	default:
		if err := d.loadRules(); err != nil {
			d.log.Errorf("rules: %v", err)
		}
		// What was taken for decided so far is not for these rules.
		if cfg.Sifts() && !old.Sifts() || cfg.Exempt.Lacks(old.Exempt) {
			d.suspect(d.lookAgain())
		}
	}
	d.log.Printf("configuration read again: %s", d.summary())
}

// keepHouse looks after devices and rules.
func (d *daemon) keepHouse() {
	now, err := lan.Devices(d.names)
	said := ""
	if err != nil {
		said, now = err.Error(), d.devices
	}
	d.say("addresses", said)
	if !lan.Same(now, d.devices) {
		d.mu.Lock()
		d.devices = now
		d.mu.Unlock()
		for _, w := range d.workers {
			w.loop.Do(func(e *state.Engine, _ state.Time) { e.SetDevices(now) })
		}
		if !d.o.NoRules {
			d.joinGroups()
		}
	}
	for _, name := range d.names {
		missing := ""
		if !slices.ContainsFunc(now, func(x state.Device) bool { return x.Name == name }) {
			missing = "device " + name + " is not there: its hosts are not watched until it is"
		}
		d.say("device "+name, missing)
	}
	if d.o.NoRules || !d.loading {
		return
	}
	if d.rounds++; d.rounds%goneEvery == 0 {
		d.countGone()
	}
	ok, what := d.keeper.Check()
	var l firewall.Loaded
	if !ok {
		l, err = d.keeper.Repair()
	}
	d.mu.Lock()
	d.rulesOK = ok || err == nil
	d.mu.Unlock()
	switch {
	case ok:
		d.say("rules", "")
		return
	case err != nil:
		d.say("rules", fmt.Sprintf("rules: %s, and they cannot be put back: %v", what, err))
		return
	}
	d.log.Warnf("rules: %s: put back", what)
	d.say("repair", strings.Join(l.Degraded, "; "))
	if l.NewSets {
		d.tellSets()
	}
	d.journal.Record(&state.Event{Class: state.ClassSystem, What: state.EventRules})
}

// goneEvery is in which of so many rounds of the housekeeping the kernel's counters
// are read.
const goneEvery = 3

// countGone has the first engine count what the kernel's sets dropped.
func (d *daemon) countGone() {
	if tcp, udp := d.keeper.Gone(); tcp+udp > 0 {
		d.workers[0].loop.Do(func(e *state.Engine, now state.Time) { e.DroppedByKernel(tcp, udp, now) })
	}
}

// setCommands starts what runs on events, or leaves it as it is.
func (d *daemon) setCommands() {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := d.cfg.EventCommand
	if d.commands != nil && d.commands.Path() != path {
		d.commands.Close()
		d.commands = nil
	}
	if d.commands == nil && path != "" {
		d.commands = events.NewCommands(path, d.log)
	}
}

// eventFunc is what happens with every event.
func (d *daemon) eventFunc() func(*events.Entry) {
	var commands *events.Commands
	var classes config.LogClasses
	log := events.Log{Log: d.log, Wanted: func(e *events.Entry) bool { return wanted(classes, e) }}
	return func(e *events.Entry) {
		d.mu.Lock()
		commands, classes = d.commands, d.cfg.Log
		d.mu.Unlock()
		log.Event(e)
		if commands != nil {
			commands.Event(e)
		}
	}
}

// wanted says which events belong to which class of the configuration.
func wanted(classes config.LogClasses, e *events.Entry) bool {
	switch e.Class {
	case state.ClassClient, state.ClassTable:
		return classes&config.LogClients != 0
	case state.ClassPeer:
		if e.What == state.EventCut {
			return classes&config.LogClients != 0
		}
		return classes&config.LogPeers != 0
	case state.ClassProbe:
		return classes&config.LogPeers != 0
	case state.ClassPacket:
		return true // the engine emits only those that are asked for
	}
	return false // told where it happened
}

// summary says in one line what the wall stands on.
func (d *daemon) summary() string {
	if len(d.names) == 0 {
		return "watching nothing"
	}
	return fmt.Sprintf("watching %s, rules by %s, sets by %s, lock time %v",
		strings.Join(d.names, " "), d.backend, d.setsKind, d.cfg.TimeLock)
}

// info answers the control socket.
func (d *daemon) info() control.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := control.Info{
		Version: d.o.Version, Config: d.o.Config, Started: d.started, Enabled: true,
		Backend: d.backend, Sets: d.setsKind, RulesOK: d.rulesOK, TimeLock: d.cfg.TimeLock, Devices: d.names, Restart: d.restart,
	}
	if i.Backend == "" { // the socket answers before the rules are loaded
		i.Backend, i.Sets = "starting", "starting"
	}
	nums := make([]uint16, len(d.workers))
	for n := range nums {
		nums[n] = d.cfg.Queue + uint16(n)
	}
	stats, _ := nfq.ReadStats(nums...)
	for _, s := range stats {
		i.Queues = append(i.Queues, control.Queue{
			Number: uint32(s.Num), Length: d.cfg.QueueLength, Waiting: s.Waiting,
			Dropped: s.Dropped, UserDropped: s.UserDropped,
		})
	}
	return i
}

// check answers the control socket.
func (d *daemon) check() []check.Finding {
	d.mu.Lock()
	cfg := d.cfg
	d.mu.Unlock()
	return check.Findings(&cfg)
}
