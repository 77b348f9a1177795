package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// stages runs the stages one after the other.
func (r *Reconciler) stages(ctx context.Context, s *scope) error {
	names := s.config.Spec.StageNames()
	for _, name := range names {
		s.stage(name)
	}
	for _, name := range names {
		st := s.stage(name)
		if st.State == v1alpha1.StageComplete {
			if err := r.release(ctx, s, st); err != nil {
				return err
			}
			continue
		}
		if err := r.advance(ctx, s, st); err != nil {
			return err
		}
		if st.State != v1alpha1.StageComplete {
			return nil
		}
	}
	s.set(v1alpha1.ConditionComplete, metav1.ConditionTrue, reasonComplete, "every stage is complete")
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reasonComplete, "every stage is complete")
	s.tell("Complete", "every stage is complete")
	return nil
}

// advance looks at the stage's newest attempt and does what the restart budget decides.
func (r *Reconciler) advance(ctx context.Context, s *scope, st *v1alpha1.StageStatus) error {
	a, err := r.newestAttempt(ctx, s, st)
	if err != nil {
		return err
	}
	if a == nil {
		return r.withoutWorkload(ctx, s, st)
	}
	s.recall(st, a)
	if a.deleted() {
		s.noteMessage(st, judge(a).message)
		s.stopping(st)
		r.unanswered(s)
		return nil
	}
	o := judge(a)
	s.noteMessage(st, o.message)
	if !a.held() && (len(a.pods) == 0 || o.vanished || endNoted(a, o, st.LastFailure)) {
		o = remembered(o, st.LastFailure, a.object.GetName())
	}
	if wait := s.leftToJob(a, o); wait > 0 {
		s.awaitPod(st, a, o, wait)
		return nil
	}
	d := decide(a.ledger(), o, checkpointStep(st), s.budget(st))
	if d.action == actionWait {
		return r.follow(ctx, s, st, a)
	}
	if d.action == actionFinish {
		return r.finishStage(ctx, s, st, a, o.message)
	}
	s.noteFailure(st, a, o, d)
	if d.action == actionFail || d.action == actionExhaust {
		return failedStage(st, d, s.maxRestarts())
	}
	if d.action == actionBlock {
		return r.blockedStart(ctx, s, st, d)
	}
	return r.restart(ctx, s, st, a, d)
}

// blockedStart waits for a suspension, in which a person corrects the template, and tries again after it.
func (r *Reconciler) blockedStart(ctx context.Context, s *scope, st *v1alpha1.StageStatus, d decision) error {
	if st.State == v1alpha1.StageSuspended {
		return r.start(ctx, s, st, d.next)
	}
	return blockf(reasonContainerConfigError, "stage %s: the trainer cannot be started: suspend the run, correct spec.template, resume: %s: %s",
		st.Name, st.LastFailure.Reason, st.LastFailure.Message)
}

// newestAttempt is the stage's newest attempt; nil where none was made or it is gone. The cache may not
// have it yet, so one that the status knows of is looked for past the cache.
func (r *Reconciler) newestAttempt(ctx context.Context, s *scope, st *v1alpha1.StageStatus) (*attempt, error) {
	a := s.newest(st.Name)
	if st.Attempts == 0 || (a != nil && a.number >= st.Attempts) {
		return a, nil
	}
	return r.liveAttempt(ctx, s, JobName(s.run.Name, st.Name, st.Attempts))
}

// withoutWorkload makes the first attempt, or the next one where the last is gone: deleted by a
// suspension, which does not count, or by the operator after a disruption or by somebody, which do. Two
// never write at once: a pod that outlives its Job is waited for.
func (r *Reconciler) withoutWorkload(ctx context.Context, s *scope, st *v1alpha1.StageStatus) error {
	if slices.ContainsFunc(s.strays, func(p corev1.Pod) bool { return st.Attempts > 0 || ofThisRun(&p, s.run) }) {
		s.stopping(st)
		r.unanswered(s)
		return nil
	}
	l := ledger{charged: st.ChargedRestarts, unchargedInRow: st.UnchargedInRow, checkpointStep: checkpointStep(st)}
	if older := s.newest(st.Name); older != nil {
		l.avoid = older.ledger().avoid
	}
	if f := st.LastFailure; f != nil && f.ExitCode != nil && *f.ExitCode == contract.ExitDevice && f.Node != "" &&
		!slices.Contains(l.avoid, f.Node) {
		l.avoid = append(slices.Clone(l.avoid), f.Node)
	}
	if st.Attempts == 0 || st.State == v1alpha1.StageSuspended {
		if err := s.capacity(st); err != nil {
			return err
		}
		return r.start(ctx, s, st, l)
	}
	o := remembered(outcome{kind: outcomeDisrupted}, st.LastFailure, st.Workload)
	d := decide(l, o, l.checkpointStep, s.budget(st))
	if d.action == actionExhaust {
		return failedStage(st, d, s.maxRestarts())
	}
	return r.startAfter(ctx, s, st, d)
}

