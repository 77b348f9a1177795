package controllers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestParseTermination(t *testing.T) {
	good := contract.TerminationMessage{
		Stage: "half", Results: &v1alpha1.Results{Finetune: []v1alpha1.FinetuneResult{{Name: "half", Top1: "99.5"}}},
		EncoderSHA256: strings.Repeat("0a", 32), Warnings: []string{"damaged\ncheckpoint"},
	}
	changed := func(change func(*contract.TerminationMessage)) string {
		m := good
		change(&m)
		return wrap.Message(m)
	}
	for name, tc := range map[string]struct {
		raw     string
		exit    int32
		wantErr string
	}{
		"good":            {raw: wrap.Message(good)},
		"older attempt":   {raw: changed(func(m *contract.TerminationMessage) { m.Attempt = 1 })},
		"empty":           {wantErr: "empty"},
		"a log":           {raw: "panic: x", wantErr: "not the contract's JSON"},
		"too long":        {raw: strings.Repeat(" ", 2049), wantErr: "2049 bytes"},
		"other schema":    {raw: `{"schemaVersion":2,"stage":"half"}`, wantErr: "schemaVersion 2"},
		"other exit code": {raw: wrap.Message(good), exit: 1, wantErr: "exit code 0"},
		"negative step":   {raw: changed(func(m *contract.TerminationMessage) { m.Step = -1 }), wantErr: "negative"},
		"no digest":       {raw: changed(func(m *contract.TerminationMessage) { m.EncoderSHA256 = "x" }), wantErr: "not a SHA-256"},
		"not a percentage": {
			raw:     changed(func(m *contract.TerminationMessage) { m.Results = &v1alpha1.Results{KNNTop1: "140.00"} }),
			wantErr: "knnTop1",
		},
		"markup for a percentage": {
			raw:     changed(func(m *contract.TerminationMessage) { m.Results = &v1alpha1.Results{LinearTop1: "<b>"} }),
			wantErr: "linearTop1",
		},
		"results of another stage": {
			raw: changed(func(m *contract.TerminationMessage) {
				m.Results = &v1alpha1.Results{Finetune: []v1alpha1.FinetuneResult{{Name: "other"}}}
			}),
			wantErr: `of stage "other"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parseTermination(tc.raw, "half", tc.exit)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"damaged checkpoint"}, m.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for name, tc := range map[string]struct {
		in, want string
		limit    int
	}{
		"one line":        {"a\r\n\tb\x00c", "a b c", 64},
		"invalid UTF-8":   {"a\xffb", "a b", 64},
		"cut at a rune":   {"ééééé", "éé…", 8},
		"short as it was": {"ok", "ok", 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := clean(tc.in, tc.limit); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
