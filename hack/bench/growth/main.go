// Command growth draws what `make bench-operator` measured of the operator alone: how its cost grows with the runs that are
// submitted at once.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgimg" // png
	_ "gonum.org/v1/plot/vg/vgsvg" // svg
)

// measured is what hack/bench/operator writes of a number of runs, as far as it is drawn.
type measured struct {
	Runs             int            `json:"runs"`
	CPUSeconds       float64        `json:"cpuSeconds"`
	PeakMiB          float64        `json:"peakMiB"`
	CompletionToNext float64        `json:"completionToNextP99"`
	Writes           map[string]int `json:"writes"`
}

// panel is one of the plot's diagrams.
type panel struct {
	title string
	of    func(measured) float64
}

var panels = [][]panel{{
	{"CPU of the manager, ms a run", func(m measured) float64 { return 1000 * m.CPUSeconds / float64(m.Runs) }},
	{"resident memory at most, MiB", func(m measured) float64 { return m.PeakMiB }},
}, {
	{"writes with events, a run", writesPerRun},
	{"a Job's end to the next Job, p99, s", func(m measured) float64 { return max(0, m.CompletionToNext) }},
}}

func writesPerRun(m measured) float64 {
	n := 0
	for _, count := range m.Writes {
		n += count
	}
	return float64(n) / float64(m.Runs)
}

func main() {
	in := flag.String("in", "build/bench/operator-runs.json", "what make bench-operator measured")
	out := flag.String("out", "build/bench/operator-growth.svg", "the plot, .svg or .png")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	raw, err := os.ReadFile(in)
	if err != nil {
		return fmt.Errorf("%w; make bench-operator writes it", err)
	}
	var r struct {
		Operator []measured `json:"operator"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if len(r.Operator) < 2 {
		return fmt.Errorf("%s has %d numbers of runs; a curve needs two: make bench-operator GROWTH=100,300", in, len(r.Operator))
	}
	plots := make([][]*plot.Plot, len(panels))
	for i, row := range panels {
		for _, p := range row {
			drawn, err := diagram(p, r.Operator)
			if err != nil {
				return err
			}
			plots[i] = append(plots[i], drawn)
		}
	}
	return write(plots, out)
}

// diagram of one cost over the runs, which are drawn logarithmically: they grow by factors.
func diagram(p panel, all []measured) (*plot.Plot, error) {
	d := plot.New()
	d.Title.Text, d.Title.TextStyle.Font.Size, d.X.Label.Text = p.title, vg.Points(10), "runs at once"
	d.X.Scale, d.Y.Min = plot.LogScale{}, 0
	var points plotter.XYs
	var ticks []plot.Tick
	for _, m := range all {
		points = append(points, plotter.XY{X: float64(m.Runs), Y: p.of(m)})
		ticks = append(ticks, plot.Tick{Value: float64(m.Runs), Label: fmt.Sprint(m.Runs)})
	}
	d.X.Tick.Marker, d.Y.Tick.Marker = plot.ConstantTicks(ticks), short{}
	line, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = color.RGBA{R: 31, G: 119, B: 180, A: 255}, vg.Points(1.5)
	marks.Color, marks.Shape = line.Color, draw.CircleGlyph{}
	d.Add(plotter.NewGrid(), line, marks)
	d.Y.Max *= 1.1
	return d, nil
}

// short are the usual ticks with as few digits as their numbers have.
type short struct{}

// Ticks of an axis.
func (short) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if !t.IsMinor() {
			ticks[i].Label = fmt.Sprintf("%.4g", t.Value)
		}
	}
	return ticks
}

func write(plots [][]*plot.Plot, out string) error {
	const width, height, gap = 18 * vg.Centimeter, 12 * vg.Centimeter, 6 * vg.Millimeter
	canvas, err := draw.NewFormattedCanvas(width, height, strings.TrimPrefix(filepath.Ext(out), "."))
	if err != nil {
		return err
	}
	tiles := draw.Tiles{Rows: len(plots), Cols: len(plots[0]), PadX: gap, PadY: gap, PadTop: gap, PadBottom: gap, PadLeft: gap, PadRight: gap}
	for i, row := range plot.Align(plots, tiles, draw.New(canvas)) {
		for j, c := range row {
			plots[i][j].Draw(c)
		}
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := canvas.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}
