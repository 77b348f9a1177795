//go:build e2e

package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// pod is the run's only one.
func (s *trial) pod() *corev1.Pod {
	s.Helper()
	pods := s.Pods()
	if len(pods) != 1 {
		s.Fatalf("%d pods, want 1", len(pods))
	}
	return &pods[0]
}

func podDeleted(s *trial) { s.Must(scenario.API.Delete(s.Context(), s.pod())) }

// podDeletedAtOnce is what people do with pods that hang: there is no time to save.
func podDeletedAtOnce(s *trial) {
	s.Must(scenario.API.Delete(s.Context(), s.pod(), client.GracePeriodSeconds(0)))
}

func podEvicted(s *trial) {
	s.Must(scenario.API.SubResource("eviction").Create(s.Context(), s.pod(), &policyv1.Eviction{}))
}

// nodeDrained takes everything off the only node, the operator too, and gives the node back.
func nodeDrained(s *trial) {
	node := s.pod().Spec.NodeName
	s.runs(s.Kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", "120s"))
	time.Sleep(2 * time.Second)
	s.runs(s.Kubectl("uncordon", node))
}

// preempted by a pod of a higher class, which needs nearly all of the node, and goes.
func preempted(s *trial) {
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: s.Run.Namespace}, Value: 1000}
	s.Must(scenario.API.Create(s.Context(), class))
	defer func() { s.Must(scenario.API.Delete(s.Context(), class)) }()
	var node corev1.Node
	s.Must(scenario.API.Get(s.Context(), client.ObjectKey{Name: s.pod().Spec.NodeName}, &node))
	most := node.Status.Allocatable.Cpu().DeepCopy()
	most.Sub(resource.MustParse("300m")) // of the manager and whatever is else
	other := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "important", Namespace: s.Run.Namespace},
		Spec: corev1.PodSpec{
			PriorityClassName: class.Name, TerminationGracePeriodSeconds: new(int64(0)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "pause", Image: "simclr.local/pause:dev",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: most}},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	s.Must(scenario.API.Create(s.Context(), other))
	s.Eventually("preemption", scenario.Patience, func() string {
		s.Must(scenario.API.Get(s.Context(), client.ObjectKeyFromObject(other), other))
		if other.Status.Phase != corev1.PodRunning {
			return string(other.Status.Phase)
		}
		return ""
	})
	s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Unschedulable", scenario.Patience, "cpu")
	s.Must(scenario.API.Delete(s.Context(), other))
}

// imageGone removes the trainer's image from the node while a pod has to be made anew, and brings it back.
func imageGone(s *trial) {
	image := s.pod().Spec.Containers[0].Image
	s.runs(exec.Command("ctr", "--address", "/run/simclr-cluster/containerd.sock", "--namespace", "k8s.io", "images", "rm", "--sync", image))
	s.Must(scenario.API.Delete(s.Context(), s.pod(), client.GracePeriodSeconds(0)))
	s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, "ImagePullBackOff", scenario.Patience, image)
	s.cluster("load", filepath.Join(scenario.Root, "build/images/simclr-trainer.tar"))
}

// suspendedRepeatedly changes spec.suspend faster than pods come and go.
func suspendedRepeatedly(s *trial) {
	for i := range 6 {
		s.Edit(scenario.Suspended(i%2 == 0))
		time.Sleep(time.Duration(i) * 700 * time.Millisecond)
	}
}

// runs a command.
func (s *trial) runs(c *exec.Cmd) {
	s.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		s.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
}

// cluster is the command of hack/cluster.
func (s *trial) cluster(args ...string) {
	s.Helper()
	bin := filepath.Join(scenario.Root, "build/k8s/bin")
	c := exec.Command(filepath.Join(bin, "cluster"), append(args, "--bin", bin, "--kubeconfig", os.Getenv("KUBECONFIG"))...)
	s.runs(c)
}
