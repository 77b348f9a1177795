package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgo "k8s.io/client-go/kubernetes/scheme"
)

// decoder of what Kubernetes reads; an unknown field is an error.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgo.AddToScheme, apiextensionsv1.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // a broken build
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// add the documents of a text to the objects that are there.
func add(objects map[string]any, text []byte) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if onlyComments(document) {
			continue
		}
		typed, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return fmt.Errorf("%w in\n%s", err, document)
		}
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
		if err != nil {
			return err
		}
		key := name(object)
		if _, there := objects[key]; there {
			return fmt.Errorf("%s is there twice", key)
		}
		objects[key] = neutral(object)
	}
}

func onlyComments(document []byte) bool {
	for line := range strings.Lines(string(document)) {
		if line = strings.TrimSpace(line); line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

func name(object map[string]any) string {
	metadata := object["metadata"].(map[string]any)
	if namespace, there := metadata["namespace"]; there {
		return fmt.Sprintf("%v %v/%v", object["kind"], namespace, metadata["name"])
	}
	return fmt.Sprintf("%v %v", object["kind"], metadata["name"])
}

// neutral is an object without what Helm adds of itself.
func neutral(object map[string]any) map[string]any {
	if labels, there := object["metadata"].(map[string]any)["labels"].(map[string]any); there {
		delete(labels, "app.kubernetes.io/name") // config labels the Deployment alone
	}
	prune(object)
	return object
}

func prune(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart", "helm.sh/resource-policy"} {
			delete(v, key)
		}
		for key, below := range v {
			prune(below)
			if m, isMap := below.(map[string]any); key == "labels" && isMap && len(m) == 0 {
				delete(v, key)
			}
		}
	case []any:
		for _, below := range v {
			prune(below)
		}
	}
}
