// Package validation checks a SimCLRRun as the API server does, without one: by the schema and the CEL
// rules of the CustomResourceDefinition itself, so that messages are the same. Rules on changes are left
// out, since a file has no older version.
package validation

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/config/crd"
)

// rules of the CustomResourceDefinition, compiled.
type rules struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	cel        *cel.Validator
}

// compiled once, since compiling takes a tenth of a second; an error is a broken build.
var compiled = sync.OnceValues(compile)

func compile() (*rules, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(crd.SimCLRRuns, &definition); err != nil {
		return nil, err
	}
	for _, version := range definition.Spec.Versions {
		if version.Name != v1alpha1.GroupVersion.Version {
			continue
		}
		var internal apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &internal, nil); err != nil {
			return nil, err
		}
		structural, err := schema.NewStructural(&internal)
		if err != nil {
			return nil, err
		}
		validator, _, err := validation.NewSchemaValidator(&internal)
		if err != nil {
			return nil, err
		}
		return &rules{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
	}
	return nil, fmt.Errorf("the CustomResourceDefinition has no version %s", v1alpha1.GroupVersion.Version)
}

// Load reads a run and checks it as the API server does: an unknown or doubled field is an error too. The
// result has the schema's defaults; v1alpha1.Resolve gives it the others. An error says all that is wrong,
// each with its field and the fix.
func Load(text []byte) (*v1alpha1.SimCLRRun, error) {
	object := map[string]any{}
	if err := yaml.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("not a SimCLRRun: %w", err)
	}
	if want := v1alpha1.GroupVersion.String(); object["apiVersion"] != want || object["kind"] != "SimCLRRun" {
		return nil, fmt.Errorf("apiVersion and kind are %v and %v: set them to %s and SimCLRRun", object["apiVersion"], object["kind"], want)
	}
	if errs := validate(object); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	var run v1alpha1.SimCLRRun
	if err := yaml.UnmarshalStrict(text, &run); err != nil {
		if _, name, unknown := strings.Cut(err.Error(), "unknown field "); unknown { // behind three packages' words
			return nil, fmt.Errorf("unknown field %s: correct its name, or remove it", name)
		}
		return nil, fmt.Errorf("not a SimCLRRun: %w", err)
	}
	v1alpha1.SetDefaults(&run)
	return &run, nil
}

// Validate says all that is wrong with a run, each with its field and the fix. It does not change the
// run. A zero is a field that is not set; Load sees the difference.
func Validate(run *v1alpha1.SimCLRRun) field.ErrorList {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(run.DeepCopy())
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	return validate(object)
}

// validate a run as JSON, which is defaulted.
func validate(object map[string]any) field.ErrorList {
	r, err := compiled()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	if _, isObject := object["metadata"].(map[string]any); !isObject {
		return field.ErrorList{field.Required(field.NewPath("metadata", "name"), "name the run")}
	}
	delete(object, "status")
	integers(object)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, r.structural)
	defaulting.Default(object, r.structural)
	errs := validation.ValidateCustomResource(nil, object, r.schema)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, r.structural, object)...)
	if len(errs) > 0 {
		return errs // a rule may not be asked about a value that its schema forbids
	}
	errs, _ = r.cel.Validate(context.Background(), nil, r.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return errs
}

// integers turns whole numbers, which plain JSON reads as floats, into integers, as the API server's
// decoder does.
func integers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, e := range v {
			v[key] = integers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = integers(e)
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	}
	return value
}
