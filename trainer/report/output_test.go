package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + s.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func serve(t *testing.T, k *Tracker) *Server {
	t.Helper()
	s, err := Serve("127.0.0.1:0", k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestServer(t *testing.T) {
	k := New("fashion", "pretrain", 2, 0)
	k.Begin(Training, 390)
	k.Step(Step{Epoch: 1, Step: 1, TotalSteps: 390, Images: 256, Loss: 5.25, ContrastiveAccuracy: 40})
	k.Spread(0.0712, 41.5)
	k.KNN(10, 39.75)
	k.Checkpoints(time.Hour)
	k.Saved(1, 1500*time.Millisecond)
	k.Waited(250 * time.Millisecond)
	k.Collapsed(true)
	s := serve(t, k)
	if code, body := get(t, s, "/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	code, body := get(t, s, "/progress")
	var p contract.Progress
	if err := json.Unmarshal([]byte(body), &p); err != nil || code != 200 || p.Step != 1 || p.Loss != 5.25 || p.Phase != Training {
		t.Errorf("/progress: %d %s %v", code, body, err)
	}
	_, body = get(t, s, "/metrics")
	for _, want := range []string{
		`simclr_step{attempt="2",rank="0",run="fashion",stage="pretrain"} 1`,
		`simclr_loss{attempt="2",rank="0",run="fashion",stage="pretrain"} 5.25`,
		`simclr_contrastive_accuracy_ratio{attempt="2",rank="0",run="fashion",stage="pretrain"} 0.4`,
		`simclr_z_standard_deviation{attempt="2",rank="0",run="fashion",stage="pretrain"} 0.0712`,
		`simclr_z_effective_rank{attempt="2",rank="0",run="fashion",stage="pretrain"} 41.5`,
		`simclr_knn_top1_ratio{attempt="2",rank="0",run="fashion",stage="pretrain"} 0.3975`,
		`simclr_knn_epoch{attempt="2",rank="0",run="fashion",stage="pretrain"} 10`,
		`simclr_images_total{attempt="2",rank="0",run="fashion",stage="pretrain"} 256`,
		`simclr_collapsed{attempt="2",rank="0",run="fashion",stage="pretrain"} 1`,
		`simclr_checkpoint_step{attempt="2",rank="0",run="fashion",stage="pretrain"} 1`,
		`simclr_checkpoint_interval_seconds{attempt="2",rank="0",run="fashion",stage="pretrain"} 3600`,
		`simclr_checkpoints_total{attempt="2",rank="0",run="fashion",stage="pretrain"} 1`,
		`simclr_checkpoint_seconds_total{attempt="2",rank="0",run="fashion",stage="pretrain"} 1.5`,
		`simclr_data_wait_seconds_total{attempt="2",rank="0",run="fashion",stage="pretrain"} 0.25`,
		`simclr_phase{attempt="2",phase="Training",rank="0",run="fashion",stage="pretrain"} 1`,
		`simclr_phase{attempt="2",phase="Preparing",rank="0",run="fashion",stage="pretrain"} 0`,
		"# TYPE simclr_images_total counter",
		"process_resident_memory_bytes",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestOnlyRankZeroHasProgress(t *testing.T) {
	s := serve(t, New("r", "pretrain", 1, 1))
	if code, _ := get(t, s, "/progress"); code != http.StatusNotFound {
		t.Errorf("/progress of rank 1 answers %d", code)
	}
	if code, _ := get(t, s, "/metrics"); code != 200 {
		t.Errorf("/metrics of rank 1 answers %d", code)
	}
}

func TestServeNamesAnAddressThatIsTaken(t *testing.T) {
	s := serve(t, New("r", "pretrain", 1, 0))
	if _, err := Serve(s.Addr(), New("r", "pretrain", 1, 0)); err == nil || !strings.Contains(err.Error(), contract.EnvHTTPAddress) {
		t.Errorf("got %v", err)
	}
}

func TestTermination(t *testing.T) {
	k := New("r", "pretrain", 2, 0)
	k.Resumed(5)
	k.Saved(7, time.Second)
	k.Warn("w")
	five := int64(5)
	for name, tc := range map[string]struct {
		err          error
		code         int32
		reason, text string
	}{
		"done":           {nil, 0, "", ""},
		"a user's error": {contract.UserErrorf("NoImages", "dataset.uri: empty"), 10, "NoImages", "dataset.uri: empty"},
		"a wrapped one":  {errors.Join(contract.Errorf(11, "Diverged", "loss is NaN")), 11, "Diverged", "loss is NaN"},
		"any other":      {errors.New("oh"), 1, "Error", "oh"},
	} {
		t.Run(name, func(t *testing.T) {
			want := contract.TerminationMessage{
				SchemaVersion: 1, Stage: "pretrain", Attempt: 2, ExitCode: tc.code, Reason: tc.reason, Message: tc.text,
				Step: 5, ResumedFrom: &five, CheckpointStep: 7, Warnings: []string{"w"},
			}
			if d := cmp.Diff(want, k.Termination(tc.err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWriteTerminationFits(t *testing.T) {
	results := &v1alpha1.Results{KNNTop1: "39.88"}
	for name, tc := range map[string]struct {
		m       contract.TerminationMessage
		warning int // how many are left
	}{
		"small":                      {contract.TerminationMessage{Results: results, Warnings: []string{"w"}}, 1},
		"many warnings":              {contract.TerminationMessage{Results: results, Warnings: strings.Fields(strings.Repeat(strings.Repeat("x", 500)+" ", 20))}, 18},
		"as many as are passed on":   {contract.TerminationMessage{Results: results, Warnings: strings.Fields(strings.Repeat(strings.Repeat("x", contract.MaxWarningBytes)+" ", contract.MaxWarnings))}, contract.MaxWarnings},
		"a long message":             {contract.TerminationMessage{Results: results, Message: strings.Repeat("long ", 10_000), Warnings: []string{"w"}}, 0},
		"escapes and many bytes":     {contract.TerminationMessage{Results: results, Message: strings.Repeat("\"\x01ü€", 3000)}, 0},
		"not UTF-8":                  {contract.TerminationMessage{Results: results, Message: strings.Repeat("a\xff", 3000)}, 0},
		"a message that just fits":   {contract.TerminationMessage{Results: results, Message: strings.Repeat("m", 1900)}, 0},
		"a message that just is not": {contract.TerminationMessage{Results: results, Message: strings.Repeat("m", 2048)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "termination-log")
			if err := WriteTermination(path, tc.m); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil || len(raw) > contract.MaxMessageBytes || !utf8.Valid(raw) {
				t.Fatalf("%d bytes, %v", len(raw), err)
			}
			var got contract.TerminationMessage
			if err := json.Unmarshal(raw, &got); err != nil {
				t.Fatal(err)
			}
			if got.Results == nil || got.Results.KNNTop1 != "39.88" || len(got.Warnings) != tc.warning {
				t.Errorf("got %s", raw)
			}
			if len(tc.m.Message) > contract.MaxMessageBytes && (len(raw) < 1500 || !strings.HasSuffix(got.Message, "…")) {
				t.Errorf("%d bytes are less than needed: %s", len(raw), got.Message)
			}
		})
	}
	if err := WriteTermination("/proc/none", contract.TerminationMessage{}); err == nil {
		t.Error("no error where nothing can be written")
	}
}

func shown(t *testing.T, columns int) string {
	t.Helper()
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		k := New("r", "pretrain", 1, 0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			show(ctx, &b, columns, k, map[string]bool{})
			close(done)
		}()
		time.Sleep(1500 * time.Millisecond) // no step ends when a line is due
		k.Begin(Training, 4)
		for step := range int64(4) {
			time.Sleep(6 * time.Second)
			k.Step(Step{Epoch: 1, Step: step + 1, TotalSteps: 4, Images: 60, Loss: 5.25, ContrastiveAccuracy: 12.5})
		}
		cancel()
		<-done
	})
	return b.String()
}

func TestPlainLines(t *testing.T) {
	want := `pretrain  preparing
pretrain  training  0%
pretrain  training  25%  epoch 1  step 1/4  loss 5.2500  accuracy 12.5%  10 images/s  ETA 16s
pretrain  training  50%  epoch 1  step 2/4  loss 5.2500  accuracy 12.5%  10 images/s  ETA 11s
pretrain  training  75%  epoch 1  step 3/4  loss 5.2500  accuracy 12.5%  10 images/s  ETA 6s
pretrain  training  75%  epoch 1  step 3/4  loss 5.2500  accuracy 12.5%  10 images/s  ETA 1s
pretrain  training  100%  epoch 1  step 4/4  loss 5.2500  accuracy 12.5%  10 images/s
`
	if d := cmp.Diff(want, shown(t, 0)); d != "" {
		t.Error(d)
	}
}

func TestLineHasTheHealth(t *testing.T) {
	p := contract.Progress{
		Stage: "pretrain", Phase: Training, Epoch: 21, Step: 20, TotalSteps: 40, Done: 20, Total: 40, Loss: 5.25, ContrastiveAccuracy: 12.5,
		KNNEpoch: 20, KNNTop1: 39.876, ZEffectiveRank: 41.4, ZStandardDeviation: 0.07,
	}
	if d := cmp.Diff("pretrain  training  50%  epoch 21  step 20/40  loss 5.2500  accuracy 12.5%  kNN 39.88%  rank 41", Line(p)); d != "" {
		t.Error(d)
	}
}

func TestBar(t *testing.T) {
	for columns, want := range map[int]string{
		130: "[########################] pretrain  training  100%  epoch 1  step 4/4  loss 5.2500  accuracy 12.5%  10 images/s",
		100: "[##########] pretrain  100%  epoch 1  step 4/4  loss 5.2500  accuracy 12.5%  10 images/s", // earlier lines had an ETA
		80:  "[##########] pretrain  100%  epoch 1  loss 5.2500  10 images/s",
		60:  "[##########] pretrain  100%  epoch 1  loss 5.2500",
		20:  "[##########] pretra",
	} {
		got := shown(t, columns)
		lines := strings.Split(strings.TrimSuffix(got, "\x1b[K\n"), "\r")
		if d := cmp.Diff(want, lines[len(lines)-1]); d != "" {
			t.Errorf("%d columns: %s", columns, d)
		}
		if strings.Count(got, "\n") != 1 {
			t.Error("a bar stays on its line")
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\x1b[K")); n >= columns {
				t.Errorf("%d columns: a line of %d", columns, n)
			}
		}
	}
}

func TestShowTellsThatItGoesOn(t *testing.T) {
	for columns, want := range map[int]string{0: "all  goes on from step 7\n", 80: "\rall  goes on from step 7\x1b[K\n"} {
		k := New("r", "all", 2, 0)
		k.Resumed(7)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var b bytes.Buffer
		show(ctx, &b, columns, k, map[string]bool{})
		if !strings.HasPrefix(b.String(), want) || strings.Count(b.String(), "goes on") != 1 {
			t.Errorf("%d columns: %q", columns, b.String())
		}
	}
}

// A warning shows when it comes, such as that a request is tried again, and once.
func TestShowWarnsAtOnce(t *testing.T) {
	for columns, want := range map[int]string{0: "warning: slow\nall  preparing\n", 80: "\rwarning: slow\x1b[K\n"} {
		k := New("r", "all", 2, 0)
		k.Warn("slow")
		k.Warn("told before")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var b bytes.Buffer
		told := map[string]bool{"told before": true}
		show(ctx, &b, columns, k, told)
		if !strings.HasPrefix(b.String(), want) || strings.Count(b.String(), "warning") != 1 || !told["slow"] {
			t.Errorf("%d columns: %q", columns, b.String())
		}
	}
}

func TestShowOnAFileIsPlain(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	<-Show(ctx, f, New("r", "pretrain", 1, 0), nil)
	if raw, err := os.ReadFile(f.Name()); err != nil || string(raw) != "pretrain  preparing\n" {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestDuration(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0s", 45.4: "45s", 90: "2m", 720: "12m", 7500: "2h05m"} {
		if got := Duration(seconds); got != want {
			t.Errorf("Duration(%v) is %s, want %s", seconds, got, want)
		}
	}
}
