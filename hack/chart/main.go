// chart checks the Helm chart: that it lints, that what it renders with its own values and with every value
// set otherwise is what Kubernetes reads, and that config/manager, the installation without Helm, installs
// the same as the chart does by default.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const (
	chart     = "charts/simclr-operator"
	release   = "simclr-operator"
	namespace = "simclr-system"
	allValues = "hack/chart/all-values.yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "chart HELM, in the repository's root")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(helm string) error {
	if err := setsAll(); err != nil {
		return err
	}
	byDefault, err := rendered(helm)
	if err != nil {
		return err
	}
	withAll, err := rendered(helm, "--values", allValues)
	if err != nil {
		return err
	}
	if err := errors.Join(restricted(withAll), images(withAll, byDefault), refuses(helm)); err != nil {
		return err
	}
	maps.DeleteFunc(byDefault, func(_ string, object any) bool { return isTest(object) })
	plain, err := kustomized("config/manager")
	if err != nil {
		return err
	}
	delete(plain, "Namespace "+namespace) // helm install --create-namespace makes it
	return differences(byDefault, plain)
}

// differences of what both install, object by object.
func differences(byDefault, plain map[string]any) error {
	var all []error
	for key := range byDefault {
		if _, there := plain[key]; !there {
			all = append(all, fmt.Errorf("%s is in the chart and not in config/manager", key))
		}
	}
	for key, object := range plain {
		if other, there := byDefault[key]; !there {
			all = append(all, fmt.Errorf("%s is in config/manager and not in the chart", key))
		} else if d := cmp.Diff(other, object); d != "" {
			all = append(all, fmt.Errorf("%s differs between the chart (-) and config/manager (+):\n%s", key, d))
		}
	}
	return errors.Join(all...)
}

// rendered lints the chart with values and gives what it renders, by kind and name.
func rendered(helm string, values ...string) (map[string]any, error) {
	if out, err := exec.Command(helm, append([]string{"lint", "--strict", "--namespace", namespace, chart}, values...)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("helm lint %v: %w\n%s", values, err, out)
	}
	command := exec.Command(helm, append([]string{"template", release, chart, "--namespace", namespace}, values...)...)
	out, err := command.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("helm template %v: %w\n%s", values, err, failed.Stderr)
	}
	if err != nil {
		return nil, err
	}
	objects := map[string]any{}
	return objects, add(objects, out)
}

// kustomized is what the kustomization of a directory has, by kind and name; ours only list resources.
func kustomized(dir string) (map[string]any, error) {
	objects := map[string]any{}
	text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		return nil, err
	}
	var kustomization struct {
		APIVersion, Kind string
		Resources        []string
	}
	if err := yaml.UnmarshalStrict(text, &kustomization); err != nil {
		return nil, fmt.Errorf("%s: a kustomization that does more than list resources cannot be compared: %w", dir, err)
	}
	for _, resource := range kustomization.Resources {
		path := filepath.Join(dir, resource)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			below, err := kustomized(path)
			if err != nil {
				return nil, err
			}
			maps.Copy(objects, below)
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := add(objects, text); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return objects, nil
}

// setsAll finds every value of the chart in the values that are checked besides its own, set otherwise.
func setsAll() error {
	var own, other map[string]any
	for path, values := range map[string]*map[string]any{filepath.Join(chart, "values.yaml"): &own, allValues: &other} {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := yaml.UnmarshalStrict(text, values); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for name, value := range own {
		if set, there := other[name]; !there || reflect.DeepEqual(set, value) {
			return fmt.Errorf("%s: set %s to something else than the chart's own %v", allValues, name, value)
		}
		group, isGroup := value.(map[string]any)
		for below := range group {
			if _, there := other[name].(map[string]any)[below]; isGroup && !there {
				return fmt.Errorf("%s: set %s.%s too", allValues, name, below)
			}
		}
	}
	return nil
}
