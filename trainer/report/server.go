package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
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
