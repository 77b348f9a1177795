package controllers

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const (
	// maxAttention bounds the series that name a run.
	maxAttention = 100
	// failedFor is how long a failed run asks for attention.
	failedFor = time.Hour
	// collectTime bounds a scrape; the runs are in memory.
	collectTime = 5 * time.Second
)

// The phases of a run, which are never two at once.
const (
	phasePending = "Pending" // waits, starts, or stops for a restart
	phaseRunning = "Running" // a trainer runs
)

var phases = []string{
	phasePending, phaseRunning, v1alpha1.ConditionStalled, v1alpha1.ConditionSuspended, v1alpha1.ConditionComplete, v1alpha1.ConditionFailed,
}

// Why a run asks for attention, besides the conditions Failed and Stalled.
const (
	attentionWaiting     = "Waiting"
	attentionUnreachable = "Unreachable"
)

// runsCollector counts the runs of the cache whenever it is asked, so that it is right after anything that
// the manager missed. Only the leader has it, or each run would be counted by every replica.
type runsCollector struct {
	reader   client.Reader
	clock    clock.PassiveClock
	registry prometheus.Registerer

	runs, attention *prometheus.Desc
}

func newRunsCollector(reader client.Reader, c clock.PassiveClock, registry prometheus.Registerer) *runsCollector {
	return &runsCollector{
		reader: reader, clock: c, registry: registry,
		runs: prometheus.NewDesc("simclr_operator_runs", "Runs, by phase.", []string{"run_namespace", "phase"}, nil),
		attention: prometheus.NewDesc("simclr_operator_run_attention",
			"1 for each run that a person should look at, and why: the 100 newest. Failed ones for an hour.",
			[]string{"run_namespace", "run", "state", "reason"}, nil),
	}
}

// NeedLeaderElection is true: see runsCollector.
func (c *runsCollector) NeedLeaderElection() bool { return true }

// Start is part of /metrics until the context ends.
func (c *runsCollector) Start(ctx context.Context) error {
	if err := c.registry.Register(c); err != nil {
		return err
	}
	<-ctx.Done()
	c.registry.Unregister(c)
	return nil
}

// Describe implements prometheus.Collector.
func (c *runsCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.runs
	out <- c.attention
}

// Collect implements prometheus.Collector.
func (c *runsCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	var list v1alpha1.SimCLRRunList
	if err := c.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		if !errors.Is(err, context.Canceled) {
			log.Log.Error(err, "counting runs for /metrics")
		}
		return // the other metrics are worth having without these
	}
	counts := map[string]map[string]float64{}
	var attention []attentive
	for i := range list.Items {
		run := &list.Items[i]
		if !managed(run) {
			continue
		}
		if counts[run.Namespace] == nil {
			counts[run.Namespace] = map[string]float64{}
		}
		counts[run.Namespace][phaseOf(run)]++
		if a, asks := asksFor(run, c.clock.Now()); asks {
			attention = append(attention, a)
		}
	}
	for namespace, byPhase := range counts {
		for _, phase := range phases {
			out <- prometheus.MustNewConstMetric(c.runs, prometheus.GaugeValue, byPhase[phase], namespace, phase)
		}
	}
	slices.SortFunc(attention, func(a, b attentive) int {
		return cmp.Or(b.since.Compare(a.since), cmp.Compare(a.namespace+"/"+a.run, b.namespace+"/"+b.run))
	})
	for _, a := range attention[:min(len(attention), maxAttention)] {
		out <- prometheus.MustNewConstMetric(c.attention, prometheus.GaugeValue, 1, a.namespace, a.run, a.state, a.reason)
	}
}

// phaseOf a run, by its conditions.
func phaseOf(run *v1alpha1.SimCLRRun) string {
	for _, kind := range []string{
		v1alpha1.ConditionFailed, v1alpha1.ConditionComplete, v1alpha1.ConditionSuspended, v1alpha1.ConditionStalled,
	} {
		if meta.IsStatusConditionTrue(run.Status.Conditions, kind) {
			return kind
		}
	}
	if trainerRuns(run) {
		return phaseRunning
	}
	return phasePending
}

// attentive is a run that a person should look at.
type attentive struct {
	namespace, run, state, reason string
	since                         time.Time
}

func asksFor(run *v1alpha1.SimCLRRun, now time.Time) (attentive, bool) {
	is := func(kind, state string) attentive {
		c := meta.FindStatusCondition(run.Status.Conditions, kind)
		return attentive{run.Namespace, run.Name, state, c.Reason, c.LastTransitionTime.Time}
	}
	progressing := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionProgressing)
	switch phaseOf(run) {
	case v1alpha1.ConditionFailed:
		a := is(v1alpha1.ConditionFailed, v1alpha1.ConditionFailed)
		return a, now.Sub(a.since) < failedFor
	case v1alpha1.ConditionStalled:
		return is(v1alpha1.ConditionStalled, v1alpha1.ConditionStalled), true
	case phaseRunning:
		if progressing.Reason == reasonProgressUnreachable {
			return is(v1alpha1.ConditionProgressing, attentionUnreachable), true
		}
	case phasePending:
		if progressing != nil && progressing.Status == metav1.ConditionFalse && progressing.Reason != reasonSuspending {
			return is(v1alpha1.ConditionProgressing, attentionWaiting), true
		}
	}
	return attentive{}, false
}