// restart makes the next attempt once the old one is gone or has ended.
func (r *Reconciler) restart(ctx context.Context, s *scope, st *v1alpha1.StageStatus, a *attempt, d decision) error {
	if a.ended() {
		return r.startAfter(ctx, s, st, d)
	}
	// A Job of one pod would make another after a wait that grows with every ignored failure. With the Job
	// goes its pod's last message, so what it said must be in the status first.
	s.stopping(st)
	if !s.stored(st) {
		return nil // writing the status brings the run back here
	}
	return r.stopAttempt(ctx, s, a)
}

// startAfter makes the next attempt once its delay is over.
func (r *Reconciler) startAfter(ctx context.Context, s *scope, st *v1alpha1.StageStatus, d decision) error {
	if f := st.LastFailure; f != nil && f.Time != nil {
		if wait := f.Time.Add(d.delay).Sub(s.now); wait > 0 {
			s.set(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reasonBackingOff,
				fmt.Sprintf("stage %s: restart %d of at most %d in %s", st.Name, d.next.charged+s.chargedElsewhere(st), s.maxRestarts(), d.delay))
			s.requeue(wait)
			return nil
		}
	}
	return r.start(ctx, s, st, d.next)
}

// start makes the stage's next attempt. Its name is deterministic, so making it twice is making it once.
func (r *Reconciler) start(ctx context.Context, s *scope, st *v1alpha1.StageStatus, l ledger) error {
	if err := r.claimsFor(ctx, s); err != nil {
		return err
	}
	if s.unready != nil {
		return s.unready
	}
	number := st.Attempts + 1
	fresh, err := r.workload(ctx, s, st.Name, number, l)
	if err != nil {
		return err
	}
	if number > 1 { // of the first, its Job says as much; stopAttempt notes it where that goes
		if err := r.noteCounts(ctx, s, st.Name, counts{number, l.charged, s.run.Status.ActiveSeconds}); err != nil {
			return err
		}
	}
	switch err = r.Create(ctx, fresh.object); {
	case err == nil:
		s.tell("StageStarted", fmt.Sprintf("stage %s, attempt %d: %s %s", st.Name, number, fresh.kind(), fresh.object.GetName()))
	case apierrors.IsAlreadyExists(err):
		if fresh, err = r.existing(ctx, s, fresh); err != nil {
			return err
		}
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err) && fresh.set != nil:
		return jobSetMissing(fresh.workers)
	case apierrors.IsInvalid(err):
		return blockf(reasonInvalidTemplate, "the API server refuses the %s: suspend the run and correct spec.template or spec.accelerator: %v", fresh.kind(), err)
	case apierrors.IsForbidden(err):
		return blockf(reasonPodCreationFailed, "the API server refuses the %s: %s", fresh.kind(), advised(reasonPodCreationFailed, err.Error()))
	default:
		return err
	}
	s.recall(st, fresh)
	st.State, st.Progress = v1alpha1.StageRunning, nil
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reasonStarting,
		fmt.Sprintf("stage %s: attempt %d is starting", st.Name, number))
	return nil
}

// recall reads a stage's counters from its newest attempt.
func (s *scope) recall(st *v1alpha1.StageStatus, a *attempt) {
	l := a.ledger()
	if l.checkpointStep > checkpointStep(st) {
		s.noteCheckpoint(st, l.checkpointStep)
	}
	st.Attempts, st.Workload = max(st.Attempts, a.number), a.object.GetName()
	st.ChargedRestarts, st.UnchargedInRow = l.charged, l.unchargedInRow
	if checkpointStep(st) > l.checkpointStep {
		st.UnchargedInRow = 0
	}
	if st.StartTime == nil {
		st.StartTime = s.time()
		if made := a.object.GetCreationTimestamp(); !made.IsZero() {
			st.StartTime = &made
		}
	}
}

func (s *scope) stopping(st *v1alpha1.StageStatus) {
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reasonStopping,
		fmt.Sprintf("stage %s: waiting for attempt %d to be gone", st.Name, st.Attempts))
}

// chargedElsewhere are the charged restarts of the other stages: the budget is the run's.
func (s *scope) chargedElsewhere(st *v1alpha1.StageStatus) int32 {
	var sum int32
	for i := range s.run.Status.Stages {
		if other := &s.run.Status.Stages[i]; other.Name != st.Name {
			sum += other.ChargedRestarts
		}
	}
	return sum
}

func (s *scope) maxRestarts() int32 { return *s.config.Spec.RestartPolicy.MaxRestarts }

func (s *scope) budget(st *v1alpha1.StageStatus) budget {
	b := budget{max: s.maxRestarts(), others: s.chargedElsewhere(st), backoff: 10 * time.Second}
	if n := s.config.Spec.RestartPolicy.BackoffSeconds; n != nil { // a run of an older operator has none
		b.backoff = time.Duration(*n) * time.Second
	}
	return b
}
