package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// newTestReconciler reconciles one run in a fake API server. through is what the reconciler's client does
// otherwise; the API server itself has what was written.
func newTestReconciler(t *testing.T, through interceptor.Funcs) (*Reconciler, client.Client, ctrl.Request) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, jobset.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	run := wrap.MakeRun("ns", "run").UID("uid").Obj()
	event := func(of func(*corev1.Event) string) client.IndexerFunc {
		return func(o client.Object) []string { return []string{of(o.(*corev1.Event))} }
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(run).WithStatusSubresource(run).
		WithIndex(&corev1.Event{}, "involvedObject.uid", event(func(e *corev1.Event) string { return string(e.InvolvedObject.UID) })).
		WithIndex(&corev1.Event{}, "reason", event(func(e *corev1.Event) string { return e.Reason })).
		WithIndex(&batchv1.Job{}, byRun, runLabel).WithIndex(&corev1.Pod{}, byRun, runLabel).
		WithIndex(&corev1.ConfigMap{}, byRun, runLabel).Build()
	clock := testingclock.NewFakeClock(time.Unix(1e9, 0))
	return &Reconciler{
		Client: interceptor.NewClient(api, through), APIReader: api,
		Recorder: events.NewFakeRecorder(100), Clock: clock, Poller: NewPoller(time.Second, clock), ProgressPort: 1,
		Images: map[v1alpha1.AcceleratorType]string{v1alpha1.CPU: "image", "": "image"},
	}, api, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(run)}
}

func jobNames(t *testing.T, api client.Client) []string {
	t.Helper()
	var jobs batchv1.JobList
	if err := api.List(t.Context(), &jobs); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, job := range jobs.Items {
		names = append(names, job.Name)
	}
	return names
}

func TestACacheThatIsBehindMakesNoSecondJob(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
	})
	for range 3 {
		if _, err := r.Reconcile(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	if names := jobNames(t, api); len(names) != 1 || names[0] != "run-pretrain-1" {
		t.Errorf("Jobs %v, want run-pretrain-1 alone", names)
	}
}

// conflicting refuses so many writes of a status.
func conflicting(conflicts int) interceptor.Funcs {
	return interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if conflicts > 0 {
				conflicts--
				return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("behind"))
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	}
}

func TestAStatusThatIsNotWrittenMakesNoSecondJob(t *testing.T) {
	r, api, request := newTestReconciler(t, conflicting(2))
	for i := range 3 {
		result, err := r.Reconcile(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 && result.RequeueAfter != conflictRetry {
			t.Errorf("after a conflict: %+v, want another look after %s", result, conflictRetry)
		}
	}
	if names := jobNames(t, api); len(names) != 1 {
		t.Errorf("Jobs %v, want one", names)
	}
	var run v1alpha1.SimCLRRun
	if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
		t.Fatal(err)
	}
	if len(run.Status.Stages) != 1 || run.Status.Stages[0].Attempts != 1 {
		t.Errorf("stages %+v, want one of one attempt", run.Status.Stages)
	}
}

func TestACacheThatIsBehindStopsNoAttemptOfAChangedRun(t *testing.T) {
	behind := false
	r, api, request := newTestReconciler(t, interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if behind {
				return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("behind"))
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	})
	reconcile := func() {
		t.Helper()
		if _, err := r.Reconcile(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(change func(*v1alpha1.SimCLRRun)) {
		t.Helper()
		var run v1alpha1.SimCLRRun
		if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
			t.Fatal(err)
		}
		change(&run)
		run.Generation++
		if err := api.Update(t.Context(), &run); err != nil {
			t.Fatal(err)
		}
	}
	reconcile()
	edit(func(run *v1alpha1.SimCLRRun) { run.Spec.Suspend = new(true) })
	reconcile() // deletes run-pretrain-1
	reconcile() // sees it gone
	edit(func(run *v1alpha1.SimCLRRun) { run.Spec.Suspend, run.Spec.Template.Image = nil, "other" })
	behind = true
	reconcile() // makes run-pretrain-2, and its status is not written
	behind = false
	reconcile()
	if diff := cmp.Diff([]string{"run-pretrain-2"}, jobNames(t, api)); diff != "" {
		t.Errorf("Jobs (-want +got):\n%s", diff)
	}
}

func TestAnErrorGoesBackToTheQueueAndTheStatusIsKept(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if _, isJob := o.(*batchv1.Job); isJob {
				return apierrors.NewInternalError(errors.New("etcd is away"))
			}
			return c.Create(ctx, o, opts...)
		},
	})
	if _, err := r.Reconcile(t.Context(), request); err == nil {
		t.Error("no error: the work queue would not back off")
	}
	var run v1alpha1.SimCLRRun
	if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
		t.Fatal(err)
	}
	if run.Status.ConfigHash == "" || run.Status.Stages[0].Attempts != 0 {
		t.Errorf("status %+v: what was done is to be written, what was not is not", run.Status)
	}
}

