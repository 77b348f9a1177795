package controllers

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// The API server has no index of events: each question has it read all of a namespace, so that a thousand pods that start late,
// because the cluster is busy, would keep it busy with questions of why. Measured with 1,000 runs: 12,000 questions took all of its
// time. A few are asked at once, then one a second, of all runs together.
const (
	eventsAtOnce    = 10
	eventsPerSecond = 1
)

// errAskLater is that events are not asked for now.
var errAskLater = errors.New("events are asked for later")

func newEventLimit(c clock.PassiveClock) flowcontrol.PassiveRateLimiter {
	return flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(eventsPerSecond, eventsAtOnce, c)
}

// eventReason is an event's reason, and the condition's for what it tells of.
type eventReason struct{ event, reason string }

// kubeletEvents are those of a pod that is on its node and has no container yet.
var kubeletEvents = []eventReason{
	{"FailedMount", reasonVolumeNotReady},
	{"FailedAttachVolume", reasonVolumeNotReady},
	{"FailedCreatePodSandBox", reasonSandboxNotReady},
}

// lastEvent is the newest event's text about an object, of the first of the reasons that has a fresh one; "" where there is none. It
// is read past the cache, and only for pods that should have started by now.
func (r *Reconciler) lastEvent(ctx context.Context, s *scope, about types.UID, reasons ...eventReason) (reason, text string, err error) {
	r.eventLimitOnce.Do(func() { r.eventLimit = newEventLimit(r.Clock) })
	if !r.eventLimit.TryAccept() {
		return "", "", errAskLater
	}
	var events corev1.EventList
	err = r.APIReader.List(ctx, &events, client.InNamespace(s.run.Namespace),
		client.MatchingFields{"involvedObject.uid": string(about)}, client.Limit(100))
	if err != nil {
		return "", "", err
	}
	for _, wanted := range reasons {
		if text := freshest(events.Items, wanted.event, s.now); text != "" {
			return wanted.reason, text, nil
		}
	}
	return "", "", nil
}

// freshest is the newest event's text of a reason; "" where it is old, for then what it tells of is past.
func freshest(events []corev1.Event, reason string, now time.Time) string {
	text, newest := "", now.Add(-freshTime)
	for i := range events {
		e := &events[i]
		at := e.LastTimestamp.Time
		if e.EventTime.After(at) {
			at = e.EventTime.Time
		}
		if e.Series != nil && e.Series.LastObservedTime.After(at) {
			at = e.Series.LastObservedTime.Time
		}
		if e.Reason == reason && at.After(newest) {
			text, newest = clean(e.Message, maxText), at
		}
	}
	return text
}

// keepExplanation keeps what events told, while they are not asked for.
func (s *scope) keepExplanation() {
	c := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionProgressing)
	if c == nil || c.Status != metav1.ConditionFalse {
		return
	}
	switch c.Reason {
	case reasonVolumeNotReady, reasonSandboxNotReady, reasonPodCreationFailed:
		s.set(c.Type, c.Status, c.Reason, c.Message)
		s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, c.Reason, c.Message)
	}
}
