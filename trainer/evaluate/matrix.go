// Package evaluate says how good an encoder is: nearest neighbours, linear evaluation and finetuning.
package evaluate

import "fmt"

// Matrix is row-major; features have an image a row, logits too.
type Matrix struct {
	Rows, Columns int
	Data          []float32
}

// Row i, not a copy.
func (m Matrix) Row(i int) []float32 { return m.Data[i*m.Columns : (i+1)*m.Columns] }

// check that a matrix is whole and labels, where there must be any, are class ids below classes.
func (m Matrix) check(labels []int, classes int) error {
	if m.Rows < 1 || m.Columns < 1 || len(m.Data) != m.Rows*m.Columns {
		return fmt.Errorf("a matrix of %d rows and %d columns has %d values", m.Rows, m.Columns, len(m.Data))
	}
	if len(labels) != m.Rows {
		return fmt.Errorf("%d labels for %d rows", len(labels), m.Rows)
	}
	for i, l := range labels {
		if l < 0 || l >= classes {
			return fmt.Errorf("row %d has the label %d: class ids are 0 to %d", i, l, classes-1)
		}
	}
	return nil
}
