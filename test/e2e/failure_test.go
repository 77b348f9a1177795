//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// An image that does not exist is told within 30 seconds in the kubelet's words, and can be corrected while suspended.
func TestWrongImage(t *testing.T) {
	s := start(t, scenario.PretrainOnly, func(r *v1alpha1.SimCLRRun) {
		r.Spec.Template.Image = "registry.invalid/nothing:1"
		r.Spec.Pretraining.Epochs = new(int32(1))
	})
	s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, "ImagePullBackOff", 30*time.Second, "registry.invalid/nothing:1")
	s.Condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, "ImagePullBackOff", time.Second)
	s.Edit(scenario.Suspended(true))
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	s.Edit(func(r *v1alpha1.SimCLRRun) { r.Spec.Template.Image, r.Spec.Suspend = "", nil })
	run := s.Completes()
	if run.Status.Restarts != 0 || run.Status.Image == "registry.invalid/nothing:1" {
		t.Errorf("status %+v", run.Status)
	}
}

// What the user has to mend ends the run at once, in words that say how.
func TestUserError(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.SimCLRRun)
		want   []string
	}{
		"a batch that no memory holds": {
			change: func(r *v1alpha1.SimCLRRun) { r.Spec.Dataset.Limit, r.Spec.BatchSize = nil, 50000 },
			want:   []string{"batchSize", "memory"},
		},
		"a claim that nobody made readable": {
			change: func(r *v1alpha1.SimCLRRun) {
				r.Spec.Dataset = v1alpha1.DatasetSpec{URI: "pvc://data/images", Format: v1alpha1.FormatImageFolder}
			},
			want: []string{"spec.dataset.uri", "uid 65532"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, scenario.PretrainOnly, tc.change)
			s.createClaim("data")
			s.fails("UserError", tc.want...)
			if st := s.Stage("pretrain"); st.Attempts != 1 || *st.LastFailure.ExitCode != 10 {
				t.Errorf("stage %+v", st)
			}
		})
	}
}

// fails waits until the run has failed.
func (s *trial) fails(reason string, words ...string) {
	s.Helper()
	s.Eventually("failure", scenario.Patience, func() string {
		status := s.Get().Status
		c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionFailed)
		if c != nil && c.Status == metav1.ConditionTrue && c.Reason == reason && scenario.ContainsAll(c.Message, words) {
			return ""
		}
		return fmt.Sprintf("%+v", status.Conditions)
	})
}

func (s *trial) createClaim(name string) {
	s.Helper()
	s.Must(scenario.API.Create(s.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Run.Namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}))
}
