// Package optimizer has the learning-rate schedules and the updates of LARS and SGD as graph nodes.
package optimizer

import "math"

// Schedule is the learning rate of a stage: linear warmup from 0 over WarmupSteps, then cosine decay to
// 0 at TotalSteps (paper section 2.3; google-research/simclr model_util.py).
type Schedule struct {
	Peak        float64
	WarmupSteps int64
	TotalSteps  int64
}

// Rate is the learning rate of a step, counted from 0.
func (s Schedule) Rate(step int64) float64 {
	if step < s.WarmupSteps {
		return s.Peak * float64(step) / float64(s.WarmupSteps)
	}
	if step >= s.TotalSteps {
		return 0
	}
	done := float64(step-s.WarmupSteps) / float64(s.TotalSteps-s.WarmupSteps)
	return s.Peak * 0.5 * (1 + math.Cos(math.Pi*done))
}
