// Command standin is a trainer that trains nothing and keeps the contract (docs/trainer-contract.md), so that what the operator makes
// of several workers is tested on a real node by itself: rank 0 is found by its name, the key is the same for all, a peer's end is
// exit 13, and SIGTERM at one worker ends all with 143. It is named simclr-trainer in its image.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const (
	tick  = 100 * time.Millisecond // a step
	total = 150                    // steps
	stop  = "stop"                 // what a worker says that was asked to end
)

// worker of an attempt.
type worker struct {
	stage         string
	attempt       int
	rank, workers int
	step, resumed atomic.Int64
}

func main() {
	w := &worker{stage: os.Args[len(os.Args)-1], attempt: number(contract.EnvAttempt, 1), rank: number(contract.EnvRank, 0), workers: number(contract.EnvWorkers, 1)}
	ctx, done := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := w.train(ctx)
	done()
	os.Exit(w.end(err))
}

func number(name string, other int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return other
}

// train until the last step, a peer's end, or SIGTERM anywhere.
func (w *worker) train(ctx context.Context) error {
	if w.rank == 0 {
		go w.serve()
		if text, err := os.ReadFile(w.checkpoint()); err == nil {
			n, _ := strconv.ParseInt(string(text), 10, 64)
			w.step.Store(n)
			w.resumed.Store(n)
		}
	}
	if w.workers == 1 {
		return nil
	}
	peers, err := w.meet(ctx)
	if err != nil {
		return contract.Errorf(contract.ExitPeerLost, "PeerLost", "%w", err)
	}
	for w.step.Load() < total {
		if err := w.exchange(ctx, peers); err != nil {
			return err
		}
		if w.step.Add(1)%10 == 0 {
			w.save()
		}
	}
	return nil
}

// exchange a line with every peer: a step, or the wish to end.
func (w *worker) exchange(ctx context.Context, peers []*bufio.ReadWriter) error {
	say := "step"
	select {
	case <-ctx.Done():
		say = stop
	case <-time.After(tick):
	}
	ending := say == stop
	for _, p := range peers {
		_, _ = p.WriteString(say + "\n")
		_ = p.Flush()
	}
	for _, p := range peers {
		line, err := p.ReadString('\n')
		if err != nil {
			return contract.Errorf(contract.ExitPeerLost, "PeerLost", "rank %d has lost a peer: %w", w.rank, err)
		}
		ending = ending || strings.TrimSpace(line) == stop
	}
	if ending {
		w.save()
		return contract.Errorf(contract.ExitTerminate, "Terminated", "saved at step %d", w.step.Load())
	}
	return nil
}

// meet the others: rank 0 waits for all, the others look for it by its name. Who does not know the key is let in by nobody.
func (w *worker) meet(ctx context.Context) ([]*bufio.ReadWriter, error) {
	key, err := os.ReadFile(contract.CollectiveKeyPath)
	if err != nil {
		return nil, err
	}
	greeting := fmt.Sprintf("%s %d\n", key, w.attempt)
	if w.rank > 0 {
		for {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", os.Getenv(contract.EnvCoordinator))
			if err == nil {
				return w.greet(conn, greeting)
			}
			select {
			case <-ctx.Done():
				return nil, err
			case <-time.After(tick):
			}
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf(":%d", contract.CollectivePort))
	if err != nil {
		return nil, err
	}
	go func() { <-ctx.Done(); _ = listener.Close() }()
	var peers []*bufio.ReadWriter
	for len(peers) < w.workers-1 {
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := buffered(conn)
		if line, err := peer.ReadString('\n'); err != nil || line != greeting {
			_ = conn.Close()
			continue
		}
		if _, err := fmt.Fprintln(conn, w.step.Load()); err != nil {
			return nil, err
		}
		peers = append(peers, peer)
	}
	return peers, nil
}

// greet rank 0, which says at which step all go on.
func (w *worker) greet(conn net.Conn, greeting string) ([]*bufio.ReadWriter, error) {
	lead := buffered(conn)
	if _, err := conn.Write([]byte(greeting)); err != nil {
		return nil, err
	}
	line, err := lead.ReadString('\n')
	if err != nil {
		return nil, err
	}
	step, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	w.step.Store(step)
	return []*bufio.ReadWriter{lead}, err
}

func buffered(conn net.Conn) *bufio.ReadWriter {
	return bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
}

func (w *worker) checkpoint() string { return filepath.Join(os.Getenv(contract.EnvOutput), "standin") }

// save the step; rank 0 alone touches the output.
func (w *worker) save() {
	if w.rank == 0 {
		_ = os.MkdirAll(filepath.Dir(w.checkpoint()), 0o755)
		_ = os.WriteFile(w.checkpoint(), []byte(strconv.FormatInt(w.step.Load(), 10)), 0o600)
	}
}

// serve /progress.
func (w *worker) serve() {
	server := &http.Server{Addr: fmt.Sprintf(":%d", contract.HTTPPort), ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(
		func(out http.ResponseWriter, _ *http.Request) {
			text, err := json.Marshal(contract.Progress{
				SchemaVersion: contract.Version, Stage: w.stage, Attempt: int32(w.attempt), Phase: "Training",
				Step: w.step.Load(), TotalSteps: total, Done: w.step.Load(), Total: total, CheckpointStep: w.step.Load() / 10 * 10,
				ResumedFrom: w.from(),
			})
			if err == nil {
				_, _ = out.Write(text)
			}
		})}
	_ = server.ListenAndServe()
}

func (w *worker) from() *int64 {
	if n := w.resumed.Load(); n > 0 {
		return &n
	}
	return nil
}

// end leaves the termination message.
func (w *worker) end(err error) int {
	code := contract.ExitCode(err)
	m := contract.TerminationMessage{
		SchemaVersion: contract.Version, Stage: w.stage, Attempt: int32(w.attempt), ExitCode: int32(code),
		Step: w.step.Load(), CheckpointStep: w.step.Load() / 10 * 10, ResumedFrom: w.from(),
	}
	if failed, ok := errors.AsType[*contract.Error](err); ok {
		m.Reason, m.Message = failed.Reason, failed.Error()
	}
	text, err := json.Marshal(m)
	if err == nil {
		_ = os.WriteFile(contract.TerminationLog, text, 0o600)
	}
	return code
}
