package controllers_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// The Job controller ends a Job up to a second after its pod. A run that has ended in between must keep
// the Job: its pod has the log.
func TestLogsStay(t *testing.T) {
	for name, tc := range map[string]struct {
		message   contract.TerminationMessage
		condition string
		reason    string
	}{
		"complete": {pretrainResult, v1alpha1.ConditionComplete, "AllStagesComplete"},
		"failed": {contract.TerminationMessage{ExitCode: contract.ExitUserError, Reason: "BadData", Message: "no images"},
			v1alpha1.ConditionFailed, "UserError"},
		"diverged": {contract.TerminationMessage{ExitCode: contract.ExitDiverged, Reason: "Diverged", Message: "not a number"},
			v1alpha1.ConditionFailed, "Diverged"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			run := c.create(wrap.MakeRun(c.namespace, "logged"))
			job := c.job(run, "pretrain", 1)
			tc.message.Stage = "pretrain"
			c.exits(c.runs(job), tc.message.ExitCode, wrap.Message(tc.message))
			c.condition(run, tc.condition, metav1.ConditionTrue, tc.reason)
			for range 3 {
				c.pass(run, 0)
				time.Sleep(300 * time.Millisecond)
				if kept := c.job(run, "pretrain", 1); kept.DeletionTimestamp != nil {
					t.Fatal("the Job is deleted, and with it its pod's log")
				}
			}
		})
	}
}
