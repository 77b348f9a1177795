package controllers

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// measured is what the manager counts, for /metrics beside what controller-runtime counts; docs/metrics.md
// lists it. A process has it once, as it has one registry.
var measured = newMeasures()

// measures are told of a run's status as it was and as it is now written. That write succeeds once, so nothing
// is counted twice, however often a run is reconciled.
type measures struct {
	transitions *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	ends        *prometheus.CounterVec
	restarts    *prometheus.CounterVec
	lost        *prometheus.CounterVec
	polls       *prometheus.CounterVec
}

// The label values of stages: a finetuning stage's name is the user's, so without bounds.
const finetuningStages = "finetuning"

// The parts of the time that restarts cost.
const (
	lostRepeated = "Repeated" // trained after the newest checkpoint, to be done again
	lostIdle     = "Idle"     // from the end of an attempt until the next one's trainer runs
)

// The results of a poll.
const (
	pollAnswered = "Answered"
	pollFailed   = "Failed"
)

func newMeasures() *measures {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "simclr_operator_" + name, Help: help}, labels)
	}
	m := &measures{
		transitions: counter("stage_transitions_total", "Stages that came into a state.", "stage", "state"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "simclr_operator_stage_duration_seconds",
			Help: "Time of complete stages, from the first attempt's start to the last one's end.",
			// from half a minute to ten days: the samples, and ImageNet on one node
			Buckets: []float64{30, 60, 180, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 5 * 86400, 10 * 86400},
		}, []string{"stage"}),
		ends:     counter("runs_finished_total", "Runs that ended, by how and, where they failed, why.", "outcome", "reason"),
		restarts: counter("restarts_total", "Attempts that followed another of their stage, by why that ended and whether the restart was charged.", "reason", "charge"),
		lost:     counter("restart_lost_seconds_total", "Time that restarts cost: training that is repeated, and waiting for the next attempt.", "part"),
		polls:    counter("progress_polls_total", "Questions to trainers for their progress.", "result"),
	}
	m.begin()
	return m
}

// begin makes every series that there can be, so that rates see its first count.
func (m *measures) begin() {
	for _, stage := range []string{v1alpha1.StagePretrain, v1alpha1.StageLinearEval, finetuningStages} {
		m.durations.WithLabelValues(stage)
		for _, state := range []v1alpha1.StageState{
			v1alpha1.StageRunning, v1alpha1.StageSuspended, v1alpha1.StageComplete, v1alpha1.StageFailed,
		} {
			m.transitions.WithLabelValues(stage, string(state))
		}
	}
	m.ends.WithLabelValues(v1alpha1.ConditionComplete, "")
	for _, reason := range []string{
		reasonInvalidSpec, reasonUserError, reasonDiverged, reasonRestartsExhausted, reasonConfigLost, reasonDeadlineExceeded,
	} {
		m.ends.WithLabelValues(v1alpha1.ConditionFailed, reason)
	}
	for _, reason := range slices.Concat(restartReasons, []string{"Device", "Storage", "Stalled", "Terminated", "Crashed", restartOther}) {
		m.restarts.WithLabelValues(reason, charged)
		m.restarts.WithLabelValues(reason, uncharged)
	}
	m.lost.WithLabelValues(lostRepeated)
	m.lost.WithLabelValues(lostIdle)
	m.polls.WithLabelValues(pollAnswered)
	m.polls.WithLabelValues(pollFailed)
}

// setupMetrics adds what is measured to the manager's /metrics.
func (r *Reconciler) setupMetrics(mgr ctrl.Manager) error {
	if err := measured.register(metrics.Registry); err != nil {
		return err
	}
	return mgr.Add(newRunsCollector(r.Client, r.Clock, metrics.Registry))
}

func (m *measures) register(registry prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.transitions, m.durations, m.ends, m.restarts, m.lost, m.polls, writes} {
		var there prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &there) { // by another manager of this process
			return err
		}
	}
	return nil
}

// observe counts what a status that is now written says and the one before it did not.
func (m *measures) observe(before, after *v1alpha1.SimCLRRun, now time.Time) {
	for i := range after.Status.Stages {
		st := &after.Status.Stages[i]
		var old v1alpha1.StageStatus
		if k := slices.IndexFunc(before.Status.Stages, func(o v1alpha1.StageStatus) bool { return o.Name == st.Name }); k >= 0 {
			old = before.Status.Stages[k]
		}
		m.stage(&old, st)
		m.repeated(&old, st)
	}
	m.idle(before, after, now)
	if !finished(before) && finished(after) {
		outcome, reason := v1alpha1.ConditionComplete, ""
		if c := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionFailed); c != nil && c.Status == metav1.ConditionTrue {
			outcome, reason = v1alpha1.ConditionFailed, c.Reason
		}
		m.ends.WithLabelValues(outcome, reason).Inc()
	}
}

