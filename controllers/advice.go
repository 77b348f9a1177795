package controllers

import "strings"

// advice is what a person may do about the words of others, in a run's fields: the first of a reason whose words are all there.
var advice = []struct {
	reason string
	words  []string
	what   string
}{
	{reasonUnschedulable, []string{"PersistentVolumeClaim"}, "the claim must exist and be bound: kubectl describe pvc; a new run may name another class in output.claim.storageClassName"},
	{reasonUnschedulable, nil, "it goes on by itself once a node has what accelerator and template (resources, nodeSelector, affinity, tolerations) ask for; or suspend the run, correct them, resume"},
	{reasonPodCreationFailed, []string{"exceeded quota"}, adviceQuota},
	{reasonPodCreationFailed, []string{"failed quota"}, "the namespace's ResourceQuota wants template.resources to name what it bounds: suspend the run, set it, resume"},
	{reasonPodCreationFailed, []string{"service account"}, "create it, or suspend the run, correct template.serviceAccountName, resume"},
	{reasonPodCreationFailed, []string{"PriorityClass"}, "create it, or suspend the run, correct template.priorityClassName, resume"},
	{reasonPodCreationFailed, []string{"LimitRange"}, "suspend the run, correct template.resources, resume"},
	{reasonPodCreationFailed, []string{"is forbidden"}, "a policy of the cluster or the namespace refuses the pod: have it changed, or suspend the run, set what it wants in spec.template (labels, annotations, image, resources), resume"},
	{reasonPodCreationFailed, []string{"denied the request"}, "a policy of the cluster or the namespace refuses the pod: have it changed, or suspend the run, set what it wants in spec.template (labels, annotations, image, resources), resume"},
	{reasonObjectRefused, []string{"exceeded quota", "storage"}, "it goes on by itself once the namespace's ResourceQuota has room; or make a new run with a smaller output.claim.size or with output.existingClaim"},
	{reasonObjectRefused, []string{"exceeded quota"}, adviceQuota},
	{reasonContainerConfigError, []string{"secret"}, adviceEnv},
	{reasonContainerConfigError, []string{"configmap"}, adviceEnv},
	{reasonContainerConfigError, []string{"find key"}, adviceEnv},
	{reasonContainerConfigError, nil, "suspend the run, correct spec.template, resume"},
	{reasonVolumeNotReady, []string{`"dataset-credentials"`}, "create the Secret that dataset.credentials names; it goes on by itself"},
	{reasonVolumeNotReady, []string{`"dataset-ca"`}, "create what dataset.caBundle names, with its key; it goes on by itself"},
	{reasonVolumeNotReady, []string{`"evaluation-credentials"`}, "create the Secret that evaluation.dataset.credentials names; it goes on by itself"},
	{reasonVolumeNotReady, []string{`"evaluation-ca"`}, "create what evaluation.dataset.caBundle names, with its key; it goes on by itself"},
}

const (
	adviceQuota = "it goes on by itself once the namespace's ResourceQuota has room; or suspend the run, lower template.resources, resume"
	adviceEnv   = "create it, or suspend the run, correct template.env, resume; what exists by then is found without that"
)

// advised is a text of others with what to do about it.
func advised(reason, text string) string {
	for _, a := range advice {
		if a.reason == reason && containsAll(text, a.words) {
			return clean(text, maxText-len(a.what)-100) + "; " + a.what // 100 for what stands before it
		}
	}
	return text
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
