package controllers

import (
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

func TestPercent(t *testing.T) {
	for name, tc := range map[string]struct {
		progress contract.Progress
		want     int32
	}{
		"nothing known":  {contract.Progress{}, 0},
		"steps":          {contract.Progress{Step: 42, TotalSteps: 100}, 42},
		"a download":     {contract.Progress{Phase: "Preparing", Done: 1, Total: 3}, 0},
		"more than all":  {contract.Progress{Step: 9, TotalSteps: 3}, 100},
		"very many":      {contract.Progress{Step: 1 << 62, TotalSteps: 1<<63 - 1}, 50},
		"not there: 99%": {contract.Progress{Step: 999, TotalSteps: 1000}, 99},
	} {
		if got := percentOf(&tc.progress); got != tc.want {
			t.Errorf("%s: %d%%, want %d%%", name, got, tc.want)
		}
	}
}
