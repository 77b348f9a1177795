package controllers

import (
	"strings"
	"testing"
)

// The words are those that Kubernetes 1.37 says, as test/e2e sees them.
func TestAdvised(t *testing.T) {
	for name, tc := range map[string]struct{ reason, text, want string }{
		"too large": {reasonUnschedulable, "0/1 nodes are available: 1 Insufficient cpu.", "template (resources"},
		"a claim":   {reasonUnschedulable, "pod has unbound immediate PersistentVolumeClaims. not found", "kubectl describe pvc"},
		"a quota": {reasonPodCreationFailed, `Error creating: pods "p" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0`,
			"ResourceQuota has room"},
		"a quota of memory": {reasonPodCreationFailed, `pods "p" is forbidden: failed quota: memory: must specify limits.memory for: trainer`, "wants template.resources"},
		"an account": {reasonPodCreationFailed, `Error creating: pods "p" is forbidden: error looking up service account ns/nobody: serviceaccount "nobody" not found`,
			"template.serviceAccountName"},
		"a priority": {reasonPodCreationFailed, `pods "p" is forbidden: no PriorityClass with name nothing was found`, "template.priorityClassName"},
		"Pod Security": {reasonPodCreationFailed, `pods "p" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true`,
			"a policy of the cluster"},
		"a webhook":             {reasonPodCreationFailed, `admission webhook "x.example" denied the request: no`, "a policy of the cluster"},
		"no room for the claim": {reasonObjectRefused, `persistentvolumeclaims "c" is forbidden: exceeded quota: q, requested: requests.storage=1Gi`, "output.claim.size"},
		"no variable":           {reasonContainerConfigError, `CreateContainerConfigError: secret "s" not found`, "template.env"},
		"not executable":        {reasonContainerConfigError, "CreateContainerError: permission denied", "correct spec.template"},
		"no credentials":        {reasonVolumeNotReady, `MountVolume.SetUp failed for volume "dataset-credentials" : secret "s" not found`, "dataset.credentials"},
		"no certificates":       {reasonVolumeNotReady, `MountVolume.SetUp failed for volume "evaluation-ca" : configmap "c" not found`, "evaluation.dataset.caBundle"},
		"of no use":             {reasonSandboxNotReady, "no network", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := advised(tc.reason, tc.text)
			if !strings.HasPrefix(got, tc.text) || !strings.Contains(got, tc.want) || tc.want == "" && got != tc.text {
				t.Errorf("%q, want the words and %q", got, tc.want)
			}
			if long := advised(tc.reason, tc.text+strings.Repeat(" x", maxText)); tc.want != "" && (len(long) > maxText || !strings.Contains(long, tc.want)) {
				t.Errorf("a long text is of %d bytes and ends %q", len(long), long[len(long)-100:])
			}
		})
	}
}
