package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestTheEventOfAFailureSaysWhereHowAndWhatOfIt(t *testing.T) {
	ended := metav1.Unix(100, 0)
	failure := func(change func(*v1alpha1.Failure)) v1alpha1.Failure {
		f := v1alpha1.Failure{Pod: "run-pretrain-2-0-x", Reason: "Error", Message: "words", Time: &ended}
		change(&f)
		return f
	}
	for name, tc := range map[string]struct {
		outcome  outcome
		decision decision
		want     string
	}{
		"all is known": {
			outcome{failure: failure(func(f *v1alpha1.Failure) { f.Node, f.Rank, f.ExitCode = "n", new(int32(1)), new(int32(137)) })},
			decision{charged: true},
			"stage pretrain, attempt 2, rank 1 on node n, exit code 137, charged to maxRestarts: Error: words",
		},
		"a disruption": {
			outcome{failure: failure(func(f *v1alpha1.Failure) { f.Node = "n" })}, decision{},
			"stage pretrain, attempt 2 on node n, not charged: Error: words",
		},
		"the run ends": {
			outcome{kind: outcomeFatal, failure: failure(func(f *v1alpha1.Failure) { f.ExitCode = new(int32(10)) })}, decision{},
			"stage pretrain, attempt 2, exit code 10, not tried again: Error: words",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScope(&v1alpha1.SimCLRRun{}, time.Unix(200, 0))
			a := &attempt{stage: "pretrain", number: 2}
			for range 2 { // told once, however often it is seen
				s.noteFailure(s.stage("pretrain"), a, tc.outcome, tc.decision)
			}
			if want := []note{{corev1.EventTypeWarning, "AttemptFailed", tc.want}}; !slices.Equal(s.events, want) {
				t.Errorf("events %q, want %q", s.events, want)
			}
		})
	}
}

func TestResumingIsToldOnceAnAttempt(t *testing.T) {
	s := newScope(&v1alpha1.SimCLRRun{}, time.Unix(0, 0))
	st := s.stage("pretrain")
	s.noteProgress(st, &contract.Progress{Stage: "pretrain", Attempt: 1})
	st.Progress = nil // the next attempt
	for range 2 {
		s.noteProgress(st, &contract.Progress{Stage: "pretrain", Attempt: 2, ResumedFrom: new(int64(40))})
	}
	want := []note{{corev1.EventTypeNormal, "StageResumed", "stage pretrain, attempt 2: goes on from step 40"}}
	if !slices.Equal(s.events, want) {
		t.Errorf("events %q, want %q", s.events, want)
	}
}

func TestSuspendingIsToldOnce(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	run := &v1alpha1.SimCLRRun{}
	if err := api.Get(t.Context(), request.NamespacedName, run); err != nil {
		t.Fatal(err)
	}
	run.Spec.Suspend = new(true)
	if err := api.Update(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: run.Namespace, Name: "run-pretrain-1-0-x", UID: "pod", Labels: map[string]string{LabelRun: run.Name, LabelStage: "pretrain"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "run-pretrain-1", UID: "gone", Controller: new(true)}},
	}}
	if err := api.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Reconcile(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	recorder := r.Recorder.(*events.FakeRecorder)
	for len(recorder.Events) > 0 {
		if event := <-recorder.Events; strings.Contains(event, reasonSuspending) {
			told = append(told, event)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "saving and stopping: 1 to go") {
		t.Errorf("told %q, want it once", told)
	}
}
