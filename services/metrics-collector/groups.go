package main

import (
	"context"
	"time"

	"agentbus/pkg/events/bus/inspect"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// askTimeout bounds one question to Redis.
const askTimeout = 5 * time.Second

// groups shows how far each group is. Every replica shows the same: aggregate with max.
type groups struct {
	ask func(context.Context) ([]inspect.GroupStatus, error)
	log zerolog.Logger

	members, suspects, lag, pending, oldest, deadLetters *prometheus.GaugeVec
	asked                                                prometheus.Gauge
	shown                                                map[string]bool
	failing                                              bool
}

func newGroups(reg prometheus.Registerer, log zerolog.Logger, ask func(context.Context) ([]inspect.GroupStatus, error)) *groups {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{Name: "agentbus_group_" + name, Help: help}, []string{"group"})
	}
	return &groups{
		ask: ask, log: log, shown: map[string]bool{},
		members:     gauge("members", "Processes that read for the group and are alive."),
		suspects:    gauge("suspect_members", "Members whose leases stand still for 7 s or more: they died or hang."),
		lag:         gauge("lag_entries", "Entries not yet delivered to the group."),
		pending:     gauge("pending_entries", "Entries delivered and not yet acknowledged."),
		oldest:      gauge("oldest_age_seconds", "Age of the oldest entry the group has not acknowledged, by Redis' clock; 0 when there is none."),
		deadLetters: gauge("dead_letters", "Dead letters of the group that wait for an operator."),
		asked: promauto.With(reg).NewGauge(prometheus.GaugeOpts{Name: "agentbus_groups_asked_timestamp_seconds",
			Help: "When Redis last told how far the groups are; the agentbus_group_ metrics are as old as this."}),
	}
}

// run asks every so often until ctx ends.
func (g *groups) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		g.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *groups) look(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	all, err := g.ask(ask)
	if err != nil {
		if !g.failing && ctx.Err() == nil {
			g.log.Warn().Err(err).Msg("Redis does not tell how far the groups are: the metrics stand still")
		}
		g.failing = true
		return
	}
	if g.failing {
		g.log.Info().Msg("Redis tells again how far the groups are")
	}
	g.failing = false
	g.asked.SetToCurrentTime()
	there := map[string]bool{}
	for _, s := range all {
		there[s.Group] = true
		g.members.WithLabelValues(s.Group).Set(float64(s.Members))
		g.suspects.WithLabelValues(s.Group).Set(float64(s.Suspect))
		g.lag.WithLabelValues(s.Group).Set(float64(s.Lag))
		g.pending.WithLabelValues(s.Group).Set(float64(s.Pending))
		g.oldest.WithLabelValues(s.Group).Set(s.OldestAge.Seconds())
		g.deadLetters.WithLabelValues(s.Group).Set(float64(s.DeadLetters))
	}
	for name := range g.shown {
		if !there[name] { // it was removed: its last values would stand for ever
			for _, v := range []*prometheus.GaugeVec{g.members, g.suspects, g.lag, g.pending, g.oldest, g.deadLetters} {
				v.DeleteLabelValues(name)
			}
		}
	}
	g.shown = there
}
