package stage

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Where and when a run is placed, on how many workers, with which credentials, how often it saves and how often it is tried again may change without
// another result. Everything else of a spec, also what is added to it one day, changes the hash.
var notHashed = map[string]bool{
	"Accelerator": true, "Checkpoint": true, "Output": true, "RestartPolicy": true, "Template": true, "Suspend": true, "Workers": true,
}

// notHashedOfData are the fields of a dataset that are not hashed.
var notHashedOfData = []string{".Credentials", ".CABundle"}

func TestConfigHash(t *testing.T) {
	run := resolved(t, func(s *v1alpha1.SimCLRRunSpec) {
		s.Evaluation = &v1alpha1.EvaluationSpec{Dataset: v1alpha1.DatasetSpec{Name: "cifar-10"}}
		s.Pretraining.From = &v1alpha1.EncoderSource{URI: "pvc://claim/encoder"}
		s.Finetuning = []v1alpha1.FinetuningSpec{{Name: "few", LabelFraction: "0.1", BatchSize: new(int32(8))}, {Name: "list", LabelSubset: &v1alpha1.LabelSubset{File: "list.txt"}, Epochs: new(int32(1))}}
	})
	hash := func() string {
		t.Helper()
		h, err := ConfigHash(&run.Spec)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	before := hash()
	fields, changed := 0, map[string]bool{}
	eachChange(reflect.ValueOf(&run.Spec).Elem(), "", func(path string) {
		fields++
		top, _, _ := strings.Cut(strings.Split(path, ".")[1], "[")
		changed[top] = true
		left := notHashed[top] || slices.ContainsFunc(notHashedOfData, func(field string) bool { return strings.Contains(path, "Dataset"+field) })
		if differs := hash() != before; differs == left {
			t.Errorf("spec%s: changes the hash: %v", path, differs)
		}
	})
	if hash() != before {
		t.Error("the hash is another one of the same spec")
	}
	if all := reflect.TypeFor[v1alpha1.SimCLRRunSpec]().NumField(); len(changed) != all || fields < 80 {
		t.Errorf("%d fields in %d of the spec's %d parts were changed", fields, len(changed), all)
	}
}

// eachChange changes one field after the other, tells it, and changes it back.
func eachChange(v reflect.Value, path string, told func(path string)) {
	change := func(to reflect.Value) {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		v.Set(to)
		told(path)
		v.Set(old)
	}
	to := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				eachChange(v.Field(i), path+"."+f.Name, told)
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			change(reflect.New(v.Type().Elem()))
		} else {
			eachChange(v.Elem(), path, told)
		}
	case reflect.Slice:
		change(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
		if v.Len() > 0 {
			eachChange(v.Index(0), path+"[0]", told)
		}
	case reflect.Map:
		to.Set(reflect.MakeMap(v.Type()))
		to.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
		change(to)
	case reflect.String:
		to.SetString(v.String() + "1")
		change(to)
	case reflect.Int32, reflect.Int64:
		to.SetInt(v.Int() + 1)
		change(to)
	case reflect.Bool:
		to.SetBool(!v.Bool())
		change(to)
	default:
		panic("no change of " + path + ", a " + v.Kind().String())
	}
}
