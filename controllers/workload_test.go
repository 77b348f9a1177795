package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The conditions are as Kueue v0.15.0 writes them.
func TestWhyAWorkloadWaits(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	}
	noQuota := condition(workloadQuotaReserved, metav1.ConditionFalse, "Pending", "insufficient unused quota for cpu in flavor any-node, 1 more needed")
	reserved := condition(workloadQuotaReserved, metav1.ConditionTrue, "QuotaReserved", "Quota reserved in ClusterQueue training")
	preempted := condition(workloadEvicted, metav1.ConditionTrue, "Preempted", "Preempted to accommodate a workload")
	for name, tc := range map[string]struct {
		conditions  []metav1.Condition
		checks      []admissionCheck
		inactive    bool
		want        string
		wantStalled bool
	}{
		"not looked at yet": {want: ""},
		"no quota":          {conditions: []metav1.Condition{noQuota}, want: ": insufficient unused quota for cpu in flavor any-node, 1 more needed"},
		"no queue": {
			conditions: []metav1.Condition{condition(workloadQuotaReserved, metav1.ConditionFalse, workloadInadmissible, "LocalQueue training doesn't exist")},
			want:       ": LocalQueue training doesn't exist", wantStalled: true,
		},
		"preempted": {
			conditions: []metav1.Condition{preempted, noQuota},
			want:       "; it was stopped: Preempted: Preempted to accommodate a workload: " + noQuota.Message,
		},
		"preempted, its pods stop": {
			conditions: []metav1.Condition{preempted, reserved, condition(workloadAdmitted, metav1.ConditionTrue, "Admitted", "")},
			want:       "; it was stopped: Preempted: Preempted to accommodate a workload",
		},
		"preempted, not looked at since": {
			conditions: []metav1.Condition{preempted, condition(workloadQuotaReserved, metav1.ConditionFalse, "Pending", preempted.Message)},
			want:       "; it was stopped: Preempted: Preempted to accommodate a workload",
		},
		"preempted once, admitted again": {
			conditions: []metav1.Condition{
				condition(workloadEvicted, metav1.ConditionFalse, "QuotaReserved", ""), reserved, condition(workloadAdmitted, metav1.ConditionTrue, "Admitted", ""),
			},
			want: "; it is admitted and about to start",
		},
		"admission checks": {
			conditions: []metav1.Condition{reserved},
			checks:     []admissionCheck{{Name: "nodes", State: "Pending", Message: "two are made"}, {Name: "budget", State: "Ready"}},
			want:       "; it has quota and waits for admission checks: nodes Pending two are made",
		},
		"deactivated": {
			conditions: []metav1.Condition{condition(workloadEvicted, metav1.ConditionTrue, "Deactivated", "The workload is deactivated"), noQuota},
			inactive:   true, wantStalled: true,
			want: "; it was stopped: Deactivated: The workload is deactivated; Workload job-run-1 is deactivated: set its spec.active to true",
		},
	} {
		var w workload
		w.Name = "job-run-1"
		w.Status.Conditions, w.Status.AdmissionChecks = tc.conditions, tc.checks
		if tc.inactive {
			w.Spec.Active = new(false)
		}
		got := w.why()
		if got.message != tc.want || got.stalled != tc.wantStalled || got.reason != reasonQueued {
			t.Errorf("%s: %+v, want %q, stalled %v", name, got, tc.want, tc.wantStalled)
		}
	}
}
