package pretrain

import (
	"slices"

	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// The rows of a batch of views are all first views, then all second: of a micro-batch, of a worker's
// micro-batches, of all workers. NT-Xent finds positives by that order, image by image; where batch norm has several groups,
// their second views are of other images than their first (plan.SecondView), so that rows are matched before and dealt out
// after it.

// byView orders the rows of parts, of the same length, so: the first views of all, then the second. One
// part's are.
func byView(parts [][]float32) []float32 {
	if len(parts) == 1 {
		return parts[0]
	}
	half := len(parts[0]) / 2
	all := make([]float32, 0, 2*half*len(parts))
	for view := range 2 {
		for _, p := range parts {
			all = append(all, p[view*half:(view+1)*half]...)
		}
	}
	return all
}

// part is one of so many parts that byView has ordered.
func part(all []float32, at, of int) []float32 {
	if of == 1 {
		return all
	}
	half := len(all) / 2
	n := half / of
	first := at * n
	return append(append(make([]float32, 0, 2*n), all[first:first+n]...), all[half+first:half+first+n]...)
}

// place of a second view's row.
type place struct{ inGroups, inImages int }

// secondViews are the places of everybody's second views, of so many values each, in values.
func secondViews(rows []float32, groups, width int) []place {
	images := len(rows) / width / 2
	size := images / groups
	all := make([]place, 0, images)
	for group := range groups {
		for at := range size {
			all = append(all, place{width * (images + group*size + at), width * (images + plan.SecondView(group, at, groups))})
		}
	}
	return all
}

// matched are everybody's rows, of so many values, with second views in the order of images, from that of groups.
func matched(rows []float32, groups, width int) []float32 {
	m := slices.Clone(rows)
	for _, p := range secondViews(rows, groups, width) {
		copy(m[p.inImages:][:width], rows[p.inGroups:])
	}
	return m
}

// dealt are everybody's rows, of so many values, with second views in the order of groups, from that of images.
func dealt(rows []float32, groups, width int) []float32 {
	d := slices.Clone(rows)
	for _, p := range secondViews(rows, groups, width) {
		copy(d[p.inGroups:][:width], rows[p.inImages:])
	}
	return d
}
