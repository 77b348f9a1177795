//go:build e2e

package chaos

import (
	"bytes"
	"os"
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
	pod := s.pod()
	node := pod.Spec.NodeName
	drain := s.Kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", "120s")
	said := &bytes.Buffer{}
	drain.Stdout, drain.Stderr = said, said
	s.Frozen(func() {
		s.Must(drain.Start())
		s.toldToStop(pod)
	})
	if err := drain.Wait(); err != nil {
		s.Fatalf("%v\n%s", err, said)
	}
	time.Sleep(2 * time.Second)
	scenario.Command(s.T, "kubectl", "uncordon", node)
}

// preempted by a pod of a higher class, which needs nearly all of the node, and goes.
func preempted(s *trial) {
	pod := s.pod()
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: s.Run.Namespace}, Value: 1000}
	s.Must(scenario.API.Create(s.Context(), class))
	defer func() { s.Must(scenario.API.Delete(s.Context(), class)) }()
	var node corev1.Node
	s.Must(scenario.API.Get(s.Context(), client.ObjectKey{Name: pod.Spec.NodeName}, &node))
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
	s.Frozen(func() {
		s.Must(scenario.API.Create(s.Context(), other))
		s.toldToStop(pod)
	})
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
	pod := s.pod()
	image := pod.Spec.Containers[0].Image
	s.Frozen(func() {
		scenario.Command(s.T, "ctr", "--address", "/run/simclr-cluster/containerd.sock", "--namespace", "k8s.io", "images", "rm", "--sync", image)
		s.Must(scenario.API.Delete(s.Context(), pod, client.GracePeriodSeconds(0)))
	})
	s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, "ImagePullBackOff", scenario.Patience, image)
	s.cluster("load", filepath.Join(scenario.Root, "build/images/simclr-trainer.tar"))
}

// toldToStop waits until a pod is being deleted or gone.
func (s *trial) toldToStop(pod *corev1.Pod) {
	s.Helper()
	s.Eventually("deletion of "+pod.Name, scenario.Patience, func() string {
		var now corev1.Pod
		err := scenario.API.Get(s.Context(), client.ObjectKeyFromObject(pod), &now)
		if err == nil && now.DeletionTimestamp == nil {
			return "it is not deleted"
		}
		s.Must(client.IgnoreNotFound(err))
		return ""
	})
}

// suspendedRepeatedly changes spec.suspend faster than pods come and go.
func suspendedRepeatedly(s *trial) {
	for i := range 6 {
		s.Edit(scenario.Suspended(i%2 == 0))
		time.Sleep(time.Duration(i) * 700 * time.Millisecond)
	}
}

// cluster is the command of hack/cluster.
func (s *trial) cluster(args ...string) {
	s.Helper()
	bin := filepath.Join(scenario.Root, "build/k8s/bin")
	scenario.Command(s.T, append(append([]string{filepath.Join(bin, "cluster")}, args...), "--bin", bin, "--kubeconfig", os.Getenv("KUBECONFIG"))...)
}
