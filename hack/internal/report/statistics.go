package report

import "math"

// MeanAndError is the mean and its standard error, s/√n with the unbiased s; one value has none.
func MeanAndError(x []float64) (mean, standardError float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		standardError += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(standardError / max(n-1, 1) / n)
}
