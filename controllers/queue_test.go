package controllers

import (
	"maps"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestQueueLabels(t *testing.T) {
	for name, tc := range map[string]struct {
		of            map[string]string
		want          map[string]string
		wantSuspended bool
	}{
		"none":    {of: map[string]string{"team": "a"}, want: map[string]string{}},
		"a queue": {of: map[string]string{"team": "a", LabelQueue: "q"}, want: map[string]string{LabelQueue: "q"}, wantSuspended: true},
		"with a priority": {
			of:   map[string]string{LabelQueue: "q", LabelQueuePriority: "urgent"},
			want: map[string]string{LabelQueue: "q", LabelQueuePriority: "urgent"}, wantSuspended: true,
		},
		"an empty name": {of: map[string]string{LabelQueue: ""}, want: map[string]string{}},
	} {
		run := &v1alpha1.SimCLRRun{ObjectMeta: metav1.ObjectMeta{Labels: tc.of}}
		if got := queueLabels(run); !maps.Equal(got, tc.want) {
			t.Errorf("%s: labels %v, want %v", name, got, tc.want)
		}
		if got := bornSuspended(run); (got != nil && *got) != tc.wantSuspended {
			t.Errorf("%s: suspended %v, want %v", name, got, tc.wantSuspended)
		}
	}
}

func TestLeftToJob(t *testing.T) {
	now := time.Unix(1e9, 0)
	before := func(ago time.Duration) *metav1.Time { return new(metav1.NewTime(now.Add(-ago))) }
	disrupted := func(ago time.Duration) outcome {
		return outcome{kind: outcomeDisrupted, failure: v1alpha1.Failure{Time: before(ago)}}
	}
	for name, tc := range map[string]struct {
		queue   string
		o       outcome
		ended   bool
		resumed *metav1.Time
		want    time.Duration
	}{
		"no queue":               {o: disrupted(0)},
		"a disruption":           {queue: "q", o: disrupted(10 * time.Second), want: 50 * time.Second},
		"its back-off is long":   {queue: "q", o: disrupted(61 * time.Second), want: -time.Second},
		"the Job has ended":      {queue: "q", o: disrupted(0), ended: true},
		"a failure":              {queue: "q", o: outcome{kind: outcomeFailed}},
		"started again just now": {queue: "q", o: disrupted(time.Hour), resumed: before(time.Second), want: 59 * time.Second},
	} {
		job := wrap.MakeJob("pretrain", nil).Queue(tc.queue)
		if tc.ended {
			job.Ended(batchv1.JobFailed, "Test")
		}
		if tc.resumed != nil {
			job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
				Type: batchv1.JobSuspended, Status: corev1.ConditionFalse, LastTransitionTime: *tc.resumed,
			})
		}
		a := newAttempt(job.Obj(), nil)
		if got := newScope(&v1alpha1.SimCLRRun{}, now).leftToJob(&a, tc.o); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// A queue's Job is nobody's but the queue's: it stays while it is suspended, whatever its pod did, and after a disruption, until the
// Job controller's back-off has grown.
func TestAQueuedAttemptStays(t *testing.T) {
	saved := wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: contract.ExitTerminate, CheckpointStep: 7})
	for name, tc := range map[string]struct {
		suspend bool
		pod     func(*wrap.PodWrapper)
		then    time.Duration // passes
		want    string        // reason of Progressing
		gone    bool          // the Job is deleted
		failure bool          // is noted
	}{
		"waits":                 {suspend: true, want: reasonQueued},
		"is stopped":            {suspend: true, pod: func(w *wrap.PodWrapper) { w.Exited(143, saved) }, want: reasonQueued},
		"is killed":             {suspend: true, pod: func(w *wrap.PodWrapper) { w.Exited(137, "") }, then: time.Hour, want: reasonQueued},
		"is disrupted":          {pod: func(w *wrap.PodWrapper) { w.Exited(143, saved) }, want: reasonBackingOff, failure: true},
		"is disrupted for long": {pod: func(w *wrap.PodWrapper) { w.Exited(143, saved) }, then: jobPatience, want: reasonStopping, gone: true, failure: true},
		"is started":            {want: reasonStarting},
	} {
		t.Run(name, func(t *testing.T) {
			r, api, request := newTestReconciler(t, interceptor.Funcs{})
			changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Labels = map[string]string{LabelQueue: "q"} })
			reconcileRun(t, r, request, 2)
			job := queuedJob(t, api, tc.suspend)
			if tc.pod != nil {
				w := wrap.MakePod(job, "run-pretrain-1-0-abcde", "node")
				tc.pod(w)
				w.Status.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.NewTime(r.Clock.Now())
				if err := api.Create(t.Context(), w.Obj()); err != nil {
					t.Fatal(err)
				}
			}
			reconcileRun(t, r, request, 1)
			r.Clock.(*testingclock.FakeClock).Step(tc.then)
			reconcileRun(t, r, request, 2)
			var run v1alpha1.SimCLRRun
			if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
				t.Fatal(err)
			}
			st := run.Status.Stages[0]
			if c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionProgressing); c == nil || (c.Reason != tc.want && !tc.gone) {
				t.Errorf("Progressing %+v, want %s", c, tc.want)
			}
			if names := jobNames(t, api); (len(names) == 0 || names[0] != "run-pretrain-1") != tc.gone {
				t.Errorf("Jobs %v", names)
			}
			if (st.LastFailure != nil) != tc.failure || st.ChargedRestarts != 0 {
				t.Errorf("last failure %+v, %d charged", st.LastFailure, st.ChargedRestarts)
			}
			if tc.pod != nil && !strings.Contains(name, "killed") && st.Checkpoint.Step != 7 {
				t.Errorf("checkpoint %+v, want step 7", st.Checkpoint)
			}
		})
	}
}

