// Package api_test tries the SimCLRRun type on a real API server: every rule of its schema, both of its
// accepting and its rejecting side, and the same rules as a file without a cluster is checked by.
package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/api/validation"
	"github.com/simclr-operator/simclr-operator/config/crd"
)

var (
	server client.Client
	config *rest.Config
)

func TestMain(m *testing.M) {
	code, err := withAPIServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withAPIServer(m *testing.M) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: it names the directory of kube-apiserver and etcd (make test sets it)")
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "..", "config", "crd")},
		ErrorIfCRDPathMissing: true,
	}
	if config, err = environment.Start(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return 1, err
	}
	if server, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// runSchema is the schema of a SimCLRRun, as the CustomResourceDefinition has it.
var runSchema = sync.OnceValue(func() apiextensionsv1.JSONSchemaProps {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.SimCLRRuns, &definition); err != nil {
		panic(err) // a broken build
	}
	return *definition.Spec.Versions[0].Schema.OpenAPIV3Schema
})

// minimal is a run with nothing but what is required.
const minimal = `
apiVersion: training.simclr.dev/v1alpha1
kind: SimCLRRun
metadata: {name: minimal, namespace: default}
spec: {dataset: {name: cifar-10}, batchSize: 256}
`

// patched is an object with a JSON merge patch, in YAML.
func patched(t *testing.T, object, patch string) *unstructured.Unstructured {
	t.Helper()
	var texts [2][]byte
	for i, text := range []string{object, patch} {
		var err error
		if texts[i], err = yaml.YAMLToJSON([]byte(text)); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	merged, err := jsonpatch.MergePatch(texts[0], texts[1])
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(merged, &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// create tries an object without keeping it.
func create(u *unstructured.Unstructured) error {
	return server.Create(context.Background(), u.DeepCopy(), client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

// check tries it without a server.
func check(u *unstructured.Unstructured) error {
	text, err := yaml.Marshal(u.Object)
	if err != nil {
		return err
	}
	_, err = validation.Load(text)
	return err
}

// cause is what was said of one field. Entries of lists are written a[].
type cause struct{ field, said string }

var index = regexp.MustCompile(`\[[0-9]+\]`)

// causes of a refusal by the API server or by the validation without one.
func causes(err error) []cause {
	var all []cause
	add := func(path, said string) {
		all = append(all, cause{index.ReplaceAllString(path, "[]"), said})
	}
	var status apierrors.APIStatus
	var several utilerrors.Aggregate
	switch {
	case errors.As(err, &status) && status.Status().Details != nil:
		for _, c := range status.Status().Details.Causes {
			add(c.Field, c.Message)
		}
	case errors.As(err, &several):
		for _, e := range several.Errors() {
			if one, ok := errors.AsType[*field.Error](e); ok {
				add(one.Field, one.ErrorBody())
			}
		}
	}
	slices.SortFunc(all, func(a, b cause) int { return strings.Compare(a.field+a.said, b.field+b.said) })
	return all
}
