package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// second of the tests' clock.
func second(n int) metav1.Time { return metav1.NewTime(time.Unix(1e9+int64(n), 0)) }

// ends a worker at a second.
func ends(code int32, at int, message string) func(*wrap.PodWrapper) {
	return func(w *wrap.PodWrapper) {
		w.Exited(code, message)
		w.Status.ContainerStatuses[0].State.Terminated.FinishedAt = second(at)
	}
}

// deletedAt is asked for at a second, with the grace period.
func deletedAt(at int, change func(*wrap.PodWrapper)) func(*wrap.PodWrapper) {
	return func(w *wrap.PodWrapper) {
		change(w)
		w.Deleted(second(at).Add(gracePeriodSeconds * time.Second))
		w.DeletionGracePeriodSeconds = new(int64(gracePeriodSeconds))
	}
}

func drainedAt(at int, change func(*wrap.PodWrapper)) func(*wrap.PodWrapper) {
	return func(w *wrap.PodWrapper) {
		deletedAt(at, change)(w)
		w.Condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "drain")
		w.Status.Conditions[0].LastTransitionTime = second(at)
	}
}

func running(w *wrap.PodWrapper) { w.Running("") }

type seenOutcome struct {
	Kind          outcomeKind
	Reason, Words string
	Rank          int32
	Step          int64 // of the message of rank 0
}

