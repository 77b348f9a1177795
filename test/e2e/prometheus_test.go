//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

const address = "127.0.0.1:19090" // of Prometheus

// monitoring is what the chart makes for the Prometheus operator and for Grafana.
type monitoring struct {
	services  monitoringv1.ServiceMonitor
	pods      monitoringv1.PodMonitor
	rules     monitoringv1.PrometheusRule
	dashboard corev1.ConfigMap
}

// chartMonitoring renders the chart as it is installed, with all that is for monitoring.
func chartMonitoring(t *testing.T) *monitoring {
	t.Helper()
	args := []string{"template", "simclr-operator", filepath.Join(scenario.Root, "charts/simclr-operator"), "--namespace", system, "--show-only", "templates/monitoring.yaml"}
	for _, part := range []string{"serviceMonitor", "podMonitor", "rules", "dashboard"} {
		args = append(args, "--set", "monitoring."+part+"=true")
	}
	command := exec.Command(filepath.Join(scenario.Root, "build/tools/bin/helm"), args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	m := &monitoring{}
	for _, document := range bytes.Split(out, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		if kind.Kind == "" {
			continue // comments
		}
		into := map[string]any{"ServiceMonitor": &m.services, "PodMonitor": &m.pods, "PrometheusRule": &m.rules, "ConfigMap": &m.dashboard}[kind.Kind]
		if into == nil {
			t.Fatalf("the chart makes a %s for monitoring", kind.Kind)
		}
		if err := yaml.UnmarshalStrict(document, into); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// scrapeConfig does with Prometheus' own configuration what the Prometheus operator does with the monitors.
func (m *monitoring) scrapeConfig(t *testing.T, token string) map[string]any {
	t.Helper()
	endpoint := m.services.Spec.Endpoints[0]
	if endpoint.BearerTokenFile == "" { //nolint:staticcheck // deprecated for authorization, which takes a Secret and no file
		t.Fatalf("the manager's metrics need a token: %+v", endpoint)
	}
	targets := m.discovery(t)
	discovery := func(path string) []any { return []any{map[string]any{"url": targets + path, "refresh_interval": "1s"}} }
	return map[string]any{
		"global":     map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files": []string{"rules.yaml"},
		"scrape_configs": []any{
			map[string]any{
				"job_name": "manager", "scheme": endpoint.Scheme, "authorization": map[string]any{"credentials": token},
				"tls_config":      map[string]any{"insecure_skip_verify": *endpoint.TLSConfig.InsecureSkipVerify},
				"http_sd_configs": discovery("/services"),
			},
			map[string]any{
				"job_name": "trainers", "sample_limit": *m.pods.Spec.SampleLimit, "http_sd_configs": discovery("/pods"),
			},
		},
	}
}

// scraperToken is of a ServiceAccount that may read the manager's metrics, as docs/operator.md says.
func scraperToken(t *testing.T) string {
	t.Helper()
	name := metav1.ObjectMeta{Name: "e2e-prometheus", Namespace: system}
	account := &corev1.ServiceAccount{ObjectMeta: name}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "simclr-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: name.Name}},
	}
	create(t, account)
	create(t, binding)
	request := &authenticationv1.TokenRequest{}
	if err := scenario.API.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// prometheus is a real one that scrapes the cluster while the test lasts.
type prometheus struct{ *testing.T }

func startPrometheus(t *testing.T, m *monitoring) prometheus {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]any{"rules.yaml": m.rules.Spec, "prometheus.yaml": m.scrapeConfig(t, scraperToken(t))} {
		text, err := yaml.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	command := exec.Command(filepath.Join(scenario.Root, "build/tools/bin/prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatalf("%v: make test-e2e unpacks Prometheus (hack/tools/prometheus.sh build/tools/bin)", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		err := command.Wait()
		if t.Failed() {
			t.Logf("Prometheus ended: %v\n%s", err, log.String())
		}
	})
	return prometheus{t}
}

// query gives the numbers of a query, or why there are none.
func (p prometheus) query(expression string) (values []float64, problem string) {
	p.Helper()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if problem := p.ask("query?"+url.Values{"query": {expression}}.Encode(), &answer); problem != "" {
		return nil, problem
	}
	for _, r := range answer.Data.Result {
		if v, err := strconv.ParseFloat(r.Value[1].(string), 64); err != nil {
			return nil, err.Error()
		} else if !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return values, answer.Error
}

// firing are the alerts that fire, with their summaries.
func (p prometheus) firing() map[string]string {
	p.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				State               string
				Labels, Annotations map[string]string
			}
		}
	}
	all := map[string]string{}
	if p.ask("alerts", &answer) != "" {
		return all
	}
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			all[a.Labels["alertname"]] = a.Annotations["summary"]
		}
	}
	return all
}

func (p prometheus) ask(path string, answer any) (problem string) {
	p.Helper()
	response, err := (&http.Client{Timeout: 10 * time.Second}).Get(fmt.Sprintf("http://%s/api/v1/%s", address, path))
	if err != nil {
		return err.Error() // it starts
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return err.Error()
	}
	return ""
}
