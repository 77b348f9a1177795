package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestPodWaiting(t *testing.T) {
	type told struct {
		Reason, Message string
		Stalled, Unfit  bool
	}
	for name, tc := range map[string]struct {
		pod  func(*wrap.PodWrapper)
		want *told
	}{
		"nothing known": {func(*wrap.PodWrapper) {}, nil},
		"creating":      {func(w *wrap.PodWrapper) { w.Waiting("ContainerCreating", "") }, nil},
		"scheduled":     {func(w *wrap.PodWrapper) { w.Condition(corev1.PodScheduled, corev1.ConditionTrue, "", "") }, nil},
		"no node": {func(w *wrap.PodWrapper) {
			w.Condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/1 nodes")
		}, &told{"Unschedulable", "0/1 nodes", false, true}},
		"a gate": {func(w *wrap.PodWrapper) {
			w.Condition(corev1.PodScheduled, corev1.ConditionFalse, "SchedulingGated", "gates")
		}, &told{"SchedulingGated", "gates", false, false}},
		"pull":             {func(w *wrap.PodWrapper) { w.Waiting("ErrImagePull", "no such image") }, &told{"ImagePullBackOff", "ErrImagePull: no such image; suspend the run, correct template.image or template.imagePullSecrets, resume", true, false}},
		"a Secret missing": {func(w *wrap.PodWrapper) { w.Waiting("CreateContainerConfigError", "no secret") }, &told{"ContainerConfigError", "CreateContainerConfigError: no secret", true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			w := wrap.MakePod(wrap.MakeJob("pretrain", nil).Obj(), "pod", "node-1")
			tc.pod(w)
			var got *told
			if why := podWaiting(w.Obj()); why != nil {
				got = &told{why.reason, why.message, why.stalled, why.unfit}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFreshest(t *testing.T) {
	now := time.Unix(1e9, 0)
	event := func(text string, age time.Duration) corev1.Event {
		return corev1.Event{Reason: "FailedMount", Message: text, LastTimestamp: metav1.NewTime(now.Add(-age))}
	}
	series := corev1.Event{Reason: "FailedMount", Message: "series", EventTime: metav1.NewMicroTime(now.Add(-time.Hour)),
		Series: &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(now.Add(-time.Second))}}
	for name, tc := range map[string]struct {
		events []corev1.Event
		want   string
	}{
		"none":                        {nil, ""},
		"the newest":                  {[]corev1.Event{event("a", time.Minute), event("b", time.Second), event("c", time.Hour)}, "b"},
		"an old one":                  {[]corev1.Event{event("a", time.Hour)}, ""},
		"a kubelet's that emits many": {[]corev1.Event{event("a", 5*time.Minute)}, "a"},
		"of another reason":           {[]corev1.Event{{Reason: "Pulled", Message: "a", LastTimestamp: metav1.NewTime(now)}}, ""},
		"a series":                    {[]corev1.Event{event("a", time.Minute), series}, "series"},
	} {
		if got := freshest(tc.events, "FailedMount", now); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// A pod on its node without a container, and an event about it.
func TestWhatEventsTell(t *testing.T) {
	for name, tc := range map[string]struct {
		event string
		about string // the UID
		pod   func(*wrap.PodWrapper)
		want  string
	}{
		"a volume":      {"FailedMount", "pod", func(*wrap.PodWrapper) {}, reasonVolumeNotReady},
		"an attachment": {"FailedAttachVolume", "pod", func(*wrap.PodWrapper) {}, reasonVolumeNotReady},
		"no network":    {"FailedCreatePodSandBox", "pod", func(*wrap.PodWrapper) {}, reasonSandboxNotReady},
		"mounted by now, the image is long": {"FailedMount", "pod", func(w *wrap.PodWrapper) {
			w.Condition(corev1.PodReadyToStartContainers, corev1.ConditionTrue, "", "")
		}, reasonStarting},
		"no pod: quota": {"FailedCreate", "", nil, reasonPodCreationFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r, api, request := newTestReconciler(t, interceptor.Funcs{})
			reconcileRun(t, r, request, 1)
			job := wrap.MakeJob("pretrain", nil).Obj()
			if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "run-pretrain-1"}, job); err != nil {
				t.Fatal(err)
			}
			event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "e"}, Reason: tc.event, Message: "words",
				LastTimestamp: metav1.NewTime(r.Clock.Now())}
			event.InvolvedObject.UID = job.UID
			if tc.pod != nil {
				w := wrap.MakePod(job, "pod", "node-1")
				w.UID = "pod"
				tc.pod(w)
				if err := api.Create(t.Context(), w.Obj()); err != nil {
					t.Fatal(err)
				}
				event.InvolvedObject.UID = w.UID
			}
			if err := api.Create(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			r.Clock.(*testingclock.FakeClock).Step(time.Minute)
			reconcileRun(t, r, request, 1)
			c := condition(t, api, request, v1alpha1.ConditionProgressing)
			if c.Reason != tc.want || tc.want != reasonStarting && !strings.Contains(c.Message, "words") {
				t.Errorf("condition %+v, want %s", c, tc.want)
			}
		})
	}
}

// The scheduler says that a claim is not bound, the claim's events why. The pod is as the cache has it.
func TestWhyAClaimIsNotBound(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	reconcileRun(t, r, request, 1)
	job := wrap.MakeJob("pretrain", nil).Obj()
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "run-pretrain-1"}, job); err != nil {
		t.Fatal(err)
	}
	w := wrap.MakePod(job, "pod", "").Condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable",
		"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")
	var claim corev1.PersistentVolumeClaim
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: ClaimName("run")}, &claim); err != nil {
		t.Fatal(err)
	}
	claim.UID = "claim"
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "e"}, Reason: "ProvisioningFailed",
		Message: `storageclass "nothing" not found`, LastTimestamp: metav1.NewTime(r.Clock.Now())}
	event.InvolvedObject.UID = claim.UID
	if err := errors.Join(api.Update(t.Context(), &claim), api.Create(t.Context(), w.Obj()), api.Create(t.Context(), event)); err != nil {
		t.Fatal(err)
	}
	reconcileRun(t, r, request, 1)
	c := condition(t, api, request, v1alpha1.ConditionProgressing)
	for _, word := range []string{"unbound", ClaimName("run"), `"nothing" not found`, "output.claim.storageClassName"} {
		if c.Reason != reasonUnschedulable || !strings.Contains(c.Message, word) {
			t.Errorf("condition %+v, want the word %q", c, word)
		}
	}
}

