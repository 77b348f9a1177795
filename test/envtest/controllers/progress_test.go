package controllers_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// trainer serves /progress, one step further each time, on a loopback address of its own.
func trainer(t *testing.T, ip string) *httptest.Server {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(progressPort)))
	if err != nil {
		t.Fatal(err)
	}
	var step atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := step.Add(1)
		_ = json.NewEncoder(w).Encode(contract.Progress{
			SchemaVersion: contract.Version, Stage: "pretrain", Attempt: 1, Phase: "Training", Epoch: 1,
			Step: n, TotalSteps: 100, Loss: 5.25, ContrastiveAccuracy: 12.5, ImagesPerSecond: 285, ETASeconds: 720,
			ZStandardDeviation: 0.07123, ZEffectiveRank: 41.52, KNNTop1: 39.876, KNNEpoch: 10,
			CheckpointStep: 1, CheckpointSavedAt: "2026-01-02T03:04:05Z",
		})
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func TestProgress(t *testing.T) {
	c := newCluster(t)
	server := trainer(t, "127.0.0.77")
	run := c.create(wrap.MakeRun(c.namespace, "steps"))
	c.pod(c.job(run, "pretrain", 1), func(w *wrap.PodWrapper) { w.Running("127.0.0.77") })
	seen := map[int64]bool{}
	c.eventually("three steps", func() string {
		if p := c.get(run).Status.Stages[0].Progress; p != nil {
			seen[p.Step] = true
		}
		if len(seen) < 3 {
			return strconv.Itoa(len(seen))
		}
		return ""
	})
	status := c.get(run).Status
	if status.Loss != "5.2500" || status.ETA != "12m" || status.ImagesPerSecond != "285.0" || status.Stages[0].Checkpoint.Step != 1 {
		t.Errorf("status %+v", status)
	}
	p := status.Stages[0].Progress
	if p.ZStandardDeviation != "0.0712" || p.ZEffectiveRank != "41.5" || p.KNNTop1 != "39.88" || p.KNNEpoch != 10 {
		t.Errorf("progress %+v", p)
	}

	server.Close()
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionUnknown, "ProgressUnreachable")
	if st := c.get(run).Status.Stages[0]; st.Attempts != 1 {
		t.Errorf("attempts %d: silence is no failure", st.Attempts)
	}
	trainer(t, "127.0.0.77")
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
}
