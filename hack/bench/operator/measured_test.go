package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCountWrites(t *testing.T) {
	line := func(user, verb, resource, sub, at string) string {
		return `{"verb":"` + verb + `","user":{"username":"` + user + `"},"objectRef":{"resource":"` + resource + `","subresource":"` + sub +
			`"},"stageTimestamp":"2026-01-01T00:00:` + at + `Z"}` + "\n"
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	text := line("ours", "create", "jobs", "", "01") + // before
		line("ours", "create", "jobs", "", "10") + line("ours", "create", "jobs", "", "11") + line("ours", "update", "simclrruns", "status", "11") +
		line("ours", "create", "events", "", "12") + line("other", "create", "jobs", "", "12")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := countWrites(path, time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC), "ours")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"create jobs": 2, "update simclrruns/status": 1, "create events": 1}, got); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	m := measured{Writes: got}
	if events, others := m.writes(); events != 1 || others != 3 {
		t.Errorf("%d events and %d others, want 1 and 3", events, others)
	}
}

func TestHistogramQuantile(t *testing.T) {
	const text = `# TYPE h histogram
h_bucket{le="0.01"} 50
h_bucket{le="0.1"} 90
h_bucket{le="1"} 100
h_bucket{le="+Inf"} 100
h_sum 1
h_count 100
`
	families, err := parseMetrics(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	// as promtool computes it: 0.1 + (1 - 0.1)·(99 - 90)/(100 - 90)
	for q, want := range map[float64]float64{0.25: 0.005, 0.5: 0.01, 0.9: 0.1, 0.99: 0.91} {
		if got, err := histogramQuantile(q, families["h"]); err != nil || math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %g: %g, %v; want %g", q, got, err, want)
		}
	}
	if _, err := histogramQuantile(0.5, nil); err == nil {
		t.Error("no error of an empty histogram")
	}
}

// What was observed before does not count, and a series that is new counts as it is.
func TestSince(t *testing.T) {
	parse := func(text string) *dto.MetricFamily {
		families, err := parseMetrics(strings.NewReader("# TYPE h histogram\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return families["h"]
	}
	const slow = `h_bucket{c="a",le="0.01"} 0
h_bucket{c="a",le="1"} 100
h_bucket{c="a",le="+Inf"} 100
h_sum{c="a"} 90
h_count{c="a"} 100
`
	const then = `h_bucket{c="a",le="0.01"} 150
h_bucket{c="a",le="1"} 300
h_bucket{c="a",le="+Inf"} 300
h_sum{c="a"} 91
h_count{c="a"} 300
h_bucket{c="b",le="0.01"} 200
h_bucket{c="b",le="1"} 200
h_bucket{c="b",le="+Inf"} 200
h_sum{c="b"} 1
h_count{c="b"} 200
`
	got := since(parse(slow), parse(then))
	counts := map[string][]uint64{}
	for _, m := range got.Metric {
		h := m.Histogram
		counts[m.Label[0].GetValue()] = []uint64{h.GetSampleCount(), h.Bucket[0].GetCumulativeCount(), h.Bucket[1].GetCumulativeCount()}
	}
	if diff := cmp.Diff(map[string][]uint64{"a": {200, 150, 200}, "b": {200, 200, 200}}, counts); diff != "" {
		t.Errorf("count and buckets (-want +got):\n%s", diff)
	}
	if all, err := histogramQuantile(0.5, since(nil, parse(then))); err != nil || all >= 0.01 {
		t.Errorf("%g, %v where nothing was before", all, err)
	}
}

func TestParseUsage(t *testing.T) {
	stat := "12 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1 2 3"
	got, err := parseUsage("Name:\tx\nVmHWM:\t   2048 kB\n", []byte(stat))
	if err != nil || got != (usage{peakMiB: 2, seconds: 3}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseUsage("Name:\tx\n", []byte(stat)); err == nil {
		t.Error("no error without VmHWM")
	}
}

func TestGaps(t *testing.T) {
	o := &observer{key: jobKey, jobs: map[string]*times{}}
	start := time.Unix(1000, 0)
	job := func(name string, complete bool) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if complete {
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
		}
		return j
	}
	at := func(seconds int, object metav1.Object) bool {
		return o.noteAt(start.Add(time.Duration(seconds)*time.Second), jobKey(object), object)
	}
	at(0, job("a", false))
	at(5, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a-0-x", Labels: map[string]string{batchv1.JobNameLabel: "a"}},
		Status:     corev1.PodStatus{Phase: corev1.PodSucceeded},
	})
	if !at(7, job("a", true)) || at(8, job("a", true)) {
		t.Error("a Job is complete once")
	}
	at(8, job("b", false))
	complete, exited := o.gaps([][]string{{"a", "b"}})
	if diff := cmp.Diff([][]float64{{1}, {3}}, [][]float64{complete, exited}); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if o.count() != 1 || !o.last.Equal(start.Add(7*time.Second)) {
		t.Errorf("%d complete, the last at %s", o.count(), o.last)
	}
}

func TestQuantile(t *testing.T) {
	values := make([]float64, 200)
	for i := range values {
		values[i] = float64(199 - i)
	}
	if got := quantile(0.99, values); got != 198 {
		t.Errorf("got %g, want 198", got)
	}
}

// What the plain client makes differs from the operator's Jobs in nothing that a Job's cost depends on.
func TestPlainJob(t *testing.T) {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: "samplerun-pretrain-1", UID: "uid", ResourceVersion: "1", Annotations: map[string]string{"a": "b"},
		OwnerReferences: []metav1.OwnerReference{{Name: "samplerun"}}, Labels: map[string]string{"run": "samplerun"},
	}}
	job.Spec.Selector = &metav1.LabelSelector{}
	job.Spec.Template.Labels = map[string]string{"run": "samplerun", batchv1.ControllerUidLabel: "uid", batchv1.JobNameLabel: "x", "controller-uid": "uid", "job-name": "x"}
	got := plainJob(job)
	want := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: job.Name, Annotations: job.Annotations, Labels: job.Labels}}
	want.Spec.Template.Labels = map[string]string{"run": "samplerun"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Job (-want +got):\n%s", diff)
	}
}
