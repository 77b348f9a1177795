package controllers

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestProgressDeadline(t *testing.T) {
	for name, tc := range map[string]struct {
		deadline *int32
		since    float64
		want     bool
	}{
		"in time":              {new(int32(60)), 60, false},
		"too long":             {new(int32(60)), 61, true},
		"of an older operator": {nil, 1800, false},
		"and too long":         {nil, 1801, true},
	} {
		s := newScope(&v1alpha1.SimCLRRun{Spec: v1alpha1.SimCLRRunSpec{ProgressDeadlineSeconds: tc.deadline}}, time.Unix(0, 0))
		pod := corev1.Pod{}
		pod.Name = "run-pretrain-1-0"
		s.running = &attempt{stage: "pretrain", pods: []corev1.Pod{pod}}
		s.stalled(s.stage("pretrain"), &contract.Progress{Phase: "Training", Done: 3, Total: 9, SinceLastUnitSeconds: tc.since})
		s.setDefaults()
		c := s.wanted[v1alpha1.ConditionStalled]
		if got := c.Status == metav1.ConditionTrue; got != tc.want || tc.want && (c.Reason != reasonProgressDeadlineExceeded ||
			!strings.Contains(c.Message, "phase Training, 3 of 9") || !strings.Contains(c.Message, "delete pod run-pretrain-1-0") || len(s.events) != 1) {
			t.Errorf("%s: %+v, events %v", name, c, s.events)
		}
	}
}

// Until the trainer is heard again it stays stalled, and is told of once.
func TestAStalledTrainerStaysSo(t *testing.T) {
	run := &v1alpha1.SimCLRRun{}
	meta.SetStatusCondition(&run.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: reasonProgressDeadlineExceeded, Message: "for long",
	})
	s := newScope(run, time.Unix(0, 0))
	s.running = &attempt{stage: "pretrain", pods: []corev1.Pod{{}}}
	s.stillStalled()
	s.setDefaults()
	if c := s.wanted[v1alpha1.ConditionStalled]; c.Status != metav1.ConditionTrue || c.Message != "for long" {
		t.Errorf("nothing new heard: %+v", c)
	}
	s.stalled(s.stage("pretrain"), &contract.Progress{SinceLastUnitSeconds: 1e6})
	if len(s.events) != 0 {
		t.Errorf("events %v: it was told before", s.events)
	}
}
