package controllers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"path"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// keyBytes of randomness in the secret that a run's workers know each other by.
const keyBytes = 32

// KeyName is the name of the Secret that a run's workers know each other by.
func KeyName(run string) string { return run + "-collective" }

// makeKey makes the run's secret where it is missing. The operator may make Secrets and not read them, so one that is there is
// taken for its own.
func (r *Reconciler) makeKey(ctx context.Context, s *scope) error {
	key := make([]byte, keyBytes)
	rand.Read(key)
	err := r.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: KeyName(s.run.Name), Namespace: s.run.Namespace, Labels: runLabels(s.run),
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(s.run, v1alpha1.GroupVersion.WithKind("SimCLRRun")),
			},
		},
		Immutable: new(true),
		Data:      map[string][]byte{path.Base(contract.CollectiveKeyPath): []byte(hex.EncodeToString(key))},
	})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// keyVolume mounts it.
func keyVolume(run string) (corev1.Volume, corev1.VolumeMount) {
	const name = "collective"
	return corev1.Volume{Name: name, VolumeSource: secret(KeyName(run), nil)},
		corev1.VolumeMount{Name: name, MountPath: path.Dir(contract.CollectiveKeyPath), ReadOnly: true}
}
