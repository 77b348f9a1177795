package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// String is the plan as a table, for `simclr-trainer plan`.
func (p *Plan) String() string {
	var b strings.Builder
	n := p.Network
	fmt.Fprintf(&b, "%s: %s on %d×%d pixels; encoder %s parameters, %s multiply-adds an image, h %d; projection head %s parameters, z %d\n\n",
		p.Run, n.Name, p.ImageSize, p.ImageSize, thousands(n.EncoderParameters), scaledUnit(n.MultiplyAdds), n.Features, thousands(n.HeadParameters), n.Dimension)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	memory, of := "MEMORY", func(s Stage) int64 { return s.MemoryBytes }
	if p.OnAccelerator {
		memory, of = "HOST'S MEMORY", Stage.hostMemory
	}
	fmt.Fprintln(w, "STAGE\tKIND\tIMAGES\tBATCH\tEPOCHS\tSTEPS\tWARMUP\tPEAK RATE\tPARAMETERS\t"+memory)
	for _, s := range p.Stages {
		fmt.Fprintln(w, strings.Join([]string{
			s.Name, string(s.Kind), count(s.Images), s.batches(), count(s.Epochs), s.steps(), count(int(s.WarmupSteps)), s.rate(),
			count(int(s.Parameters)), about(of(s)),
		}, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	for _, s := range p.Stages {
		if choices := s.choices(); choices != "" && !p.OnAccelerator {
			fmt.Fprintf(&b, "\n%s\n", choices)
		}
		if s.Kind == Finetuning {
			fmt.Fprintf(&b, "\n%s uses %s labels%s%s.", s.Name, thousands(int64(s.Images)), s.list(), s.perClass())
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (s Stage) batches() string {
	if s.workers() > 1 {
		return fmt.Sprintf("%s (%d workers×%d×%s)", thousands(int64(s.Batch)), s.Workers, s.MicroBatches(), thousands(int64(s.MicroBatch)))
	}
	if s.Kind == Pretraining && s.MicroBatch < s.Batch {
		return fmt.Sprintf("%s (%d×%s)", thousands(int64(s.Batch)), s.MicroBatches(), thousands(int64(s.MicroBatch)))
	}
	return count(s.Batch)
}

func (s Stage) steps() string {
	switch {
	case s.Kind == LinearLBFGS:
		return "at most " + thousands(s.TotalSteps)
	case s.Batch == 0:
		return "-"
	}
	return fmt.Sprintf("%s (%s an epoch)", thousands(s.TotalSteps), thousands(s.StepsPerEpoch))
}

func (s Stage) rate() string {
	if s.PeakLearningRate == 0 {
		return "-"
	}
	return strconv.FormatFloat(s.PeakLearningRate, 'g', 4, 64)
}

// about so many bytes; "-" where nothing is known.
func about(n int64) string {
	if n == 0 {
		return "-"
	}
	return "about " + bytes(n)
}

func (s Stage) list() string {
	if s.LabelList == "" {
		return ""
	}
	return " of " + s.LabelList
}

func (s Stage) perClass() string {
	if len(s.LabelsPerClass) == 0 {
		return ""
	}
	low, high := slices.Min(s.LabelsPerClass), slices.Max(s.LabelsPerClass)
	if low == high {
		return fmt.Sprintf(", %s of each of %d classes", thousands(int64(low)), len(s.LabelsPerClass))
	}
	return fmt.Sprintf(", %s to %s of each of %d classes", thousands(int64(low)), thousands(int64(high)), len(s.LabelsPerClass))
}

// count is "-" for none.
func count(n int) string {
	if n == 0 {
		return "-"
	}
	return thousands(int64(n))
}

// thousands groups digits: 11,689,512.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// scaledUnit is a number in millions or billions: 35.0 M, 4.09 G.
func scaledUnit(n int64) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.2f G", float64(n)/1e9)
	}
	return fmt.Sprintf("%.1f M", float64(n)/1e6)
}
