package main

import (
	"os"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// TestJobSetIsInstalledLater runs the manager in a cluster that has no JobSet: runs of one worker work, others wait and say for
// what, and go on once it is there, without a restart of the manager.
func TestJobSetIsInstalledLater(t *testing.T) {
	api, config := apiServer(t)
	startManager(t, config)
	one, two := wrap.MakeRun(watched, "one").Obj(), wrap.MakeRun(watched, "two").Workers(2).Obj()
	must(t, api.Create(t.Context(), one))
	must(t, api.Create(t.Context(), two))
	eventually(t, "the Job of one worker", func() bool {
		return api.Get(t.Context(), client.ObjectKey{Namespace: watched, Name: "one-pretrain-1"}, &batchv1.Job{}) == nil
	})
	eventually(t, "JobSetMissing", func() bool {
		must(t, api.Get(t.Context(), client.ObjectKeyFromObject(two), two))
		c := meta.FindStatusCondition(two.Status.Conditions, v1alpha1.ConditionStalled)
		return c != nil && c.Status == "True" && c.Reason == "JobSetMissing" && strings.Contains(c.Message, "kubectl apply")
	})

	path, err := wrap.JobSetCRD(t.Context())
	must(t, err)
	text, err := os.ReadFile(path)
	must(t, err)
	var definition apiextensionsv1.CustomResourceDefinition
	must(t, yaml.Unmarshal(text, &definition))
	must(t, api.Create(t.Context(), &definition))

	var set jobset.JobSet
	eventually(t, "the JobSet", func() bool {
		return api.Get(t.Context(), client.ObjectKey{Namespace: watched, Name: "two-pretrain-1"}, &set) == nil
	})
	must(t, api.Delete(t.Context(), &set, client.PropagationPolicy("Background")))
	eventually(t, "the next attempt: JobSets are watched", func() bool {
		return api.Get(t.Context(), client.ObjectKey{Namespace: watched, Name: "two-pretrain-2"}, &set) == nil
	})
}
