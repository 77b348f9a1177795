package report

import (
	"context"
	"io"
	"log/slog"
)

// Logger writes JSON lines that carry run, stage, attempt, rank and the step at that moment.
func (t *Tracker) Logger(w io.Writer) *slog.Logger {
	p := t.Progress()
	return slog.New(stepHandler{slog.NewJSONHandler(w, nil), t}).With("run", t.run, "stage", p.Stage, "attempt", p.Attempt, "rank", t.rank)
}

// stepHandler adds the step to every record.
type stepHandler struct {
	slog.Handler
	t *Tracker
}

func (h stepHandler) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	r.AddAttrs(slog.Int64("step", h.t.Progress().Step))
	return h.Handler.Handle(ctx, r)
}

func (h stepHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return stepHandler{h.Handler.WithAttrs(attrs), h.t}
}

func (h stepHandler) WithGroup(name string) slog.Handler {
	return stepHandler{h.Handler.WithGroup(name), h.t}
}
