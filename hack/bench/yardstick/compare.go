package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// A row of yardstick.json.
type row struct {
	Case   string   `json:"case"`
	Unit   string   `json:"unit"`
	Ours   float64  `json:"ours"`
	Peer   *float64 `json:"peer"`
	Ratio  *float64 `json:"ratio"` // ours/peer
	Target *float64 `json:"target"`
	Better string   `json:"better"`
}

const (
	higher = "higher"
	lower  = "lower"
)

// compare makes the rows of all that was measured. Targets are of ours.
func compare(rates [2][]float64, whole [2]result, epochs int32) []row {
	const mebi = 1 << 20
	a, b := whole[0], whole[1]
	return []row{
		newRow("images/s end to end", "images/s", median(rates[0]), median(rates[1]), nil, higher),
		newRow("kNN top-1", "%", a.KNN, b.KNN, new(39.0), higher),
		newRow("linear top-1", "%", a.Linear, b.Linear, new(44.6), higher),
		newRow("final loss", "nats", a.Loss, b.Loss, nil, lower),
		newRow(fmt.Sprintf("wall time of %d epochs, with start and reading", epochs), "s", a.Epochs, b.Epochs, nil, lower),
		newRow("wall time of the whole run, with kNN and linear", "s", a.Seconds, b.Seconds, nil, lower),
		newRow("peak RSS", "MiB", float64(a.MaxRSS)/mebi, float64(b.MaxRSS)/mebi, nil, lower),
	}
}

func newRow(name, unit string, ours, peer float64, target *float64, better string) row {
	return row{name, unit, ours, &peer, new(ours / peer), target, better}
}

// median of at least one value: of an even number, the mean of the middle two.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// table tells people what yardstick.json and yardstick-machine.json tell programs.
func table(w io.Writer, m machine, rows []row) error {
	fmt.Fprintf(w, "%s, %d CPUs, load average before %s\n", m.CPU, m.CPUs, m.LoadAverage)
	fmt.Fprintf(w, "ours: simclr-trainer, %s\n", m.Ours)
	fmt.Fprintf(w, "peer: PyTorch %s, torchvision %s, channels_last fp32, threads %s and as many loader workers, CPU capability %s\n",
		m.Peer["torch"], m.Peer["torchvision"], m.Peer["threads"], m.Peer["cpuCapability"])
	fmt.Fprintf(w, "images/s are source images, the median of these epochs: ours %.0f, peer %.0f\n", m.ImagesPerSecond[0], m.ImagesPerSecond[1])
	fmt.Fprint(w, "the peer's peak RSS is of its main process: its loader workers are not in it\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\tunit\tours\tpeer\tours/peer\ttarget\tbetter")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Case, r.Unit, number(&r.Ours), number(r.Peer), number(r.Ratio), number(r.Target), r.Better)
	}
	return t.Flush()
}

// number with four digits that count; – where there is none.
func number(v *float64) string {
	if v == nil {
		return "–"
	}
	digits := 3
	for limit := 10.0; digits > 0 && *v >= limit; limit *= 10 {
		digits--
	}
	return strconv.FormatFloat(*v, 'f', digits, 64)
}
