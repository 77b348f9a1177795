package optimizer

import (
	"math"
	"testing"
)

func TestRate(t *testing.T) {
	s := Schedule{Peak: 2, WarmupSteps: 10, TotalSteps: 110}
	for name, tc := range map[string]struct {
		s    Schedule
		step int64
		want float64
	}{
		"warmup begins at 0":            {s, 0, 0},
		"halfway through warmup":        {s, 5, 1},
		"the last step of warmup":       {s, 9, 1.8},
		"the peak":                      {s, 10, 2},
		"a quarter of the decay":        {s, 35, 1 + math.Sqrt2/2},
		"half of the decay":             {s, 60, 1},
		"the last step":                 {s, 109, 1 + math.Cos(math.Pi*0.99)},
		"after the end":                 {s, 110, 0},
		"without warmup, at the peak":   {Schedule{Peak: 0.1, TotalSteps: 4}, 0, 0.1},
		"without warmup, halfway":       {Schedule{Peak: 0.1, TotalSteps: 4}, 2, 0.05},
		"warmup as long as the stage":   {Schedule{Peak: 1, WarmupSteps: 4, TotalSteps: 4}, 3, 0.75},
		"after warmup of a whole stage": {Schedule{Peak: 1, WarmupSteps: 4, TotalSteps: 4}, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.s.Rate(tc.step); math.Abs(got-tc.want) > 1e-12 {
				t.Errorf("rate %v, want %v", got, tc.want)
			}
		})
	}
}
