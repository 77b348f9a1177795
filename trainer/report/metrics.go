package report

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics reads a tracker when Prometheus asks; docs/metrics.md lists them.
type metrics struct {
	t     *Tracker
	descs []metric
	phase *prometheus.Desc
}

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(vitals) float64
}

func newMetrics(t *Tracker) *metrics {
	p := t.Progress()
	labels := prometheus.Labels{"run": t.run, "stage": p.Stage, "attempt": strconv.Itoa(int(p.Attempt)), "rank": strconv.Itoa(t.rank)}
	m := &metrics{t: t, phase: prometheus.NewDesc("simclr_phase", "1 for the phase that the stage is in, 0 for the others.", []string{"phase"}, labels)}
	add := func(kind prometheus.ValueType, name, help string, value func(vitals) float64) {
		m.descs = append(m.descs, metric{prometheus.NewDesc("simclr_"+name, help, nil, labels), kind, value})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "epoch", "Epoch that is being trained, from 1.", func(v vitals) float64 { return float64(v.Epoch) })
	add(gauge, "step", "Training steps done.", func(v vitals) float64 { return float64(v.Step) })
	add(gauge, "steps_planned", "Training steps of the stage.", func(v vitals) float64 { return float64(v.TotalSteps) })
	add(gauge, "loss", "Loss of the last step.", func(v vitals) float64 { return v.Loss })
	add(gauge, "contrastive_accuracy_ratio", "Contrastive accuracy of the last step.", func(v vitals) float64 { return v.ContrastiveAccuracy / 100 })
	add(gauge, "z_standard_deviation", "Standard deviation of the dimensions of normalised z, their mean; 0: not known.", func(v vitals) float64 { return v.ZStandardDeviation })
	add(gauge, "z_effective_rank", "Effective rank of normalised z; 0: not known.", func(v vitals) float64 { return v.ZEffectiveRank })
	add(gauge, "collapsed", "1 where z had collapsed at the end of the last epoch.", func(v vitals) float64 { return oneIf(v.collapsed) })
	add(gauge, "knn_top1_ratio", "kNN top-1 accuracy at the last evaluation; 0: not known.", func(v vitals) float64 { return v.KNNTop1 / 100 })
	add(gauge, "knn_epoch", "Epochs done at the last kNN evaluation.", func(v vitals) float64 { return float64(v.KNNEpoch) })
	add(gauge, "images_per_second", "Source images trained on a second, over the last 30 seconds.", func(v vitals) float64 { return v.ImagesPerSecond })
	add(gauge, "eta_seconds", "Time that the phase still needs.", func(v vitals) float64 { return v.ETASeconds })
	add(gauge, "since_last_unit_seconds", "Time since the last unit of work was finished.", func(v vitals) float64 { return v.SinceLastUnitSeconds })
	add(gauge, "checkpoint_step", "Step of the last checkpoint.", func(v vitals) float64 { return float64(v.CheckpointStep) })
	add(gauge, "checkpoint_interval_seconds", "Time that is meant to be between two checkpoints; 0: the stage makes none.", func(v vitals) float64 { return v.interval.Seconds() })
	add(gauge, "checkpoint_age_seconds", "Time since the last checkpoint of this process, or since training began; 0: the stage makes none.", func(v vitals) float64 { return v.age.Seconds() })
	add(counter, "checkpoints_total", "Checkpoints that this process saved.", func(v vitals) float64 { return float64(v.saves) })
	add(counter, "checkpoint_seconds_total", "Time that training stood still while this process saved checkpoints.", func(v vitals) float64 { return v.saving.Seconds() })
	add(counter, "data_wait_seconds_total", "Time that training stood still because its next images were not ready; its rate is a share of time.", func(v vitals) float64 { return v.waiting.Seconds() })
	add(counter, "images_total", "Source images trained on by this process; of several workers rank 0 counts those of all.", func(v vitals) float64 { return float64(v.images) })
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range m.descs {
		out <- d.desc
	}
	out <- m.phase
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	v := m.t.vitals()
	for _, d := range m.descs {
		out <- prometheus.MustNewConstMetric(d.desc, d.kind, d.value(v))
	}
	for _, phase := range []string{Preparing, Compiling, Training, Evaluating} {
		out <- prometheus.MustNewConstMetric(m.phase, prometheus.GaugeValue, oneIf(v.Phase == phase), phase)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
