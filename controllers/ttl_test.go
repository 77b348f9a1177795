package controllers

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestTTLSecondsAfterFinished(t *testing.T) {
	for name, tc := range map[string]struct {
		ttl         *int32
		condition   string
		after       time.Duration
		wantGone    bool
		wantRequeue time.Duration
	}{
		"none":               {nil, v1alpha1.ConditionComplete, 1000 * time.Hour, false, 0},
		"not over":           {new(int32(60)), v1alpha1.ConditionComplete, 20 * time.Second, false, 40 * time.Second},
		"over":               {new(int32(60)), v1alpha1.ConditionComplete, time.Minute, true, 0},
		"of a failed run":    {new(int32(60)), v1alpha1.ConditionFailed, time.Minute, true, 0},
		"at once":            {new(int32(0)), v1alpha1.ConditionComplete, 0, true, 0},
		"of a run that runs": {new(int32(0)), v1alpha1.ConditionProgressing, time.Hour, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, api, request := newTestReconciler(t, interceptor.Funcs{})
			changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Spec.TTLSecondsAfterFinished = tc.ttl })
			var run v1alpha1.SimCLRRun
			if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
				t.Fatal(err)
			}
			meta.SetStatusCondition(&run.Status.Conditions, metav1.Condition{
				Type: tc.condition, Status: metav1.ConditionTrue, Reason: "Test", LastTransitionTime: metav1.NewTime(r.Clock.Now().Add(-tc.after)),
			})
			if err := api.Status().Update(t.Context(), &run); err != nil {
				t.Fatal(err)
			}
			result, err := r.Reconcile(t.Context(), request)
			if err != nil || result.RequeueAfter != tc.wantRequeue {
				t.Errorf("%+v, %v; want another look after %s", result, err, tc.wantRequeue)
			}
			if gone := apierrors.IsNotFound(api.Get(t.Context(), request.NamespacedName, &run)); gone != tc.wantGone {
				t.Errorf("deleted: %v, want %v", gone, tc.wantGone)
			}
		})
	}
}
