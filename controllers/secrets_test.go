package controllers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// What datasets refer to is mounted as files, never optional: a missing one keeps the pod from starting.
func TestSecretsAreMounted(t *testing.T) {
	w := wrap.MakeRun("ns", "run").DatasetURI("s3://bucket/x", v1alpha1.FormatImages)
	w.Spec.Dataset.Credentials = &v1alpha1.SecretReference{Name: "keys"}
	w.Spec.Dataset.CABundle = &v1alpha1.CABundleReference{Kind: v1alpha1.BundleConfigMap, Name: "trust", Key: "root.pem"}
	w.Spec.Evaluation = &v1alpha1.EvaluationSpec{Dataset: v1alpha1.DatasetSpec{
		URI: "s3://labelled/x", Format: v1alpha1.FormatImageFolder, Labels: v1alpha1.LabelsFromFormat,
		Credentials: &v1alpha1.SecretReference{Name: "other-keys"},
		CABundle:    &v1alpha1.CABundleReference{Kind: v1alpha1.BundleSecret, Name: "other-trust", Key: "ca.crt"},
	}}
	pod := jobFor(t, w, ledger{}).Spec.Template.Spec
	from := map[string]string{} // by the volume's name
	for _, v := range pod.Volumes {
		switch {
		case v.Secret != nil && !*v.Secret.Optional && *v.Secret.DefaultMode == 0o440:
			from[v.Name] = "Secret " + v.Secret.SecretName
			if len(v.Secret.Items) == 1 {
				from[v.Name] += " " + v.Secret.Items[0].Key + " as " + v.Secret.Items[0].Path
			}
		case v.ConfigMap != nil && v.ConfigMap.Optional != nil && !*v.ConfigMap.Optional:
			from[v.Name] = "ConfigMap " + v.ConfigMap.Name + " " + v.ConfigMap.Items[0].Key + " as " + v.ConfigMap.Items[0].Path
		}
	}
	got := map[string]string{}
	for _, m := range pod.Containers[0].VolumeMounts {
		if strings.HasPrefix(m.MountPath, "/var/run/secrets/") && m.ReadOnly {
			got[m.MountPath] = from[m.Name]
		}
	}
	want := map[string]string{
		"/var/run/secrets/simclr/dataset/credentials":    "Secret keys",
		"/var/run/secrets/simclr/dataset/ca":             "ConfigMap trust root.pem as ca.crt",
		"/var/run/secrets/simclr/evaluation/credentials": "Secret other-keys",
		"/var/run/secrets/simclr/evaluation/ca":          "Secret other-trust ca.crt as ca.crt",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts of the container (-want +got):\n%s", diff)
	}
}
