// Package monitoring holds the chart's alerts against Prometheus' own checks and the runbooks.
package monitoring

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

const (
	root     = "../.."
	alerts   = root + "/charts/simclr-operator/files/alerts.yaml"
	runbooks = "docs/runbooks.md"
)

// promtool of Debian's Prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool := filepath.Join(root, "build/tools/bin/promtool")
	if _, err := os.Stat(tool); err != nil {
		t.Fatalf("%v: make test-unit unpacks it (hack/tools/prometheus.sh build/tools/bin)", err)
	}
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertsAreWellFormed(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", alerts)
}

func TestAlertsFire(t *testing.T) { promtool(t, "test", "rules", "alerts_test.yaml") }

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each alert has a runbook that its annotation leads to, and a test in which it fires.
func TestAlertsHaveRunbooksAndTests(t *testing.T) {
	var rules monitoringv1.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict([]byte(read(t, alerts)), &rules); err != nil {
		t.Fatal(err)
	}
	var tests struct {
		Tests []struct {
			Rules []struct {
				Alert    string `json:"alertname"`
				Expected []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "alerts_test.yaml")), &tests); err != nil {
		t.Fatal(err)
	}
	fires := map[string]bool{}
	for _, test := range tests.Tests {
		for _, rule := range test.Rules {
			fires[rule.Alert] = fires[rule.Alert] || len(rule.Expected) > 0
		}
	}
	page := read(t, filepath.Join(root, runbooks))
	sections := strings.Count(page, "\n## ")
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			sections--
			if !strings.Contains(page, "\n## "+rule.Alert+"\n") {
				t.Errorf("%s has no section for %s", runbooks, rule.Alert)
			}
			if want := runbooks + "#" + strings.ToLower(rule.Alert); !strings.HasSuffix(rule.Annotations["runbook_url"], want) {
				t.Errorf("%s: runbook_url %q, want …%s", rule.Alert, rule.Annotations["runbook_url"], want)
			}
			if !fires[rule.Alert] {
				t.Errorf("%s fires in no test of alerts_test.yaml", rule.Alert)
			}
		}
	}
	if sections != 0 {
		t.Errorf("%s has %d sections that are no alert's", runbooks, sections)
	}
}
