package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const (
	barInterval  = 200 * time.Millisecond
	lineInterval = 5 * time.Second
	barWidth     = 24
	// smallBarWidth is for narrow terminals.
	smallBarWidth = 10
)

// Show shows progress for a person until the context ends: a bar on a terminal, plain lines elsewhere; and each warning, as it
// comes, that is not among those told, which it joins. The channel closes after the last line.
func Show(ctx context.Context, f *os.File, t *Tracker, told map[string]bool) <-chan struct{} {
	columns := 0 // not a terminal
	if term.IsTerminal(int(f.Fd())) {
		columns = 80
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			columns = w
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		show(ctx, f, columns, t, told)
	}()
	return done
}

// show draws a bar of columns on one line, or with 0 columns a line now and then.
func show(ctx context.Context, w io.Writer, columns int, t *Tracker, told map[string]bool) {
	interval := lineInterval
	if columns > 0 {
		interval = barInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last, resumed, fit := "", false, fitter{columns: columns}
	draw := func() {
		p := t.Progress()
		if p.ResumedFrom != nil && !resumed {
			resumed = true
			fmt.Fprintln(w, over(columns, fmt.Sprintf("%s  goes on from step %d", p.Stage, *p.ResumedFrom)))
		}
		for _, warning := range p.Warnings {
			if !told[warning] {
				told[warning] = true
				fmt.Fprintln(w, over(columns, "warning: "+warning))
			}
		}
		line := Line(p)
		if columns > 0 {
			fmt.Fprint(w, over(columns, fit.line(p)))
		} else if line != last {
			fmt.Fprintln(w, line)
		}
		last = line
	}
	for {
		draw()
		select {
		case <-ctx.Done():
			draw()
			if columns > 0 {
				fmt.Fprintln(w)
			}
			return
		case <-tick.C:
		}
	}
}

// over draws a line over the one before on a terminal: \r to its begin, \x1b[K clears what was longer.
func over(columns int, line string) string {
	if columns == 0 {
		return line
	}
	return "\r" + line + "\x1b[K"
}

// fitter leaves out what does not fit into a terminal's columns: a line that wraps is not drawn over.
type fitter struct {
	columns, level int
}

// line is a bar of the phase's work and Line. What was too long once stays out, so that lines do not jump.
func (f *fitter) line(p contract.Progress) string {
	parts := lineParts(p)
	for ; f.level < 2*mostImportant; f.level++ {
		width := barWidth
		if f.level%2 == 1 {
			width = smallBarWidth
		}
		if line := bar(p, width) + join(parts, f.level/2); runes(line) < f.columns {
			return line
		}
	}
	line := []rune(bar(p, smallBarWidth) + join(parts, mostImportant))
	return string(line[:min(len(line), max(0, f.columns-1))])
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// bar of the phase's work; nothing where the total is unknown.
func bar(p contract.Progress, width int) string {
	if p.Total <= 0 {
		return ""
	}
	full := int(min(p.Done, p.Total) * int64(width) / p.Total)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "] "
}

// Line says in one line how far a stage is.
func Line(p contract.Progress) string { return join(lineParts(p), 0) }

// part of a line; the more important, the longer it stays where there is no room.
type part struct {
	text       string
	importance int
}

const mostImportant = 5

func join(parts []part, least int) string {
	var texts []string
	for _, p := range parts {
		if p.importance >= least {
			texts = append(texts, p.text)
		}
	}
	return strings.Join(texts, "  ")
}

func lineParts(p contract.Progress) []part {
	trains := p.Phase == Training && p.TotalSteps > 0 // a step was told of, not only resumed from
	phase := part{strings.ToLower(p.Phase), mostImportant}
	if trains {
		phase.importance = 0 // a loss says that it trains
	}
	parts := []part{{p.Stage, mostImportant}, phase}
	add := func(importance int, format string, args ...any) {
		parts = append(parts, part{fmt.Sprintf(format, args...), importance})
	}
	if p.Total > 0 {
		add(4, "%d%%", min(p.Done, p.Total)*100/p.Total)
	}
	if trains {
		add(4, "epoch %d", p.Epoch)
		add(1, "step %d/%d", p.Step, p.TotalSteps)
		add(mostImportant, "loss %.4f", p.Loss)
		if p.ContrastiveAccuracy > 0 {
			add(2, "accuracy %.1f%%", p.ContrastiveAccuracy)
		}
		if p.KNNEpoch > 0 {
			add(2, "kNN %.2f%%", p.KNNTop1)
		}
		if p.ZEffectiveRank > 0 {
			add(1, "rank %.0f", p.ZEffectiveRank)
		}
		if p.ImagesPerSecond > 0 {
			add(3, "%.0f images/s", p.ImagesPerSecond)
		}
	}
	if p.ETASeconds > 0 {
		add(mostImportant, "ETA %s", Duration(p.ETASeconds))
	}
	return parts
}

// Duration of so many seconds as "2h05m", "12m" or "45s".
func Duration(seconds float64) string {
	s := int64(seconds + 0.5)
	switch {
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	case s >= 60:
		return fmt.Sprintf("%dm", (s+30)/60)
	}
	return fmt.Sprintf("%ds", s)
}
