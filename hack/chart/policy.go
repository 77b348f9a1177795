package main

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// isTest says whether an object is of `helm test` alone.
func isTest(object any) bool {
	metadata := object.(map[string]any)["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	return annotations["helm.sh/hook"] == "test"
}

// restricted finds that with watchNamespaces set, and without secure metrics, nothing is granted in the whole cluster, and that each
// of those namespaces has all.
func restricted(objects map[string]any) error {
	var all []error
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding"} {
		if key := kind + " " + release; objects[key] != nil {
			all = append(all, fmt.Errorf("with watchNamespaces and without secure metrics there is a %s", key))
		}
	}
	for _, watched := range []string{"team-a", "team-b"} { // allValues
		for _, kind := range []string{"Role", "RoleBinding"} {
			if key := fmt.Sprintf("%s %s/%s", kind, watched, release); objects[key] == nil {
				all = append(all, fmt.Errorf("with watchNamespaces there is no %s", key))
			}
		}
	}
	return errors.Join(all...)
}

// images finds that the manager has the image of each accelerator from its value, and where that is empty none.
func images(withAll, byDefault map[string]any) error {
	var all []error
	for flag, image := range map[string]string{ // allValues
		"--trainer-image=":      "registry.example/trainer:1",
		"--trainer-image-cuda=": "registry.example/trainer-cuda:1",
		"--trainer-image-tpu=":  "registry.example/trainer-tpu:1",
	} {
		if args := managerArgs(withAll); !slices.Contains(args, flag+image) {
			all = append(all, fmt.Errorf("with the image %s, the manager has not %s%s: %q", image, flag, image, args))
		}
	}
	if args := managerArgs(byDefault); slices.ContainsFunc(args, func(arg string) bool {
		return strings.HasPrefix(arg, "--trainer-image-") && !strings.HasPrefix(arg, "--trainer-image-pull")
	}) {
		all = append(all, fmt.Errorf("without images of accelerators, the manager has some: %q", args))
	}
	return errors.Join(all...)
}

// managerArgs are the arguments of the Deployment's container.
func managerArgs(objects map[string]any) []string {
	deployment, _ := objects[fmt.Sprintf("Deployment %s/%s", namespace, release)].(map[string]any)
	containers, _, err := unstructured.NestedSlice(deployment, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		return nil
	}
	args, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	return args
}

// refuses finds that a wrong value is refused by its name.
func refuses(helm string) error {
	var all []error
	for set, name := range map[string]string{
		"replicas=-1":                            "replicas",
		"replicas=two":                           "replicas",
		"image.manager=":                         "manager",
		"image.mangler=x":                        "mangler",
		"imagePullPolicy=Sometimes":              "imagePullPolicy",
		"logLevel=LOUD":                          "logLevel",
		"metrics.port=80":                        "port",
		"monitoring.rulez=true":                  "rulez",
		"monitoring.intervalSeconds=0":           "intervalSeconds",
		"monitoring.runbooks=here":               "runbooks",
		"topologySpreadConstraints[0].maxSkew=1": "topologyKey",
		"datasetMirror=ftp://x":                  "datasetMirror",
		"unknown=1":                              "unknown",
	} {
		out, err := exec.Command(helm, "template", release, chart, "--set", set).CombinedOutput()
		if err == nil || !strings.Contains(string(out), name) {
			all = append(all, fmt.Errorf("--set %s is not refused by the name %s:\n%s", set, name, out))
		}
	}
	return errors.Join(all...)
}
