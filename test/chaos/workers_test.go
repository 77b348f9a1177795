//go:build e2e

package chaos

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// noticed is how long a worker that is not there any more may stay unnoticed.
const noticed = 30 * time.Second

func twoWorkers(_ *testing.T, r *v1alpha1.SimCLRRun) { scenario.TwoWorkers(r) }

func workerKilled(s *trial) { s.Kill(s.TrainerOfRank(1)) }

func leadKilled(s *trial) { s.Kill(s.TrainerOfRank(0)) }

func workerEvicted(s *trial) {
	pod := s.podOfRank(1)
	s.Must(scenario.API.SubResource("eviction").Create(s.Context(), &pod, &policyv1.Eviction{}))
}

// workersCut drops what one worker sends to the other and gets from it; the pods of the next attempt have a network again.
func workersCut(s *trial) {
	peer, pid := s.podOfRank(0).Status.PodIP, s.TrainerOfRank(1)
	rules := fmt.Sprintf(`table inet cut {
		chain in { type filter hook input priority 0; ip saddr %[1]s drop; }
		chain out { type filter hook output priority 0; ip daddr %[1]s drop; }
	}`, peer)
	begin := time.Now()
	scenario.Command(s.T, "nsenter", "--target", strconv.Itoa(pid), "--net", "bash", "-c", `nft -f - <<<"$0"`, rules)
	s.Eventually("the workers' end", noticed, func() string {
		if left := scenario.Processes("simclr-trainer", "stage"); len(left) > 0 {
			return fmt.Sprint(left)
		}
		return ""
	})
	s.Logf("%s after the cut both workers had ended", time.Since(begin).Round(time.Second))
}

func (s *trial) podOfRank(rank int) corev1.Pod {
	s.Helper()
	for _, p := range s.Pods() {
		if p.Labels[batchv1.JobCompletionIndexAnnotation] == strconv.Itoa(rank) {
			return p
		}
	}
	s.Fatalf("no pod of rank %d", rank)
	return corev1.Pod{}
}
