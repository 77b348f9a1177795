package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestJudge(t *testing.T) {
	done := wrap.Message(contract.TerminationMessage{Stage: "pretrain"})
	failed, complete := batchv1.JobFailed, batchv1.JobComplete
	type seen struct {
		Kind            outcomeKind
		Reason, Message string
	}
	for name, tc := range map[string]struct {
		pods []func(*wrap.PodWrapper)
		job  batchv1.JobConditionType
		held bool // the Job is suspended
		want seen
	}{
		"no pod yet":       {want: seen{Kind: outcomeRunning}},
		"complete, no pod": {job: complete, want: seen{outcomeLost, "ResultLost", "its pod and its message are gone"}},
		"failed, no pod":   {job: failed, want: seen{outcomeDisrupted, "PodDeleted", "deleted"}},
		"runs": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Running("") }},
			want: seen{Kind: outcomeRunning},
		},
		"done": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(0, done) }}, job: complete,
			want: seen{Kind: outcomeDone},
		},
		"a message of another stage": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(0, strings.Replace(done, "pretrain", "linear-eval", 1))
			}}, job: complete,
			want: seen{outcomeLost, "ResultLost", `of stage "linear-eval"`},
		},
		"user error, before the Job has seen it": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(10, wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: 10, Reason: "BadData", Message: "no images"}))
			}},
			want: seen{outcomeFatal, "BadData", "no images"},
		},
		"a crash, before the Job has seen it": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(1, "panic") }},
			want: seen{Kind: outcomeRunning},
		},
		"a crash with a log for a message": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(2, "a\nb\npanic: x\n\x1b[0mgoroutine 1") }}, job: failed,
			want: seen{outcomeFailed, "Error", "b | panic: x | [0mgoroutine 1"},
		},
		"SIGTERM with a checkpoint": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(143, wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: 143, Reason: "Terminated", Message: "saved"}))
			}},
			want: seen{outcomeDisrupted, "Terminated", "saved"},
		},
		"killed while deleted": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(137, "").Deleted(time.Now()) }}, job: failed,
			want: seen{outcomeDisrupted, "PodDeleted", "deleted"},
		},
		"evicted": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(137, "").Condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "drain")
			}},
			want: seen{outcomeDisrupted, "EvictionByEvictionAPI", "drain"},
		},
		"refused by the kubelet": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Status.Phase, w.Status.Reason, w.Status.Message = corev1.PodFailed, "OutOfcpu", "node had no cpu"
			}}, job: failed,
			want: seen{outcomeDisrupted, "OutOfcpu", "node had no cpu"},
		},
		"on a node that is lost": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Condition(corev1.DisruptionTarget, corev1.ConditionTrue, "DeletionByPodGC", "PodGC: node no longer exists")
				w.Status.Phase = corev1.PodFailed
			}}, job: failed,
			want: seen{outcomeDisrupted, "DeletionByPodGC", "node no longer exists"},
		},
		"an image without simclr-trainer": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(128, "exec: simclr-trainer: not found")
				w.Status.ContainerStatuses[0].State.Terminated.Reason = "StartError"
			}}, job: failed,
			want: seen{outcomeNotStarted, "StartError", "simclr-trainer: not found"},
		},
		"out of memory": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(137, "")
				w.Status.ContainerStatuses[0].State.Terminated.Reason = "OOMKilled"
			}}, job: failed,
			want: seen{outcomeFailed, "OOMKilled", "resources.limits.memory"},
		},
		"done beside a sidecar": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(0, done).Sidecar() }},
			want: seen{Kind: outcomeDone},
		},
		"a crash beside a sidecar": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(1, "panic").Sidecar() }},
			want: seen{outcomeFailed, "Error", "panic"},
		},
		"exited, before the kubelet has ended the pod": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(0, done)
				w.Status.Phase = corev1.PodRunning
			}},
			want: seen{Kind: outcomeRunning},
		},
		"an old end, a new pod": {
			pods: []func(*wrap.PodWrapper){
				func(w *wrap.PodWrapper) { w.Exited(143, "") },
				func(w *wrap.PodWrapper) { w.Running("") },
			},
			want: seen{Kind: outcomeRunning},
		},
		"stopped by a queue, before its pod is gone": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(143, "").Deleted(time.Now()) }}, held: true,
			want: seen{Kind: outcomeRunning},
		},
		"killed by a queue": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(137, "").Deleted(time.Now()) }}, held: true,
			want: seen{Kind: outcomeRunning},
		},
		"stopped by a queue in its last moment": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(0, done).Deleted(time.Now()) }}, held: true,
			want: seen{Kind: outcomeDone},
		},
		"a user error as a queue stops it": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) {
				w.Exited(10, wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: 10, Reason: "BadData", Message: "no images"}))
			}}, held: true,
			want: seen{outcomeFatal, "BadData", "no images"},
		},
		"failed, and suspended then": {
			pods: []func(*wrap.PodWrapper){func(w *wrap.PodWrapper) { w.Exited(1, "panic") }}, job: failed, held: true,
			want: seen{outcomeFailed, "Error", "panic"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			job := wrap.MakeJob("pretrain", nil).Suspended(tc.held)
			if tc.job != "" {
				job.Ended(tc.job, "Test")
			}
			var pods []corev1.Pod
			for i, change := range tc.pods {
				w := wrap.MakePod(job.Obj(), "pod", "node-1")
				w.CreationTimestamp.Time = time.Unix(int64(i), 0)
				change(w)
				pods = append(pods, w.Pod)
			}
			a := newAttempt(job.Obj(), pods)
			o := judge(&a)
			got := seen{o.kind, o.failure.Reason, o.failure.Message}
			if strings.Contains(got.Message, tc.want.Message) && tc.want.Message != "" {
				got.Message = tc.want.Message
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLedgerSurvivesItsJob(t *testing.T) {
	want := ledger{charged: 2, unchargedInRow: 1, checkpointStep: 1 << 40, avoid: []string{"a", "b"}}
	a := newAttempt(wrap.MakeJob("pretrain", want.annotations()).Obj(), nil)
	if diff := cmp.Diff(want, a.ledger(), cmp.AllowUnexported(ledger{})); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}
