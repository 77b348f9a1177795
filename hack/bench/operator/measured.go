package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// measured is one way of having the Jobs of some runs made.
type measured struct {
	Name string `json:"name,omitempty"` // of a peer
	Runs int    `json:"runs"`
	Jobs int    `json:"jobs"`
	// Seconds from the first object made to the last Job's completion.
	Seconds       float64 `json:"seconds"`
	JobsPerSecond float64 `json:"jobsPerSecond"`
	// Seconds from a Job's completion, and from its pod's exit, to the next Job of its chain: the 99th percentile.
	CompletionToNext float64 `json:"completionToNextP99"`
	ExitToNext       float64 `json:"exitToNextP99"`
	// CPU seconds of everything: the control plane, the nodes, who makes the Jobs, and this program, which watches.
	AllCPUSeconds float64 `json:"allCPUSeconds"`
	// Of the programs that are measured, not of a plain client.
	PeakMiB      float64        `json:"peakMiB,omitempty"`
	CPUSeconds   float64        `json:"cpuSeconds,omitempty"`
	Writes       map[string]int `json:"writes,omitempty"`      // to the API server, by "verb resource"
	Unreachable  int            `json:"unreachable,omitempty"` // of the writes: that a trainer does not tell its progress
	Reconciles   float64        `json:"reconciles,omitempty"`
	ReconcileP99 float64        `json:"reconcileSecondsP99,omitempty"` // of all
	ActiveP99    float64        `json:"activeSecondsP99,omitempty"`    // of those since every run has a Job
	Reads        float64        `json:"reads,omitempty"`               // of the API server, past the cache
}

func newMeasured(o *observer, chains [][]string, began time.Time) measured {
	complete, exited := o.gaps(chains)
	jobs, seconds := jobsOf(chains), o.last.Sub(began).Seconds()
	return measured{
		Runs: len(chains), Jobs: jobs, Seconds: seconds, JobsPerSecond: float64(jobs) / seconds,
		CompletionToNext: quantile(0.99, complete), ExitToNext: quantile(0.99, exited),
	}
}

// writes that are events, and all others but those of progress: kwok's trainers have none to tell, and once in a stage its run
// says so.
func (m *measured) writes() (events, others int) {
	for what, n := range m.Writes {
		if what == "create events" || what == "patch events" {
			events += n
		} else {
			others += n
		}
	}
	return events, others - m.Unreachable
}

// auditEvent is what is read of a line of the audit log.
type auditEvent struct {
	Verb string
	User struct{ Username string }
	// StageTimestamp is when it was answered.
	StageTimestamp time.Time
	ObjectRef      struct{ Resource, Subresource string }
}

// countWrites of users in the audit log, from a time on: by "verb resource".
func countWrites(path string, since time.Time, users ...string) (map[string]int, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	wanted := map[string]bool{}
	for _, u := range users {
		wanted[u] = true
	}
	counts := map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !wanted[e.User.Username] || e.StageTimestamp.Before(since) {
			continue
		}
		what := e.Verb + " " + e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			what += "/" + e.ObjectRef.Subresource
		}
		counts[what]++
	}
	return counts, lines.Err()
}

// scrape a program's metrics.
func scrape(ctx context.Context, address string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics answers %d", response.StatusCode)
	}
	return parseMetrics(response.Body)
}

func parseMetrics(r io.Reader) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(r)
}

// sum of a counter's series that have a label's value; all where the label is "".
func sum(family *dto.MetricFamily, label, value string) (total float64) {
	for _, m := range family.GetMetric() {
		match := label == ""
		for _, l := range m.Label {
			match = match || l.GetName() == label && l.GetValue() == value
		}
		if match {
			total += m.GetCounter().GetValue()
		}
	}
	return total
}

// since is a family's histograms less what they had before.
func since(before, now *dto.MetricFamily) *dto.MetricFamily {
	had := map[string]*dto.Histogram{}
	for _, m := range before.GetMetric() {
		had[fmt.Sprint(m.GetLabel())] = m.GetHistogram()
	}
	for _, m := range now.GetMetric() {
		old, h := had[fmt.Sprint(m.GetLabel())], m.GetHistogram()
		if old == nil {
			continue
		}
		h.SampleCount = new(h.GetSampleCount() - old.GetSampleCount())
		for i, b := range h.GetBucket() {
			b.CumulativeCount = new(b.GetCumulativeCount() - old.GetBucket()[i].GetCumulativeCount())
		}
	}
	return now
}

// histogramQuantile is Prometheus' histogram_quantile: linear within the bucket.
func histogramQuantile(q float64, family *dto.MetricFamily) (float64, error) {
	counts := map[float64]uint64{}
	var bounds []float64
	var total uint64
	for _, m := range family.GetMetric() {
		h := m.GetHistogram()
		total += h.GetSampleCount()
		for _, b := range h.GetBucket() {
			if _, seen := counts[b.GetUpperBound()]; !seen {
				bounds = append(bounds, b.GetUpperBound())
			}
			counts[b.GetUpperBound()] += b.GetCumulativeCount()
		}
	}
	if total == 0 {
		return 0, errors.New("the histogram is empty")
	}
	rank, lower, below := q*float64(total), 0.0, uint64(0)
	for _, upper := range bounds { // in the order of the text format, which ascends
		if n := counts[upper]; float64(n) >= rank {
			if math.IsInf(upper, 1) {
				return lower, nil
			}
			return lower + (upper-lower)*(rank-float64(below))/float64(n-below), nil
		}
		lower, below = upper, counts[upper]
	}
	return lower, nil
}