func condition(t *testing.T, api client.Client, request ctrl.Request, kind string) *metav1.Condition {
	t.Helper()
	var run v1alpha1.SimCLRRun
	if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(run.Status.Conditions, kind)
	if c == nil {
		t.Fatalf("no condition %s", kind)
	}
	return c
}

// A pod whose node is gone stays in the API, past its grace period.
func TestNodeUnreachable(t *testing.T) {
	for name, late := range map[string]time.Duration{"in its grace period": -time.Minute, "overdue": time.Minute} {
		t.Run(name, func(t *testing.T) {
			s := newScope(&v1alpha1.SimCLRRun{}, time.Unix(1e9, 0))
			job := wrap.MakeJob("pretrain", nil).Obj()
			w := wrap.MakePod(job, "pod", "node-1").Deleted(s.now.Add(-late))
			s.attempts = []attempt{newAttempt(job, []corev1.Pod{w.Pod})}
			(&Reconciler{}).unanswered(s)
			c, told := s.wanted[v1alpha1.ConditionStalled]
			if told != (late > 0) || told && (c.Reason != reasonNodeUnreachable || !strings.Contains(c.Message, "kubectl delete node node-1")) {
				t.Errorf("condition %+v", c)
			}
		})
	}
}

func TestAvoidedNodesAreNamed(t *testing.T) {
	job := wrap.MakeJob("pretrain", ledger{avoid: []string{"node-3", "node-4"}}.annotations()).Obj()
	w := wrap.MakePod(job, "pod", "").Condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/4 nodes are available")
	a := newAttempt(job, []corev1.Pod{w.Pod})
	why, err := (&Reconciler{}).waitingFor(t.Context(), newScope(&v1alpha1.SimCLRRun{}, time.Unix(1e9, 0)), &a, a.pod())
	if err != nil || why == nil || !strings.Contains(why.message, "0/4 nodes") || !strings.Contains(why.message, "node-3, node-4") {
		t.Errorf("waiting %+v, error %v", why, err)
	}
}
