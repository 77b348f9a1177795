package stage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// Each piece of work begins at 0, also one that is called as the one before: two sets are both decoded.
func TestTell(t *testing.T) {
	k := report.New("r", "pretrain", 1, 0)
	told := tell(k)
	type at struct{ Done, Total int64 }
	var got []at
	for _, c := range []struct {
		what        string
		done, total int64
	}{{"download", 5, 10}, {"download", 10, 10}, {"decode", 3, 7}, {"decode", 7, 7}, {"decode", 2, 4}, {"decode", 4, 4}, {"decode", 1, 9}} {
		told(c.what, c.done, c.total)
		p := k.Progress()
		got = append(got, at{p.Done, p.Total})
	}
	want := []at{{5, 10}, {10, 10}, {3, 7}, {7, 7}, {2, 4}, {4, 4}, {1, 9}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
