package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// serveVolumes makes a directory for every claim of the default storage class, as a local volume of this node: the
// kubelet then applies fsGroup to it, which it would not to a hostPath.
func serveVolumes(ctx context.Context, kubeconfig string) error {
	c, err := clientConfig(kubeconfig)
	if err != nil {
		return err
	}
	c.Timeout = 0 // watches are long
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return err
	}
	logger := logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, nil))
	ctx = klog.NewContext(ctx, logger)
	pc := controller.NewProvisionController(ctx, client, provisionerName, directories{}, controller.LeaderElection(false))
	pc.Run(ctx)
	return nil
}

// directories implements controller.Provisioner.
type directories struct{}

func (directories) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	dir := filepath.Join(volumesDir, o.PVName)
	if err := os.MkdirAll(dir, 0o770); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{nodeName},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

func (directories) Delete(_ context.Context, v *corev1.PersistentVolume) error {
	return os.RemoveAll(v.Spec.Local.Path)
}