func TestJudgeWorkers(t *testing.T) {
	done := wrap.Message(contract.TerminationMessage{Stage: "pretrain"})
	said := func(code int32, reason, message string) string {
		return wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: code, Reason: reason, Message: message, CheckpointStep: 7})
	}
	lost := said(13, "PeerLost", "rank 1 is gone")
	saved := said(143, "Terminated", "saved")
	type pods []func(*wrap.PodWrapper) // by rank; nil: none
	for name, tc := range map[string]struct {
		pods pods
		job  batchv1.JobConditionType // at second 20
		said string                   // by the Job, of the pod failure policy
		want seenOutcome
	}{
		"no pods yet":         {pods: pods{nil, nil}},
		"one pod":             {pods: pods{running, nil}},
		"both run":            {pods: pods{running, running}},
		"rank 1 is done":      {pods: pods{running, ends(0, 10, "")}},
		"rank 0 is done":      {pods: pods{ends(0, 10, done), running}},
		"both are done":       {pods: pods{ends(0, 10, done), ends(0, 9, "")}, job: batchv1.JobComplete, want: seenOutcome{Kind: outcomeDone}},
		"done before the Job": {pods: pods{ends(0, 10, done), ends(0, 9, "")}, want: seenOutcome{Kind: outcomeDone}},
		"the result is stored, a worker failed after it": {
			pods: pods{ends(0, 10, done), ends(137, 11, "")}, job: batchv1.JobFailed, want: seenOutcome{Kind: outcomeDone}},
		"done without a message": {
			pods: pods{ends(0, 10, ""), ends(0, 9, "")}, job: batchv1.JobComplete,
			want: seenOutcome{Kind: outcomeLost, Reason: "ResultLost", Words: "without a valid termination message"}},
		"done, rank 0's pod is gone": {
			pods: pods{nil, ends(0, 9, "")}, job: batchv1.JobComplete, want: seenOutcome{Kind: outcomeLost, Reason: "ResultLost", Words: "its pod and its message are gone"}},
		"killed, the other follows": {
			pods: pods{ends(13, 10, lost), ends(137, 10, "")}, job: batchv1.JobFailed,
			want: seenOutcome{outcomeFailed, "Error", "rank 1 of 2: the trainer exited with 137", 1, 7}},
		"killed, the other is still there":       {pods: pods{running, ends(137, 10, "")}, job: batchv1.JobFailed},
		"killed, before the Job has seen it":     {pods: pods{ends(13, 10, lost), ends(137, 10, "")}, want: seenOutcome{Step: 7}},
		"killed, the Job deleted the other then": {pods: pods{deletedAt(20, ends(143, 25, saved)), ends(137, 19, "")}, job: batchv1.JobFailed, want: seenOutcome{outcomeFailed, "Error", "rank 1 of 2", 1, 7}},
		"killed on a node whose clock is ahead": {
			pods: pods{deletedAt(20, ends(143, 21, saved)), ends(137, 29, "")}, job: batchv1.JobFailed, want: seenOutcome{outcomeFailed, "Error", "rank 1 of 2", 1, 7}},
		"drained: all save": {
			pods: pods{ends(143, 15, saved), drainedAt(10, ends(143, 15, saved))}, job: batchv1.JobFailed,
			want: seenOutcome{outcomeDisrupted, "EvictionByEvictionAPI", "rank 1 of 2: drain", 1, 7}},
		"drained, and too slow: the other follows": {
			pods: pods{ends(13, 130, lost), drainedAt(10, ends(137, 130, ""))}, job: batchv1.JobFailed,
			want: seenOutcome{outcomeDisrupted, "EvictionByEvictionAPI", "rank 1 of 2: drain", 1, 7}},
		"drained, and saving failed at rank 0": {
			pods: pods{ends(14, 15, said(14, "NoSpace", "disk full")), drainedAt(10, ends(13, 15, ""))}, job: batchv1.JobFailed,
			want: seenOutcome{outcomeDisrupted, "EvictionByEvictionAPI", "rank 1 of 2: drain", 1, 7}},
		"a crash, and a drain after it": {
			pods: pods{ends(1, 10, "panic"), drainedAt(12, ends(13, 15, ""))}, job: batchv1.JobFailed,
			want: seenOutcome{outcomeFailed, "Error", "rank 0 of 2: panic", 0, 0}},
		"deleted: all save": {
			pods: pods{ends(143, 15, saved), deletedAt(10, ends(143, 15, saved))}, job: batchv1.JobFailed,
			want: seenOutcome{outcomeDisrupted, "PodDeleted", "rank 1 of 2: the pod was deleted", 1, 7}},
		"drained, and its pod is gone": {
			pods: pods{ends(13, 15, lost), nil}, job: batchv1.JobFailed, want: seenOutcome{outcomeDisrupted, "PodDeleted", "rank 1 of 2: its pod was deleted", 1, 7}},
		"the network was cut": {
			pods: pods{ends(13, 15, lost), ends(13, 16, "")}, job: batchv1.JobFailed, want: seenOutcome{outcomeDisrupted, "PeerLost", "rank 0 of 2: rank 1 is gone", 0, 7}},
		"all pods are gone": {pods: pods{nil, nil}, job: batchv1.JobFailed, want: seenOutcome{outcomeDisrupted, "PodDeleted", "rank 0 of 2", 0, 0}},
		"all pods are gone, and the Job says which failed first": {
			pods: pods{nil, nil}, job: batchv1.JobFailed, said: "Container trainer for pod ns/run-pretrain-2-w-0-1-abcde failed with exit code 143 matching FailJob rule at index 1",
			want: seenOutcome{outcomeDisrupted, "PodDeleted", "rank 1 of 2: its pod was deleted: Container trainer", 1, 0}},
		"a user error is one wherever it is": {
			pods: pods{ends(143, 9, saved), ends(10, 15, said(10, "BadData", "no images"))},
			want: seenOutcome{outcomeFatal, "BadData", "rank 1 of 2: no images", 1, 7}},
		"a device is broken": {
			pods: pods{ends(13, 15, lost), ends(12, 14, said(12, "NoDevice", "the GPU fell off"))}, job: batchv1.JobFailed,
			want: seenOutcome{outcomeFailed, "NoDevice", "rank 1 of 2: the GPU fell off", 1, 7}},
		"a sidecar goes on": {
			pods: pods{
				func(w *wrap.PodWrapper) { ends(13, 10, lost)(w); w.Sidecar() },
				func(w *wrap.PodWrapper) { ends(137, 10, "")(w); w.Sidecar() },
			}, want: seenOutcome{outcomeFailed, "Error", "rank 1 of 2", 1, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			a := workersOf(t, tc.pods, tc.job)
			if tc.said != "" {
				c := jobCondition(a.job, tc.job)
				c.Reason, c.Message = batchv1.JobReasonPodFailurePolicy, tc.said
			}
			o := judge(a)
			got := seenOutcome{Kind: o.kind, Reason: o.failure.Reason, Words: o.failure.Message}
			if o.failure.Rank != nil {
				got.Rank = *o.failure.Rank
			}
			if o.message != nil {
				got.Step = o.message.CheckpointStep
			}
			if tc.want.Words != "" && strings.Contains(got.Words, tc.want.Words) {
				got.Words = tc.want.Words
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// workersOf is an attempt of two workers with pods by rank, whose Job ended at second 20.
func workersOf(t *testing.T, pods []func(*wrap.PodWrapper), end batchv1.JobConditionType) *attempt {
	t.Helper()
	set := attemptFor(t, wrap.MakeRun("ns", "run").Workers(2), ledger{}).set
	set.UID = "set"
	job := wrap.JobOfSet(set)
	if end != "" {
		wrap.EndJob(job, end, "Test")
		for i := range job.Status.Conditions {
			job.Status.Conditions[i].LastTransitionTime = second(20)
		}
	}
	var all []corev1.Pod
	for rank, change := range pods {
		if change != nil {
			w := wrap.MakePod(job, job.Name+"-"+string(rune('0'+rank))+"-abcde", "node").Rank(rank, set.UID)
			change(w)
			if _, err := Trim(&w.Pod); err != nil { // as the cache has it
				t.Fatal(err)
			}
			all = append(all, w.Pod)
		}
	}
	a := newSetAttempt(set, []batchv1.Job{*job}, all)
	return &a
}

func TestAJobThatIsMadeAgainIsAnotherGroup(t *testing.T) {
	a := workersOf(t, []func(*wrap.PodWrapper){running, running}, "")
	a.job.UID = "another"
	if o := judge(a); o.kind != outcomeDisrupted || o.failure.Reason != reasonWorkersReplaced {
		t.Errorf("outcome %+v, want WorkersReplaced: pods of two Jobs are not one group", o)
	}
}
