//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// target is one of Prometheus' discovery by HTTP. Debian's Prometheus is built without that of Kubernetes.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func newTarget(address string, port int32, namespace, pod string) target {
	return target{
		Targets: []string{net.JoinHostPort(address, strconv.Itoa(int(port)))},
		Labels:  map[string]string{"namespace": namespace, "pod": pod},
	}
}

// discovery serves what the monitors select at that moment, at the URL that it gives.
func (m *monitoring) discovery(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	for path, find := range map[string]func(context.Context) ([]target, error){"/services": m.endpoints, "/pods": m.trainers} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			targets, err := find(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(targets)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// list what a selector of a monitor selects.
func list(ctx context.Context, into client.ObjectList, selector metav1.LabelSelector, of monitoringv1.NamespaceSelector, own string) error {
	labels, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return err
	}
	options := []client.ListOption{client.MatchingLabelsSelector{Selector: labels}}
	if !of.Any {
		options = append(options, client.InNamespace(own))
	}
	return scenario.API.List(ctx, into, options...)
}

// endpoints of the Services that the ServiceMonitor selects.
func (m *monitoring) endpoints(ctx context.Context) ([]target, error) {
	targets := []target{}
	var services corev1.ServiceList
	if err := list(ctx, &services, m.services.Spec.Selector, m.services.Spec.NamespaceSelector, m.services.Namespace); err != nil {
		return nil, err
	}
	for _, service := range services.Items {
		var slices discoveryv1.EndpointSliceList
		of := client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}
		if err := scenario.API.List(ctx, &slices, of, client.InNamespace(service.Namespace)); err != nil {
			return nil, err
		}
		for _, slice := range slices.Items {
			for _, port := range slice.Ports {
				if *port.Name != m.services.Spec.Endpoints[0].Port {
					continue
				}
				for _, e := range slice.Endpoints {
					targets = append(targets, newTarget(e.Addresses[0], *port.Port, slice.Namespace, e.TargetRef.Name))
				}
			}
		}
	}
	return targets, nil
}

// trainers that the PodMonitor selects.
func (m *monitoring) trainers(ctx context.Context) ([]target, error) {
	targets := []target{}
	var pods corev1.PodList
	if err := list(ctx, &pods, m.pods.Spec.Selector, m.pods.Spec.NamespaceSelector, m.pods.Namespace); err != nil {
		return nil, err
	}
	for _, pod := range pods.Items {
		if pod.Status.Phase != corev1.PodRunning {
			continue
		}
		for _, port := range pod.Spec.Containers[0].Ports {
			if port.Name == *m.pods.Spec.PodMetricsEndpoints[0].Port {
				targets = append(targets, newTarget(pod.Status.PodIP, port.ContainerPort, pod.Namespace, pod.Name))
			}
		}
	}
	return targets, nil
}
