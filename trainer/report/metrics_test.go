package report

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simclr-operator/simclr-operator/test/metricsdoc"
)

func TestMetricsAreDocumented(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newMetrics(New("fashion", "pretrain", 1, 0)))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	metricsdoc.Check(t, "Trainers", "simclr_", families)
}

func TestAgeOfACheckpoint(t *testing.T) {
	k := New("r", "linear-eval", 1, 0)
	if age := k.vitals().age; age != 0 {
		t.Errorf("of a stage that makes none: %s", age)
	}
	k.Checkpoints(time.Minute)
	k.saved = k.saved.Add(-time.Hour)
	if age := k.vitals().age; age < time.Hour {
		t.Errorf("an hour after training began: %s", age)
	}
	k.Saved(1, time.Second)
	if age := k.vitals().age; age > time.Minute {
		t.Errorf("after one was saved: %s", age)
	}
}
