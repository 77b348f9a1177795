package v1alpha1

// SecretReference names a Secret of the run's namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
}

// BundleKind is the kind of object that holds certificates.
//
// +kubebuilder:validation:Enum=Secret;ConfigMap
type BundleKind string

// The kinds of BundleKind.
const (
	BundleSecret    BundleKind = "Secret"
	BundleConfigMap BundleKind = "ConfigMap"
)

// CABundleReference names a key of a Secret or a ConfigMap of the run's namespace.
type CABundleReference struct {
	// kind of the object: Secret or ConfigMap.
	// +required
	Kind BundleKind `json:"kind,omitempty"`
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
	// key that has the certificates, PEM. Default: ca.crt.
	// +optional
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}
