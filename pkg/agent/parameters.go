package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Decode reads the stage's parameters into into, a pointer to a struct with json
// tags that holds the defaults. A parameter that is not there, or of another type,
// is a [*Failure] that names it and the ones that are.
func (t Task) Decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(t.Parameters))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("something follows the object")
	}
	problem := err.Error()
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typ) && typ.Field == "":
		problem = fmt.Sprintf("they must be an object, not %s", article(typ.Value))
	case errors.As(err, &typ):
		problem = fmt.Sprintf("%s must be of type %s, not %s", typ.Field, typ.Type, article(typ.Value))
	case strings.HasPrefix(problem, "json: unknown field "):
		problem = "there is no parameter " + strings.TrimPrefix(problem, "json: unknown field ")
	}
	known, _ := json.Marshal(into)
	return failf(CodeBadParameters, "the parameters of the %s stage are wrong: %s; with the defaults they are %s", t.Stage, problem, known)
}

func article(kind string) string {
	if strings.HasPrefix(kind, "a") || strings.HasPrefix(kind, "o") {
		return "an " + kind
	}
	return "a " + kind
}
