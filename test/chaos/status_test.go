//go:build e2e

package chaos

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// statusWiped is a restore from a backup that has no statuses.
func statusWiped(s *trial) {
	run := s.Get()
	run.Status = v1alpha1.SimCLRRunStatus{}
	s.Must(scenario.API.Status().Update(s.Context(), run))
	s.Eventually("the status", scenario.Patience, func() string {
		if st := s.Stage(pretrain); st.Checkpoint == nil || st.Checkpoint.Step < s.saved {
			return "it does not tell of the checkpoint"
		}
		return ""
	})
}

// messageLost takes the pod away, and the message with it, after its trainer has ended and before the operator has looked.
func messageLost(s *trial) {
	pod := s.pod()
	s.Cleanup(func() { s.replicas(1) }) // for those that follow, however this one ends
	s.Frozen(func() { s.replicas(0) })
	s.Eventually("the trainer's end", scenario.Patience, func() string {
		s.Must(scenario.API.Get(s.Context(), client.ObjectKeyFromObject(pod), pod))
		if pod.Status.Phase != corev1.PodSucceeded {
			return string(pod.Status.Phase)
		}
		return ""
	})
	s.Must(scenario.API.Delete(s.Context(), pod, client.GracePeriodSeconds(0)))
	s.IsGone(&corev1.Pod{}, pod.Name)
	s.replicas(1)
}
