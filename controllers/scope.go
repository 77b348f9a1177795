package controllers

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// scope is one run and everything that its sub-reconcilers know of it and decide about it.
type scope struct {
	before *v1alpha1.SimCLRRun // as it was loaded
	run    *v1alpha1.SimCLRRun // its status is what will be written
	config *v1alpha1.SimCLRRun // as the trainer reads it: resolved and fixed
	now    time.Time

	attempts []attempt    // of all stages, oldest first
	strays   []corev1.Pod // of Jobs that are gone
	running  *attempt     // whose pod runs, as far as is known
	claims   []string     // mounted read-only at /data/CLAIM

	hadOutput   bool // a stage has just ended well on the output claim
	justStarted bool // the trainer; that is written with the first that it tells

	unready error // why no attempt can be made, where that is known already

	wanted       map[string]metav1.Condition
	events       []note
	requeueAfter time.Duration
}

type note struct{ kind, reason, message string }

func newScope(run *v1alpha1.SimCLRRun, now time.Time) *scope {
	s := &scope{before: run, run: run.DeepCopy(), now: now, wanted: map[string]metav1.Condition{}}
	s.run.Status.ObservedGeneration = run.Generation
	return s
}

// tell and warn note an event, emitted once the status that it speaks of is written.
func (s *scope) tell(reason, message string) {
	s.events = append(s.events, note{corev1.EventTypeNormal, reason, clean(message, maxText)})
}

func (s *scope) warn(reason, message string) {
	s.events = append(s.events, note{corev1.EventTypeWarning, reason, clean(message, maxText)})
}

// requeue asks for another look after d, or earlier where that was asked for already.
func (s *scope) requeue(d time.Duration) {
	if s.requeueAfter == 0 || d < s.requeueAfter {
		s.requeueAfter = max(d, time.Millisecond)
	}
}

func (s *scope) time() *metav1.Time {
	t := metav1.NewTime(s.now)
	return &t
}

// stage is the status of a stage, made where it is missing.
func (s *scope) stage(name string) *v1alpha1.StageStatus {
	stages := &s.run.Status.Stages
	i := slices.IndexFunc(*stages, func(st v1alpha1.StageStatus) bool { return st.Name == name })
	if i < 0 {
		i = len(*stages)
		*stages = append(*stages, v1alpha1.StageStatus{Name: name, State: v1alpha1.StagePending})
	}
	return &(*stages)[i]
}

// current is the first stage that is not complete; nil before the run is resolved and after its end.
func (s *scope) current() *v1alpha1.StageStatus {
	for i := range s.run.Status.Stages {
		if st := &s.run.Status.Stages[i]; st.State != v1alpha1.StageComplete {
			return st
		}
	}
	return nil
}

// newest is the newest attempt of a stage; nil where there is none.
func (s *scope) newest(stage string) *attempt {
	for i := len(s.attempts) - 1; i >= 0; i-- {
		if s.attempts[i].stage == stage {
			return &s.attempts[i]
		}
	}
	return nil
}

// pods are those of all attempts, and the strays.
func (s *scope) pods() []corev1.Pod {
	pods := slices.Clone(s.strays)
	for i := range s.attempts {
		pods = append(pods, s.attempts[i].pods...)
	}
	return pods
}

func (s *scope) sortAttempts() {
	slices.SortFunc(s.attempts, func(a, b attempt) int {
		if c := strings.Compare(a.stage, b.stage); c != 0 {
			return c
		}
		return int(a.number - b.number)
	})
}
