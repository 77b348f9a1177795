package controllers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
	"github.com/simclr-operator/simclr-operator/test/metricsdoc"
)

// series of a collector that are not 0, as name{labels}; of histograms the count.
func series(t *testing.T, collectors ...prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collectors...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if value != 0 {
				all[strings.TrimPrefix(f.GetName(), "simclr_operator_")+"{"+strings.Join(labels, ",")+"}"] = value
			}
		}
	}
	return all
}

func (m *measures) all() []prometheus.Collector {
	return []prometheus.Collector{m.transitions, m.durations, m.ends, m.restarts, m.lost, m.polls}
}

func at(seconds int64) *metav1.Time { return new(metav1.Unix(seconds, 0)) }

// told is a run whose status has these stages and conditions, written as "Kind Status Reason seconds".
func told(stages []v1alpha1.StageStatus, conditions ...string) *v1alpha1.SimCLRRun {
	run := wrap.MakeRun("ns", "run").Obj()
	run.Status.Stages = stages
	for _, text := range conditions {
		var c metav1.Condition
		var seconds int64
		if n, err := fmt.Sscan(text, &c.Type, &c.Status, &c.Reason, &seconds); n != 4 {
			panic(err)
		}
		c.LastTransitionTime = *at(seconds)
		run.Status.Conditions = append(run.Status.Conditions, c)
	}
	return run
}

func stages(of ...v1alpha1.StageStatus) []v1alpha1.StageStatus { return of }