func (m *measures) stage(old, st *v1alpha1.StageStatus) {
	stage := st.Name
	if stage != v1alpha1.StagePretrain && stage != v1alpha1.StageLinearEval {
		stage = finetuningStages
	}
	if st.State != old.State && st.State != v1alpha1.StagePending {
		m.transitions.WithLabelValues(stage, string(st.State)).Inc()
		if st.State == v1alpha1.StageComplete && st.StartTime != nil && st.FinishTime != nil {
			m.durations.WithLabelValues(stage).Observe(st.FinishTime.Sub(st.StartTime.Time).Seconds())
		}
	}
	// What a suspension ended is no restart.
	if old.Attempts == 0 || st.Attempts <= old.Attempts || old.State == v1alpha1.StageSuspended {
		return
	}
	failure := st.LastFailure
	if failure != nil && !strings.HasPrefix(failure.Pod, old.Workload+"-") {
		failure = nil
	}
	charge := uncharged
	if st.ChargedRestarts > old.ChargedRestarts {
		charge = charged
	}
	m.restarts.WithLabelValues(restartReason(failure), charge).Inc()
}

// restartReasons are words of Kubernetes and of the operator for how an attempt ended. A trainer's image may
// say others; it is not trusted to make series.
var restartReasons = []string{
	"OOMKilled", "PodDeleted", reasonResultLost, "PreemptionByScheduler", "DeletionByTaintManager", "EvictionByEvictionAPI",
	"DeletionByPodGC", "TerminationByKubelet", "UnexpectedAdmissionError", "WorkloadDeleted",
	reasonPeerLost, reasonWorkersReplaced,
}

const restartOther = "Other"

// restartReason is one of few words; f is nil where nothing is known but that the workload is gone.
func restartReason(f *v1alpha1.Failure) string {
	switch {
	case f == nil:
		return "WorkloadDeleted"
	case slices.Contains(restartReasons, f.Reason):
		return f.Reason
	case f.ExitCode == nil:
		return restartOther
	}
	switch *f.ExitCode {
	case contract.ExitDevice:
		return "Device"
	case contract.ExitPeerLost:
		return reasonPeerLost
	case contract.ExitStorage:
		return "Storage"
	case contract.ExitStalled:
		return "Stalled"
	case contract.ExitTerminate, contract.ExitInterrupt:
		return "Terminated"
	}
	return "Crashed"
}

// repeated is what an attempt trained since the newest checkpoint that the operator knows of, at most: since
// it last failed or first started. A trainer that said that it saved before it exited repeats nothing.
func (m *measures) repeated(old, st *v1alpha1.StageStatus) {
	f := st.LastFailure
	if f == nil || f.Time == nil || st.StartTime == nil || sameFailure(old.LastFailure, f) || f.Charge == "" ||
		f.ExitCode != nil && (*f.ExitCode == contract.ExitTerminate || *f.ExitCode == contract.ExitInterrupt) {
		return
	}
	since := st.StartTime.Time
	if old.LastFailure != nil && old.LastFailure.Time != nil {
		since = later(since, old.LastFailure.Time.Time)
	}
	if st.Checkpoint != nil && st.Checkpoint.SavedAt != nil {
		since = later(since, st.Checkpoint.SavedAt.Time)
	}
	m.lost.WithLabelValues(lostRepeated).Add(max(0, f.Time.Sub(since).Seconds()))
}

// idle is the time between the end of the attempt before and the trainer that now runs. Where the run was
// suspended in between, nobody waited for a restart.
func (m *measures) idle(before, after *v1alpha1.SimCLRRun, now time.Time) {
	if trainerRuns(before) || !trainerRuns(after) {
		return
	}
	i := slices.IndexFunc(after.Status.Stages, func(st v1alpha1.StageStatus) bool { return st.State == v1alpha1.StageRunning })
	if i < 0 {
		return
	}
	st := &after.Status.Stages[i]
	f := st.LastFailure
	if f == nil || f.Time == nil || !strings.HasPrefix(f.Pod, JobName(after.Name, st.Name, st.Attempts-1)+"-") {
		return
	}
	if c := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionSuspended); c != nil && c.LastTransitionTime.After(f.Time.Time) {
		return
	}
	m.lost.WithLabelValues(lostIdle).Add(max(0, now.Sub(f.Time.Time).Seconds()))
}

func (m *measures) poll(err error) {
	result := pollAnswered
	if err != nil {
		result = pollFailed
	}
	m.polls.WithLabelValues(result).Inc()
}

func sameFailure(a, b *v1alpha1.Failure) bool {
	return a != nil && a.Pod == b.Pod && a.Time.Equal(b.Time)
}

// trainerRuns says whether the status, as it is, has a trainer that runs, be it heard or not.
func trainerRuns(run *v1alpha1.SimCLRRun) bool {
	c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionProgressing)
	return c != nil && (c.Reason == reasonTraining || c.Reason == reasonProgressUnreachable)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