// queuedJob is the first attempt's Job, which is born suspended, with the queue's label, and started by the queue.
func queuedJob(t *testing.T, api client.Client, suspend bool) *batchv1.Job {
	t.Helper()
	var job batchv1.Job
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "run-pretrain-1"}, &job); err != nil {
		t.Fatal(err)
	}
	if job.Spec.Suspend == nil || !*job.Spec.Suspend || job.Labels[LabelQueue] != "q" || job.Spec.Template.Labels[LabelQueue] != "" {
		t.Fatalf("suspend %v, labels %v, the pod's %v", job.Spec.Suspend, job.Labels, job.Spec.Template.Labels)
	}
	job.Spec.Suspend = &suspend
	if err := api.Update(t.Context(), &job); err != nil {
		t.Fatal(err)
	}
	return &job
}

// A run that ends leaves nothing that a queue could start.
func TestAHeldAttemptOfAnEndedRunGoes(t *testing.T) {
	for name, code := range map[string]int32{"done": contract.ExitDone, "failed": contract.ExitUserError} {
		t.Run(name, func(t *testing.T) {
			r, api, request := newTestReconciler(t, interceptor.Funcs{})
			changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Labels = map[string]string{LabelQueue: "q"} })
			reconcileRun(t, r, request, 2)
			w := wrap.MakePod(queuedJob(t, api, true), "run-pretrain-1-0-abcde", "node").Exited(code,
				wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: code, Reason: "BadData"}))
			if err := api.Create(t.Context(), w.Obj()); err != nil {
				t.Fatal(err)
			}
			reconcileRun(t, r, request, 3)
			var run v1alpha1.SimCLRRun
			if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
				t.Fatal(err)
			}
			if !finished(&run) {
				t.Errorf("conditions %+v, want an end", run.Status.Conditions)
			}
			if names := jobNames(t, api); len(names) != 0 {
				t.Errorf("Jobs %v are left for the queue to start", names)
			}
		})
	}
}

// Several workers queue as one JobSet; that a queue stops them all is no failure of their Job, which Kubernetes would end for it.
func TestJobSetInAQueue(t *testing.T) {
	run := wrap.MakeRun("ns", "run").Workers(2)
	run.Labels = map[string]string{LabelQueue: "q", LabelQueuePriority: "urgent"}
	a := attemptFor(t, run, ledger{})
	job := a.set.Spec.ReplicatedJobs[0].Template
	if !a.held() || a.queue() != "q" || a.set.Labels[LabelQueuePriority] != "urgent" || job.Labels[LabelQueue] != "" || job.Spec.Suspend != nil {
		t.Errorf("suspend %v, labels %v; the Job's %v, %v", a.set.Spec.Suspend, a.set.Labels, job.Spec.Suspend, job.Labels)
	}
	var ignored int
	for _, rule := range job.Spec.PodFailurePolicy.Rules {
		if codes := rule.OnExitCodes; codes != nil && codes.Values[0] == contract.ExitTerminate && rule.Action == batchv1.PodFailurePolicyActionIgnore {
			ignored++
		}
	}
	if ignored != 1 {
		t.Errorf("rules %+v: want that 143 is ignored", job.Spec.PodFailurePolicy.Rules)
	}
}

func TestWorkersThatAQueueStops(t *testing.T) {
	for name, tc := range map[string]struct {
		pods []func(*wrap.PodWrapper)
		want outcomeKind
	}{
		"waits":            {want: outcomeRunning},
		"all have saved":   {pods: []func(*wrap.PodWrapper){deletedAt(1, ends(143, 2, "")), deletedAt(1, ends(143, 2, ""))}, want: outcomeRunning},
		"one lost another": {pods: []func(*wrap.PodWrapper){deletedAt(1, ends(143, 2, "")), deletedAt(1, ends(13, 3, ""))}, want: outcomeRunning},
		"a user error":     {pods: []func(*wrap.PodWrapper){ends(10, 2, ""), deletedAt(1, ends(143, 3, ""))}, want: outcomeFatal},
	} {
		a := workersOf(t, tc.pods, "")
		a.set.Spec.Suspend = new(true)
		if got := judge(a).kind; got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}