func TestMeasuresObserveTransitions(t *testing.T) {
	failed := func(pod, reason string, code *int32, charge string, seconds int64) *v1alpha1.Failure {
		return &v1alpha1.Failure{Pod: pod, Reason: reason, ExitCode: code, Charge: charge, Time: at(seconds)}
	}
	running := v1alpha1.StageStatus{
		Name: "pretrain", State: v1alpha1.StageRunning, Attempts: 1, Workload: "run-pretrain-1", StartTime: at(100),
	}
	with := func(st v1alpha1.StageStatus, change func(*v1alpha1.StageStatus)) v1alpha1.StageStatus {
		change(&st)
		return st
	}
	again := with(running, func(st *v1alpha1.StageStatus) { st.Attempts, st.Workload = 2, "run-pretrain-2" })
	for name, tc := range map[string]struct {
		before, after *v1alpha1.SimCLRRun
		now           int64
		want          map[string]float64
	}{
		"nothing new": {before: told(stages(running)), after: told(stages(running)), want: map[string]float64{}},
		"a stage starts": {
			before: told(nil), after: told(stages(running)),
			want: map[string]float64{"stage_transitions_total{stage=pretrain,state=Running}": 1},
		},
		"a stage and the run are complete": {
			before: told(stages(running)),
			after: told(stages(with(running, func(st *v1alpha1.StageStatus) {
				st.State, st.FinishTime = v1alpha1.StageComplete, at(160)
			})), "Complete True AllStagesComplete 160"),
			want: map[string]float64{
				"stage_transitions_total{stage=pretrain,state=Complete}": 1,
				"stage_duration_seconds{stage=pretrain}":                 1,
				"runs_finished_total{outcome=Complete,reason=}":          1,
			},
		},
		"a finetuning stage has no name of its own": {
			before: told(nil), after: told(stages(v1alpha1.StageStatus{Name: "mine", State: v1alpha1.StageFailed}), "Failed True UserError 1"),
			want: map[string]float64{
				"stage_transitions_total{stage=finetuning,state=Failed}": 1,
				"runs_finished_total{outcome=Failed,reason=UserError}":   1,
			},
		},
		"a failure costs what came after the checkpoint": {
			before: told(stages(running)),
			after: told(stages(with(running, func(st *v1alpha1.StageStatus) {
				st.LastFailure = failed("run-pretrain-1-0-x", "Error", new(int32(137)), charged, 160)
				st.Checkpoint = &v1alpha1.CheckpointStatus{SavedAt: at(150)}
			}))),
			want: map[string]float64{"restart_lost_seconds_total{part=Repeated}": 10},
		},
		"a trainer that saved repeats nothing": {
			before: told(stages(running)),
			after: told(stages(with(running, func(st *v1alpha1.StageStatus) {
				st.LastFailure = failed("run-pretrain-1-0-x", "Terminated", new(int32(143)), uncharged, 160)
			}))),
			want: map[string]float64{},
		},
		"a charged restart": {
			before: told(stages(with(running, func(st *v1alpha1.StageStatus) {
				st.LastFailure = failed("run-pretrain-1-0-x", "made up by an image", new(int32(1)), charged, 160)
			}))),
			after: told(stages(with(again, func(st *v1alpha1.StageStatus) {
				st.LastFailure, st.ChargedRestarts = failed("run-pretrain-1-0-x", "made up by an image", new(int32(1)), charged, 160), 1
			}))),
			want: map[string]float64{"restarts_total{charge=Charged,reason=Crashed}": 1},
		},
		"a workload that is gone": {
			before: told(stages(running)), after: told(stages(again)),
			want: map[string]float64{"restarts_total{charge=Uncharged,reason=WorkloadDeleted}": 1},
		},
		"resuming is no restart": {
			before: told(stages(with(running, func(st *v1alpha1.StageStatus) { st.State = v1alpha1.StageSuspended }))),
			after:  told(stages(again)),
			want:   map[string]float64{"stage_transitions_total{stage=pretrain,state=Running}": 1},
		},
		"the next attempt's trainer runs": {
			before: told(stages(with(again, func(st *v1alpha1.StageStatus) {
				st.LastFailure = failed("run-pretrain-1-0-x", "Error", nil, charged, 160)
			})), "Progressing True Starting 100", "Suspended False NotSuspended 90"),
			after: told(stages(with(again, func(st *v1alpha1.StageStatus) {
				st.LastFailure = failed("run-pretrain-1-0-x", "Error", nil, charged, 160)
			})), "Progressing True Training 100", "Suspended False NotSuspended 90"),
			now:  190,
			want: map[string]float64{"restart_lost_seconds_total{part=Idle}": 30},
		},
		"the next attempt's trainer runs after a suspension": {
			before: told(stages(with(again, func(st *v1alpha1.StageStatus) {
				st.LastFailure = failed("run-pretrain-1-0-x", "Error", nil, charged, 160)
			})), "Progressing True Starting 100", "Suspended False NotSuspended 180"),
			after: told(stages(with(again, func(st *v1alpha1.StageStatus) {
				st.LastFailure = failed("run-pretrain-1-0-x", "Error", nil, charged, 160)
			})), "Progressing True Training 100", "Suspended False NotSuspended 180"),
			now:  190,
			want: map[string]float64{},
		},
		"the first attempt's trainer runs": {
			before: told(stages(running), "Progressing True Starting 100"),
			after:  told(stages(running), "Progressing True Training 100"),
			now:    190, want: map[string]float64{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeasures()
			m.observe(tc.before, tc.after, time.Unix(tc.now, 0))
			if d := cmp.Diff(tc.want, series(t, m.all()...)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRestartReasonIsOneOfFew(t *testing.T) {
	for code, want := range map[int32]string{12: "Device", 13: "PeerLost", 14: "Storage", 15: "Stalled", 143: "Terminated", 130: "Terminated", 1: "Crashed"} {
		if got := restartReason(&v1alpha1.Failure{Reason: "mine", ExitCode: &code}); got != want {
			t.Errorf("exit %d: %s, want %s", code, got, want)
		}
	}
	for reason, want := range map[string]string{"PodDeleted": "PodDeleted", "OOMKilled": "OOMKilled", "mine": restartOther} {
		if got := restartReason(&v1alpha1.Failure{Reason: reason}); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
}

// A status that could not be written is written again, and counted once.
func TestMeasuresCountOnceWhatIsReconciledTwice(t *testing.T) {
	old := measured
	measured = newMeasures()
	t.Cleanup(func() { measured = old })
	r, _, request := newTestReconciler(t, conflicting(2))
	for range 5 {
		if _, err := r.Reconcile(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]float64{"stage_transitions_total{stage=pretrain,state=Running}": 1}
	if d := cmp.Diff(want, series(t, measured.transitions)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func collectorOf(t *testing.T, runs ...client.Object) *runsCollector {
	t.Helper()
	_, api, _ := newTestReconciler(t, interceptor.Funcs{})
	reader := fake.NewClientBuilder().WithScheme(api.Scheme()).WithObjects(runs...).Build()
	return newRunsCollector(reader, testingclock.NewFakeClock(time.Unix(10000, 0)), nil)
}

func TestRunsCollector(t *testing.T) {
	named := func(namespace, name string, conditions ...string) client.Object {
		run := told(nil, conditions...)
		run.Namespace, run.Name = namespace, name
		return run
	}
	others := named("a", "others").(*v1alpha1.SimCLRRun)
	others.Spec.ManagedBy = "kueue.x-k8s.io/multikueue"
	c := collectorOf(t, others,
		named("a", "new"),
		named("a", "starts", "Progressing True Starting 1"),
		named("a", "waits", "Progressing False Unschedulable 9000"),
		named("a", "trains", "Progressing True Training 1"),
		named("a", "silent", "Progressing Unknown ProgressUnreachable 9100"),
		named("a", "stuck", "Progressing False ImagePullBackOff 1", "Stalled True ImagePullBackOff 9200"),
		named("a", "saves", "Progressing False Suspending 1"),
		named("b", "sleeps", "Suspended True Suspended 1", "Progressing False Suspended 1"),
		named("b", "done", "Complete True AllStagesComplete 1", "Progressing False AllStagesComplete 1"),
		named("b", "failed", "Failed True Diverged 9300", "Progressing False Diverged 1"),
		named("b", "failed-long-ago", "Failed True UserError 6000", "Progressing False UserError 1"),
	)
	want := map[string]float64{
		"runs{phase=Pending,run_namespace=a}":                                                    4,
		"runs{phase=Running,run_namespace=a}":                                                    2,
		"runs{phase=Stalled,run_namespace=a}":                                                    1,
		"runs{phase=Suspended,run_namespace=b}":                                                  1,
		"runs{phase=Complete,run_namespace=b}":                                                   1,
		"runs{phase=Failed,run_namespace=b}":                                                     2,
		"run_attention{reason=Unschedulable,run=waits,run_namespace=a,state=Waiting}":            1,
		"run_attention{reason=ProgressUnreachable,run=silent,run_namespace=a,state=Unreachable}": 1,
		"run_attention{reason=ImagePullBackOff,run=stuck,run_namespace=a,state=Stalled}":         1,
		"run_attention{reason=Diverged,run=failed,run_namespace=b,state=Failed}":                 1,
	}
	if d := cmp.Diff(want, series(t, c)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRunsCollectorNamesNoMoreThanAHundredRuns(t *testing.T) {
	var runs []client.Object
	for i := range maxAttention + 5 {
		run := told(nil, fmt.Sprintf("Stalled True InvalidTemplate %d", i+1))
		run.Name = fmt.Sprintf("run-%03d", i)
		runs = append(runs, run)
	}
	got := series(t, collectorOf(t, runs...))
	if n := len(got); n != maxAttention+1 {
		t.Errorf("%d series, want %d of runs and their number", n, maxAttention)
	}
	if got["runs{phase=Stalled,run_namespace=ns}"] != maxAttention+5 {
		t.Errorf("the number of runs is of all: %v", got)
	}
	if _, there := got["run_attention{reason=InvalidTemplate,run=run-000,run_namespace=ns,state=Stalled}"]; there {
		t.Error("the oldest are named instead of the newest")
	}
}

// Two managers may follow each other in a process, as in tests.
func TestRunsCollectorIsThereWhileItsManagerIs(t *testing.T) {
	registry := prometheus.NewRegistry()
	for range 2 {
		c := collectorOf(t, told(nil))
		c.registry = registry
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Start(ctx) }()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if families, err := registry.Gather(); err == nil && len(families) == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("no runs")
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if families, _ := registry.Gather(); len(families) != 0 {
			t.Errorf("after its end: %v", families)
		}
	}
}

func TestCountWrites(t *testing.T) {
	writes.Reset()
	t.Cleanup(writes.Reset)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	defer server.Close()
	c := &http.Client{Transport: CountWrites(http.DefaultTransport)}
	ask := func(method, path string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := c.Do(r); err == nil {
			_ = response.Body.Close()
		}
	}
	ask(http.MethodGet, "/apis/batch/v1/namespaces/ns/jobs")
	ask(http.MethodGet, "/apis/batch/v1/namespaces/ns/jobs?watch=true")
	ask(http.MethodPost, "/apis/batch/v1/namespaces/ns/jobs")
	ask(http.MethodPost, "/apis/batch/v1/namespaces/ns/jobs")
	ask(http.MethodPut, "/apis/training.simclr.dev/v1alpha1/namespaces/ns/simclrruns/run/status")
	ask(http.MethodPost, "/api/v1/namespaces/ns/persistentvolumeclaims")
	ask(http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews")
	ask(http.MethodPost, "/version")
	server.Close()
	ask(http.MethodDelete, "/apis/batch/v1/namespaces/ns/jobs/run-pretrain-1")
	want := map[string]float64{
		"api_writes_total{code=200,resource=jobs,verb=create}":                   2,
		"api_writes_total{code=409,resource=simclrruns/status,verb=update}":      1,
		"api_writes_total{code=200,resource=persistentvolumeclaims,verb=create}": 1,
		"api_writes_total{code=200,resource=tokenreviews,verb=create}":           1,
		"api_writes_total{code=0,resource=jobs,verb=delete}":                     1,
	}
	if d := cmp.Diff(want, series(t, writes)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	t.Cleanup(writes.Reset)
	writes.WithLabelValues("create", "jobs", "201")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(slices.Concat(newMeasures().all(), []prometheus.Collector{
		writes, collectorOf(t, told(nil, "Stalled True InvalidTemplate 1")),
	})...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	metricsdoc.Check(t, "The manager", "simclr_operator_", families)
}
