// lint-api runs kube-api-linter on the API types, with the project's exceptions and why. It is a module
// of its own, so that the linter's requirements stay out of the project's.
package main

import (
	"fmt"
	"os"

	"golang.org/x/tools/go/analysis/multichecker"
	kal "sigs.k8s.io/kube-api-linter"
)

func main() {
	plugin, err := kal.New(map[string]any{
		"linters": map[string]any{"disable": []string{
			// +kubebuilder:default is the marker that controller-gen documents; +default is for types
			// that are built into Kubernetes.
			"defaults",
			// A field whose zero value is no valid setting is a plain value with omitempty or omitzero:
			// there is nothing that a pointer would tell apart. The status is written by the operator alone,
			// where zero means "not known yet".
			"optionalfields", "requiredfields", "nonpointerstructs",
			// stages[].progress.phase is what a trainer says of itself, not a state of the resource, which
			// conditions tell.
			"nophase",
		}},
		"lintersConfig": map[string]any{"conditions": map[string]any{
			// observedGeneration is first; strategic merge patch and protobuf are not for custom resources
			"isFirstField": "Ignore", "usePatchStrategy": "Ignore", "useProtobuf": "Ignore",
		}},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	analyzers, err := plugin.BuildAnalyzers()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	multichecker.Main(analyzers...)
}
