package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const (
	barInterval  = 200 * time.Millisecond
	lineInterval = 5 * time.Second
	barWidth     = 24
)

// Show shows progress for a person until the context ends: a bar on a terminal, plain lines elsewhere.
// The channel closes after the last line.
func Show(ctx context.Context, f *os.File, t *Tracker) <-chan struct{} {
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
		show(ctx, f, columns, t)
	}()
	return done
}

// show draws a bar of columns on one line, or with 0 columns a line now and then.
func show(ctx context.Context, w io.Writer, columns int, t *Tracker) {
	interval := lineInterval
	if columns > 0 {
		interval = barInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := ""
	draw := func() {
		p := t.Progress()
		line := Line(p)
		if columns > 0 {
			// \r to the line's begin, \x1b[K clears what was longer
			fmt.Fprintf(w, "\r%s\x1b[K", fitColumns(bar(p)+line, columns))
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

// bar of the phase's work; nothing where the total is unknown.
func bar(p contract.Progress) string {
	if p.Total <= 0 {
		return ""
	}
	full := int(min(p.Done, p.Total) * barWidth / p.Total)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] "
}

func fitColumns(s string, columns int) string {
	if r := []rune(s); len(r) >= columns {
		return string(r[:max(0, columns-1)])
	}
	return s
}

// Line says in one line how far a stage is.
func Line(p contract.Progress) string {
	parts := []string{p.Stage, strings.ToLower(p.Phase)}
	if p.Total > 0 {
		parts = append(parts, fmt.Sprintf("%d%%", min(p.Done, p.Total)*100/p.Total))
	}
	if p.Phase == Training && p.Step > 0 {
		parts = append(parts, fmt.Sprintf("epoch %d", p.Epoch), fmt.Sprintf("step %d/%d", p.Step, p.TotalSteps), fmt.Sprintf("loss %.4f", p.Loss))
		if p.ContrastiveAccuracy > 0 {
			parts = append(parts, fmt.Sprintf("accuracy %.1f%%", p.ContrastiveAccuracy))
		}
		if p.ImagesPerSecond > 0 {
			parts = append(parts, fmt.Sprintf("%.0f images/s", p.ImagesPerSecond))
		}
	}
	if p.ETASeconds > 0 {
		parts = append(parts, "ETA "+Duration(p.ETASeconds))
	}
	return strings.Join(parts, "  ")
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
