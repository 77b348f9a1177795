package scenario

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// TwoWorkers of one core each.
func TwoWorkers(r *v1alpha1.SimCLRRun) {
	r.Spec.Workers = new(int32(2))
	r.Spec.Template.Resources = &corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("400m"), corev1.ResourceMemory: resource.MustParse("512Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
	}
}

// undisturbed are the encoder's digests of PretrainOnly runs that nothing happened to, by their number of workers; each is trained
// once for all tests.
var undisturbed = map[int32]string{}

// WantUndisturbed wants the weights of a PretrainOnly run that nothing happened to, bit by bit, and so many charged restarts. The run
// is PretrainOnly, with or without TwoWorkers.
func (s *Scenario) WantUndisturbed(run *v1alpha1.SimCLRRun, restarts int32) {
	s.Helper()
	workers := max(1, run.Status.Workers)
	if undisturbed[workers] == "" {
		changes := []func(*v1alpha1.SimCLRRun){PretrainOnly}
		if workers > 1 {
			changes = append(changes, TwoWorkers)
		}
		undisturbed[workers] = Start(s.T, changes...).Completes().Status.Encoder.SHA256
	}
	if got := run.Status.Encoder.SHA256; got != undisturbed[workers] {
		s.Errorf("the encoder's digest is %s; an undisturbed run's is %s", got, undisturbed[workers])
	}
	if run.Status.Restarts != restarts {
		s.Errorf("%d restarts were charged, want %d", run.Status.Restarts, restarts)
	}
}
