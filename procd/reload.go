// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"errors"
	"strings"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/state"
)

// merge keeps the old values of options that a running daemon cannot change. It returns
// the names of those options whose new values differ.
func merge(c *config.Config, old *config.Config) (restart []string) {
	for _, x := range []struct {
		what    string
		changed bool
	}{
		{"max_clients", c.MaxClients != old.MaxClients},
		{"queue", c.Queue != old.Queue},
		{"queues", c.Queues != old.Queues},
		{"queue_length", c.QueueLength != old.QueueLength},
		{"copy_range", c.CopyRange != old.CopyRange},
		{"mark", c.MarkMask != old.MarkMask},
		{"fail_open", c.FailOpen != old.FailOpen},
		{"control", c.Control != old.Control},
	} {
		if x.changed {
			restart = append(restart, x.what)
		}
	}
	c.MaxClients, c.Queue, c.Queues = old.MaxClients, old.Queue, old.Queues
	c.QueueLength, c.CopyRange, c.Control = old.QueueLength, old.CopyRange, old.Control
	c.FailOpen, c.MarkMask = old.FailOpen, old.MarkMask
	return restart
}

// reload reads the configuration again. A configuration with errors changes nothing.
func (d *daemon) reload() {
	c, err := config.Load(d.o.Config)
	if err == nil && !c.Enabled {
		err = errors.New("\"option enabled\" is off: stop the service instead")
	}
	if err != nil {
		d.log.Failure(err)
		d.log.Warnf("the configuration was not read again: the old one stays in force")
		return
	}
	old := d.status.cfg
	restart := merge(&c, &old)
	for _, what := range restart {
		d.log.Warnf("option %s takes effect with the next start", what)
	}
	d.status.setConfig(&c, restart)
	d.files.path = c.StateFile
	if err := d.findDevices(); err != nil && len(d.status.names) > 0 {
		d.log.Failure(err)
		d.log.Warnf("the devices of before are watched: %s", strings.Join(d.status.names, " "))
	}
	d.listener.configure(&c)
	d.outbox.Configure(c.Notify)
	d.names.configure(&c)
	d.policies.told = d.policies.now(&c, d.status.devices)
	d.status.setPolicies(d.policies.told)
	engine := d.engineConfig(&c)
	more := c.Exempt.Lacks(old.Exempt)
	d.workers.do(func(e *state.Engine, _ state.Time) {
		more = e.Configure(engine) || more
		e.SetDevices(d.status.devices)
	})
	switch {
	case d.o.NoRules || len(d.status.names) == 0:
	case d.rules.loaded:
		d.rules.change(&old, &c, more)
		if more || c.Quiet(config.ModeBlock) && !old.Quiet(config.ModeBlock) {
			d.helpers.Go(d.askStanding)
		}
	default:
		if err := d.rules.begin(&c); err != nil {
			d.log.Errorf("rules: %v", err)
		}
	}
	d.log.Printf("configuration read again: %s", d.summary())
}
