package controllers

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Neighbours are the pods that may reach a run's, besides each other.
type Neighbours struct {
	ManagerNamespace     string            // of this manager; "": no NetworkPolicy is made
	ManagerLabels        map[string]string // of its pods
	MonitoringNamespaces []string          // whose pods may get /metrics
}

// NetworkPolicyName is the name of the NetworkPolicy of a run's pods.
func NetworkPolicyName(run string) string { return run + "-trainers" }

// network makes the NetworkPolicy of the run's pods, where it is missing or other than it should be. Only a new attempt waits for one
// of another's.
func (r *Reconciler) network(ctx context.Context, s *scope) error {
	if r.Neighbours.ManagerNamespace == "" {
		return nil
	}
	name := NetworkPolicyName(s.run.Name)
	var have networkingv1.NetworkPolicy
	err := r.Get(ctx, client.ObjectKey{Namespace: s.run.Namespace, Name: name}, &have)
	switch {
	case err == nil && ofOlderRun(&have, s.run):
		return s.wait(waitf(reasonStopping, "NetworkPolicy %s is of a deleted run of this name and is going", name))
	case err == nil && !controlledBy(&have, s.run):
		return s.wait(blockf(reasonNameTaken, "NetworkPolicy %s exists and is not this run's: delete it", name))
	case err != nil && !apierrors.IsNotFound(err):
		return err
	}
	spec := r.policySpec(s.run.Name, s.acceleratorGroup())
	if err == nil && sameSpec(&have.Spec, spec) {
		return nil
	}
	object := networkingv1ac.NetworkPolicy(name, s.run.Namespace).
		WithLabels(runLabels(s.run)).WithOwnerReferences(ownerReference(s.run)).WithSpec(spec)
	if err == nil {
		return r.Apply(ctx, object, client.FieldOwner(FieldManager), client.ForceOwnership)
	}
	return r.make(ctx, object, &have)
}

// wait keeps the next attempt from being made, where nothing else does already.
func (s *scope) wait(why error) error {
	if s.unready == nil {
		s.unready = why
	}
	return nil
}

// policySpec lets the run's pods reach each other's collectives, and the manager and monitoring /progress and /metrics. What they
// reach themselves, such as datasets, is not restricted. Several pods with accelerators reach each other on every port: NCCL listens
// on any that the kernel gives it (net.ipv4.ip_local_port_range), libtpu on 8471 and others by its version. For CPUs it is the same
// for any number of workers.
// https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting/networking_troubleshooting.html, IP ports
// https://cloud.google.com/kubernetes-engine/docs/how-to/tpus, containerPort 8471
func (r *Reconciler) policySpec(run string, acceleratorGroup bool) *networkingv1ac.NetworkPolicySpecApplyConfiguration {
	from := func(peers ...*networkingv1ac.NetworkPolicyPeerApplyConfiguration) *networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration {
		return networkingv1ac.NetworkPolicyIngressRule().WithFrom(peers...)
	}
	port := func(n int32) *networkingv1ac.NetworkPolicyPortApplyConfiguration {
		return networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(n))
	}
	ours := metav1ac.LabelSelector().WithMatchLabels(map[string]string{LabelRun: run})
	near := []*networkingv1ac.NetworkPolicyPeerApplyConfiguration{
		networkingv1ac.NetworkPolicyPeer().
			WithNamespaceSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: r.Neighbours.ManagerNamespace})).
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(r.Neighbours.ManagerLabels)),
	}
	if names := r.Neighbours.MonitoringNamespaces; len(names) > 0 {
		near = append(near, networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(metav1ac.LabelSelector().
			WithMatchExpressions(metav1ac.LabelSelectorRequirement().
				WithKey(corev1.LabelMetadataName).WithOperator(metav1.LabelSelectorOpIn).WithValues(names...))))
	}
	among := from(networkingv1ac.NetworkPolicyPeer().WithPodSelector(ours))
	if !acceleratorGroup {
		among = among.WithPorts(port(contract.CollectivePort))
	}
	return networkingv1ac.NetworkPolicySpec().
		WithPodSelector(ours).
		WithPolicyTypes(networkingv1.PolicyTypeIngress).
		WithIngress(among, from(near...).WithPorts(port(contract.HTTPPort)))
}

// sameSpec compares what is with what is to be applied, which names every field that the API server would default.
func sameSpec(have *networkingv1.NetworkPolicySpec, want *networkingv1ac.NetworkPolicySpecApplyConfiguration) bool {
	text, err := json.Marshal(want)
	if err != nil {
		return false
	}
	var spec networkingv1.NetworkPolicySpec
	return json.Unmarshal(text, &spec) == nil && equality.Semantic.DeepEqual(have, &spec)
}
