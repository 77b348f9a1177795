package controllers

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// The values of a failure's charge.
const (
	charged   = "Charged"
	uncharged = "Uncharged"
)

// noteFailure writes down why an attempt ended, once.
func (s *scope) noteFailure(st *v1alpha1.StageStatus, a *attempt, o outcome, d decision) {
	f := o.failure
	f.Charge = uncharged
	if d.charged {
		f.Charge = charged
	}
	if o.kind == outcomeFatal {
		f.Charge = ""
	}
	if f.Time == nil {
		ended := metav1.NewTime(endOf(a, s.now))
		f.Time = &ended
	}
	if old := st.LastFailure; old == nil || old.Time == nil || !old.Time.Equal(f.Time) || old.Pod != f.Pod {
		s.warn("AttemptFailed", fmt.Sprintf("stage %s, attempt %d%s: %s: %s", st.Name, a.number, howFailed(&f), f.Reason, f.Message))
	}
	st.LastFailure = &f
}

// howFailed is where and how an attempt failed, and what of it: as far as that is known.
func howFailed(f *v1alpha1.Failure) string {
	var text string
	if f.Rank != nil {
		text = fmt.Sprintf(", rank %d", *f.Rank)
	}
	if f.Node != "" {
		text += " on node " + f.Node
	}
	if f.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *f.ExitCode)
	}
	switch f.Charge {
	case charged:
		return text + ", charged to maxRestarts"
	case uncharged:
		return text + ", not charged"
	}
	return text + ", not tried again"
}

// endOf is when an attempt ended, by the kubelet's or the Job controller's clock, to the second.
func endOf(a *attempt, now time.Time) time.Time {
	if pod := a.pod(); pod != nil {
		if t := terminatedState(pod); t != nil && !t.FinishedAt.IsZero() {
			return t.FinishedAt.Time
		}
	}
	for i := 0; a.job != nil && i < len(a.job.Status.Conditions); i++ {
		if c := &a.job.Status.Conditions[i]; !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	return now.Truncate(time.Second)
}

func failedStage(st *v1alpha1.StageStatus, d decision, maxRestarts int32) error {
	var f v1alpha1.Failure
	if st.LastFailure != nil {
		f = *st.LastFailure
	}
	what := fmt.Sprintf("stage %s: %s: %s", st.Name, orElse(f.Reason, "Disrupted"), orElse(f.Message, "its workload was deleted"))
	switch {
	case d.action == actionExhaust:
		return failf(reasonRestartsExhausted, "restartPolicy.maxRestarts of %d is reached; %s", maxRestarts, what)
	case f.ExitCode != nil && *f.ExitCode == contract.ExitDiverged:
		return failf(reasonDiverged, "%s", what)
	}
	return failf(reasonUserError, "%s", what)
}

// stored says whether the stage's last failure is in the status that was read, not only in what will be
// written.
func (s *scope) stored(st *v1alpha1.StageStatus) bool {
	for i := range s.before.Status.Stages {
		if old := &s.before.Status.Stages[i]; old.Name == st.Name {
			return old.LastFailure != nil && old.LastFailure.Pod == st.LastFailure.Pod && old.LastFailure.Time.Equal(st.LastFailure.Time)
		}
	}
	return false
}

// endNoted says whether a pod is being deleted whose end was noted before: the deletion did not end it. Of several workers the end is
// noted when none is left, so that what is noted stays, whatever becomes of their pods.
func endNoted(a *attempt, o outcome, noted *v1alpha1.Failure) bool {
	pod := a.pod()
	if a.set != nil {
		return (o.kind == outcomeFailed || o.kind == outcomeDisrupted) && noted != nil && strings.HasPrefix(noted.Pod, a.object.GetName()+"-") && !a.live()
	}
	return noted != nil && pod != nil && pod.DeletionTimestamp != nil && podEnded(pod) && noted.Pod == pod.Name
}

// remembered is the end of an attempt whose pod is gone, where it was noted while the pod was there: one
// that is deleted meanwhile must neither look like one that is not made yet, nor make a charged failure
// an uncharged one.
func remembered(o outcome, noted *v1alpha1.Failure, workload string) outcome {
	if noted == nil || !strings.HasPrefix(noted.Pod, workload+"-") {
		return o
	}
	o.kind, o.failure = outcomeDisrupted, *noted
	if noted.Charge == charged {
		o.kind = outcomeFailed
	}
	return o
}
