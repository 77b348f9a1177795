package main

import (
	"fmt"
	"io"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// compare makes the rows of all that was measured. Targets are of ours.
func compare(rates [2][]float64, whole [2]runs.Result, epochs int32) []report.Row {
	const mebi = 1 << 20
	a, b := whole[0], whole[1]
	return []report.Row{
		report.NewRow("images/s end to end", "images/s", report.Median(rates[0]), report.Median(rates[1]), nil, report.Higher),
		report.NewRow("kNN top-1", "%", a.KNN, b.KNN, new(39.0), report.Higher),
		report.NewRow("linear top-1", "%", a.Linear, b.Linear, new(44.6), report.Higher),
		report.NewRow("final loss", "nats", a.Loss, b.Loss, nil, report.Lower),
		report.NewRow(fmt.Sprintf("wall time of %d epochs, with start and reading", epochs), "s", a.Epochs, b.Epochs, nil, report.Lower),
		report.NewRow("wall time of the whole run, with kNN and linear", "s", a.Seconds, b.Seconds, nil, report.Lower),
		report.NewRow("peak RSS", "MiB", float64(a.MaxRSS)/mebi, float64(b.MaxRSS)/mebi, nil, report.Lower),
	}
}

// tell people what yardstick-machine.json tells programs.
func (m machine) tell(w io.Writer) {
	fmt.Fprintln(w, m.Machine)
	fmt.Fprintf(w, "ours: simclr-trainer, %s\n", m.Ours)
	fmt.Fprintf(w, "peer: PyTorch %s, torchvision %s, channels_last fp32, threads %s and as many loader workers, CPU capability %s\n",
		m.Peer["torch"], m.Peer["torchvision"], m.Peer["threads"], m.Peer["cpuCapability"])
	fmt.Fprintf(w, "images/s are source images, the median of these epochs: ours %.0f, peer %.0f\n", m.ImagesPerSecond[0], m.ImagesPerSecond[1])
	fmt.Fprint(w, "the peer's peak RSS is of its main process: its loader workers are not in it\n\n")
}
