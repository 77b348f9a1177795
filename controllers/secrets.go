package controllers

import (
	"path"

	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// secretMode is readable by the pod's group only.
const secretMode = 0o440

// secretVolumes are what the datasets' credentials and caBundle refer to. The operator reads no Secret: the kubelet
// mounts them, and where one is missing the pod does not start and says so. Files, not variables of the environment:
// their values are in no pod's spec, and what renews a Secret renews them.
func secretVolumes(spec *v1alpha1.SimCLRRunSpec) (volumes []corev1.Volume, mounts []corev1.VolumeMount) {
	add := func(name, dir string, from corev1.VolumeSource) {
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: from})
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: path.Join(contract.SecretsDir, dir), ReadOnly: true})
	}
	datasets := map[string]*v1alpha1.DatasetSpec{contract.DatasetSecrets: &spec.Dataset}
	if spec.Evaluation != nil {
		datasets[contract.EvaluationSecrets] = &spec.Evaluation.Dataset
	}
	for _, of := range []string{contract.DatasetSecrets, contract.EvaluationSecrets} {
		d := datasets[of]
		if d == nil {
			continue
		}
		if c := d.Credentials; c != nil {
			add(of+"-credentials", path.Join(of, contract.CredentialsDir), secret(c.Name, nil))
		}
		if b := d.CABundle; b != nil {
			add(of+"-ca", path.Join(of, contract.CADir), bundle(b))
		}
	}
	return volumes, mounts
}

func secret(name string, items []corev1.KeyToPath) corev1.VolumeSource {
	return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: name, Items: items, DefaultMode: new(int32(secretMode)), Optional: new(false),
	}}
}

// bundle is the key with the certificates alone, as contract.CAFile.
func bundle(b *v1alpha1.CABundleReference) corev1.VolumeSource {
	items := []corev1.KeyToPath{{Key: b.Key, Path: contract.CAFile}}
	if b.Kind == v1alpha1.BundleSecret {
		return secret(b.Name, items)
	}
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: b.Name}, Items: items, Optional: new(false),
	}}
}
