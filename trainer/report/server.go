package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Server answers /metrics and /healthz, and for rank 0 /progress.
type Server struct {
	listener net.Listener
	http     *http.Server
	done     chan error
}

// Serve listens on an address such as ":8080" and answers until Close.
func Serve(address string, t *Tracker) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serving metrics and progress (%s): %w", contract.EnvHTTPAddress, err)
	}
	s := &Server{
		listener: l,
		http:     &http.Server{Handler: handler(t), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute},
		done:     make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// Addr is the address it listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends it at once.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func handler(t *Tracker) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newMetrics(t), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	if t.rank == 0 {
		mux.HandleFunc("GET /progress", func(w http.ResponseWriter, _ *http.Request) {
			raw, err := json.Marshal(t.Progress())
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(raw) // the reader is gone: nobody to tell
		})
	}
	return mux
}

// metrics reads a tracker when Prometheus asks.
type metrics struct {
	t     *Tracker
	descs []metric
}

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(contract.Progress) float64
}

func newMetrics(t *Tracker) *metrics {
	p := t.Progress()
	labels := prometheus.Labels{"run": t.run, "stage": p.Stage, "attempt": strconv.Itoa(int(p.Attempt)), "rank": strconv.Itoa(t.rank)}
	m := &metrics{t: t}
	add := func(kind prometheus.ValueType, name, help string, value func(contract.Progress) float64) {
		m.descs = append(m.descs, metric{prometheus.NewDesc("simclr_"+name, help, nil, labels), kind, value})
	}
	gauge := prometheus.GaugeValue
	add(gauge, "epoch", "Epoch that is being trained, from 1.", func(p contract.Progress) float64 { return float64(p.Epoch) })
	add(gauge, "step", "Training steps done.", func(p contract.Progress) float64 { return float64(p.Step) })
	add(gauge, "steps_planned", "Training steps of the stage.", func(p contract.Progress) float64 { return float64(p.TotalSteps) })
	add(gauge, "loss", "Loss of the last step.", func(p contract.Progress) float64 { return p.Loss })
	add(gauge, "contrastive_accuracy_ratio", "Contrastive accuracy of the last step.", func(p contract.Progress) float64 { return p.ContrastiveAccuracy / 100 })
	add(gauge, "z_standard_deviation", "Standard deviation of the dimensions of normalised z, their mean; 0: not known.", func(p contract.Progress) float64 { return p.ZStandardDeviation })
	add(gauge, "z_effective_rank", "Effective rank of normalised z; 0: not known.", func(p contract.Progress) float64 { return p.ZEffectiveRank })
	add(gauge, "knn_top1_ratio", "kNN top-1 accuracy at the last evaluation; 0: not known.", func(p contract.Progress) float64 { return p.KNNTop1 / 100 })
	add(gauge, "knn_epoch", "Epochs done at the last kNN evaluation.", func(p contract.Progress) float64 { return float64(p.KNNEpoch) })
	add(gauge, "images_per_second", "Source images trained on a second, over the last 30 seconds.", func(p contract.Progress) float64 { return p.ImagesPerSecond })
	add(gauge, "eta_seconds", "Time that the phase still needs.", func(p contract.Progress) float64 { return p.ETASeconds })
	add(gauge, "since_last_unit_seconds", "Time since the last unit of work was finished.", func(p contract.Progress) float64 { return p.SinceLastUnitSeconds })
	add(gauge, "checkpoint_step", "Step of the last checkpoint.", func(p contract.Progress) float64 { return float64(p.CheckpointStep) })
	add(prometheus.CounterValue, "images_total", "Source images trained on by this process.", func(contract.Progress) float64 { return float64(t.trained()) })
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range m.descs {
		out <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	p := m.t.Progress()
	for _, d := range m.descs {
		out <- prometheus.MustNewConstMetric(d.desc, d.kind, d.value(p))
	}
}
