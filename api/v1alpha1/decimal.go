package v1alpha1

import (
	"fmt"
	"strconv"
)

// Decimal is a number as a string, such as "0.25" or "1e-4": the Kubernetes API conventions forbid
// floats.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?(e-?[0-9]{1,2})?$`
type Decimal string

// Float is the number. An error names the string.
func (d Decimal) Float() (float64, error) {
	v, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a decimal number such as \"0.25\"", string(d))
	}
	return v, nil
}

// MustFloat is the number of a decimal that the API server or Resolve has validated; it panics on any
// other.
func (d Decimal) MustFloat() float64 {
	v, err := d.Float()
	if err != nil {
		panic(err)
	}
	return v
}
