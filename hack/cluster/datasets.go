package main

import (
	"context"
	"net/http"
	"time"
)

// serveDatasets is a mirror of known datasets, <mirror>/fashion-mnist/<file>, out of Debian's packages.
func serveDatasets(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /fashion-mnist/", http.StripPrefix("/fashion-mnist/", http.FileServer(http.Dir("/usr/share/datasets/fashion-mnist"))))
	server := &http.Server{Addr: mirrorAddr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}
