// Package v1alpha1 is the API of simclr-operator: the SimCLRRun resource.
//
// +kubebuilder:object:generate=true
// +groupName=training.simclr.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is training.simclr.dev/v1alpha1.
	GroupVersion = schema.GroupVersion{Group: "training.simclr.dev", Version: "v1alpha1"}

	// SchemeBuilder collects the functions that add this version's types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this version to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &SimCLRRun{}, &SimCLRRunList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
