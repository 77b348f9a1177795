//go:build e2e

package chaos

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

const (
	operatorNamespace = "simclr-system"
	operatorName      = "simclr-operator"
	// takeover is how long nobody may lead.
	takeover = 30 * time.Second
)

// restarted kills a component of Kubernetes with SIGKILL and starts it again.
func restarted(component string) func(*trial) {
	return func(s *trial) {
		pids := scenario.Processes(filepath.Join(scenario.Root, "build/k8s/bin", component))
		if len(pids) != 1 {
			s.Fatalf("processes %v of %s, want one", pids, component)
		}
		s.Kill(pids[0])
		time.Sleep(2 * time.Second)
		s.cluster("up")
	}
}

// operators are the manager's processes on the node.
func (s *trial) operators() []int {
	s.Helper()
	return scenario.Processes("manager", "--leader-elect")
}

func operatorKilled(s *trial) {
	pids := s.operators()
	if len(pids) != 1 {
		s.Fatalf("managers %v, want one", pids)
	}
	s.Kill(pids[0])
}

// leaderKilled kills the replica that leads, and the trainer's pod, which the next leader has to replace.
func leaderKilled(s *trial) {
	s.Frozen(func() { s.replicas(2) })
	s.Cleanup(func() { s.replicas(1) })
	leader := s.leader()
	process := s.processOf(leader)
	pod := s.pod()
	begin := time.Now()
	s.Kill(process)
	s.Must(scenario.API.Delete(s.Context(), pod))
	s.Eventually("another attempt", takeover, func() string {
		for _, p := range s.Pods() {
			if p.UID != pod.UID {
				return ""
			}
		}
		return "no pod"
	})
	s.Logf("%s after the leader's end there was another pod", time.Since(begin).Round(time.Second))
}

// leader is the name of the pod that holds the lease.
func (s *trial) leader() string {
	s.Helper()
	var lease coordinationv1.Lease
	s.Must(scenario.API.Get(s.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: "simclr-operator.training.simclr.dev"}, &lease))
	name, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return name
}

// processOf is the manager's process in a pod.
func (s *trial) processOf(name string) int {
	s.Helper()
	var pod corev1.Pod
	s.Must(scenario.API.Get(s.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: name}, &pod))
	for _, pid := range s.operators() {
		raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
		if err == nil && strings.Contains(string(raw), string(pod.UID)) {
			return pid
		}
	}
	s.Fatalf("pod %s has no process on this machine", name)
	return 0
}

// replicas of the operator, ready and alone.
func (s *trial) replicas(n int32) {
	s.Helper()
	key := client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}
	ctx := context.WithoutCancel(s.Context())
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":`+strconv.Itoa(int(n))+`}}`))
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = key.Namespace, key.Name
	s.Must(scenario.API.Patch(ctx, d, patch))
	if n == 0 { // at once, where it has not ended yet
		for _, pid := range s.operators() {
			if err := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
				s.Must(err)
			}
		}
	}
	s.Eventually(strconv.Itoa(int(n))+" replicas", scenario.Patience, func() string {
		d = &appsv1.Deployment{}
		s.Must(scenario.API.Get(ctx, key, d))
		if d.Status.ObservedGeneration < d.Generation || d.Status.Replicas != n || d.Status.ReadyReplicas != n || len(s.operators()) != int(n) {
			return strconv.Itoa(int(d.Status.ReadyReplicas)) + " are ready"
		}
		return ""
	})
}