// Between the reconcile that notes how a pod ended and the one that deletes its Job, the pod can go.
func TestAPodThatWentAfterItsEndWasNotedIsNotWaitedFor(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	if _, err := r.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	var run v1alpha1.SimCLRRun
	if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
		t.Fatal(err)
	}
	run.Status.Stages[0].LastFailure = &v1alpha1.Failure{
		Pod: "run-pretrain-1-0-abcde", ExitCode: new(int32(143)), Charge: "Uncharged", Time: &metav1.Time{Time: r.Clock.Now()},
	}
	if err := api.Status().Update(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if names := jobNames(t, api); len(names) != 0 {
		t.Errorf("Jobs %v: the Job would make its next pod after a wait that grows", names)
	}
}

// changeRun changes the run in the fake API server.
func changeRun(t *testing.T, api client.Client, request ctrl.Request, change func(*v1alpha1.SimCLRRun)) {
	t.Helper()
	var run v1alpha1.SimCLRRun
	if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
		t.Fatal(err)
	}
	change(&run)
	if err := api.Update(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
}

func reconcileRun(t *testing.T, r *Reconciler, request ctrl.Request, times int) {
	t.Helper()
	for range times {
		if _, err := r.Reconcile(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEditWhileTheManagerWasDown(t *testing.T) {
	for name, tc := range map[string]struct {
		generation int64 // grows with a user's change, not with another default
		want       string
		wantImage  string
	}{
		"suspended, edited, resumed":   {2, "run-pretrain-2", "mine"},
		"upgrade with another default": {1, "run-pretrain-1", "image"},
	} {
		t.Run(name, func(t *testing.T) {
			r, api, request := newTestReconciler(t, interceptor.Funcs{})
			changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Generation = 1 })
			reconcileRun(t, r, request, 1)
			changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) {
				run.Generation, run.Spec.Template.Image = tc.generation, "mine"
			})
			r.Images = map[v1alpha1.AcceleratorType]string{v1alpha1.CPU: "upgraded", "": "upgraded"}
			reconcileRun(t, r, request, 3)
			if names := jobNames(t, api); len(names) != 1 || names[0] != tc.want {
				t.Errorf("Jobs %v, want %s", names, tc.want)
			}
			var run v1alpha1.SimCLRRun
			if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
				t.Fatal(err)
			}
			if st := run.Status.Stages[0]; run.Status.Image != tc.wantImage || st.UnchargedInRow != 0 || st.ChargedRestarts != 0 {
				t.Errorf("image %s, want %s; stage %+v", run.Status.Image, tc.wantImage, st)
			}
		})
	}
}

func TestWhatTheAPIServerRefusesIsTold(t *testing.T) {
	invalid := apierrors.NewInvalid(schema.GroupKind{}, "x", nil)
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("exceeded quota"))
	refuse := func(refusal error, jobs bool) interceptor.Funcs {
		return interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if _, isJob := o.(*batchv1.Job); isJob == jobs {
				return refusal
			}
			return c.Create(ctx, o, opts...)
		}}
	}
	for name, tc := range map[string]struct {
		through interceptor.Funcs
		want    string
	}{
		"an invalid ConfigMap or claim":  {refuse(invalid, false), reasonObjectRefused},
		"a forbidden ConfigMap or claim": {refuse(forbidden, false), reasonObjectRefused},
		"an invalid Job":                 {refuse(invalid, true), reasonInvalidTemplate},
		"a Job that admission forbids":   {refuse(forbidden, true), reasonPodCreationFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r, api, request := newTestReconciler(t, tc.through)
			result, err := r.Reconcile(t.Context(), request)
			if err != nil || result.RequeueAfter != blockedRetry {
				t.Errorf("result %+v, error %v, want another look after %s", result, err, blockedRetry)
			}
			var run v1alpha1.SimCLRRun
			if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
				t.Fatal(err)
			}
			c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionStalled)
			if c == nil || c.Status != "True" || c.Reason != tc.want || !strings.Contains(c.Message, "the API server refuses") {
				t.Errorf("condition %+v, want True %s", c, tc.want)
			}
		})
	}
}

func TestNothingIsWrittenWhereNothingChanged(t *testing.T) {
	writes := 0
	r, _, request := newTestReconciler(t, interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			writes++
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	})
	for range 4 {
		if _, err := r.Reconcile(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	if writes != 1 {
		t.Errorf("%d writes, want 1", writes)
	}
}
