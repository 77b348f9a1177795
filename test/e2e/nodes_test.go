//go:build e2e

package e2e

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/controllers"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// onlyNode is the cluster's node, which has a kubelet.
func onlyNode(t *testing.T) string {
	t.Helper()
	var nodes corev1.NodeList
	if err := scenario.API.List(t.Context(), &nodes); err != nil || len(nodes.Items) != 1 {
		t.Fatalf("%d nodes, want 1: %v", len(nodes.Items), err)
	}
	return nodes.Items[0].Name
}

// become makes a node say for the rest of the test that it is of a kind, as a device plugin and feature discovery would:
// https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
func become(t *testing.T, name string, k kind) {
	t.Helper()
	change(t, name, func(node *corev1.Node) {
		maps.Copy(node.Labels, k.labels)
		node.Spec.Taints = append(node.Spec.Taints, k.taint())
	}, func(node *corev1.Node) {
		node.Status.Capacity[k.resource] = *resource.NewQuantity(k.count, resource.DecimalSI)
		node.Status.Allocatable[k.resource] = *resource.NewQuantity(k.count, resource.DecimalSI)
	})
	t.Cleanup(func() {
		change(t, name, func(node *corev1.Node) {
			maps.DeleteFunc(node.Labels, func(key, _ string) bool { return k.labels[key] != "" })
			node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == k.taint().Key })
		}, func(node *corev1.Node) {
			delete(node.Status.Capacity, k.resource)
			delete(node.Status.Allocatable, k.resource)
		})
	})
}

// change patches a node and its status; the kubelet writes to both meanwhile.
func change(t *testing.T, name string, object, status func(*corev1.Node)) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for _, write := range []struct {
		change func(*corev1.Node)
		patch  func(*corev1.Node, client.Patch) error
	}{
		{object, func(n *corev1.Node, p client.Patch) error { return scenario.API.Patch(ctx, n, p) }},
		{status, func(n *corev1.Node, p client.Patch) error { return scenario.API.Status().Patch(ctx, n, p) }},
	} {
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			var node corev1.Node
			if err := scenario.API.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
				return err
			}
			before := node.DeepCopy()
			write.change(&node)
			return write.patch(&node, client.MergeFrom(before))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// createNode makes a node without a kubelet, Ready for as long as the node controller believes it.
func createNode(t *testing.T, name string, k kind) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: maps.Clone(k.labels)}}
	node.Labels[corev1.LabelHostname] = name
	node.Spec.Taints = []corev1.Taint{k.taint()}
	if err := scenario.API.Create(ctx, node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := scenario.API.Delete(ctx, node); err != nil {
			t.Error(err)
		}
	})
	before, now := node.DeepCopy(), metav1.NewTime(time.Now())
	node.Status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("16"),
		k.resource: *resource.NewQuantity(k.count, resource.DecimalSI),
	}
	node.Status.Allocatable = node.Status.Capacity
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Test", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	if err := scenario.API.Status().Patch(ctx, node, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// placed checks the pod that ran on the node.
func (s *trial) placed(node string, k kind, devices int64) {
	s.Helper()
	var list corev1.PodList
	s.Must(scenario.API.List(s.Context(), &list, client.InNamespace(s.Run.Namespace), client.MatchingLabels{controllers.LabelRun: s.Run.Name}))
	if len(list.Items) != 1 {
		s.Fatalf("%d pods, want 1: a user error is not tried again", len(list.Items))
	}
	pod := &list.Items[0]
	limit := pod.Spec.Containers[0].Resources.Limits[k.resource]
	if pod.Spec.NodeName != node || limit.Value() != devices {
		s.Errorf("pod on node %q with %s of %s, want %q and %d", pod.Spec.NodeName, limit.String(), k.resource, node, devices)
	}
}

// createAnywhere makes a claim whose volume every node has.
func (s *trial) createAnywhere(name string) {
	s.Helper()
	storage := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.Run.Namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: storage, AccessModes: modes,
			ClaimRef: &corev1.ObjectReference{Namespace: s.Run.Namespace, Name: name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{
				Path: s.TempDir(), Type: new(corev1.HostPathDirectory)}},
		},
	}
	s.Must(scenario.API.Create(s.Context(), volume))
	s.Cleanup(func() { s.Must(scenario.API.Delete(context.WithoutCancel(s.Context()), volume)) })
	s.Must(scenario.API.Create(s.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Run.Namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: new(""), VolumeName: volume.Name, AccessModes: modes,
			Resources: corev1.VolumeResourceRequirements{Requests: storage},
		},
	}))
}
