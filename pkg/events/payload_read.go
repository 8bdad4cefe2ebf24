package events

import (
	"encoding/json"
	"errors"
	"reflect"
)

// PayloadOf reads e's data as P, the payload struct of e's type, and validates
// it. The error is a [FieldError].
func PayloadOf[P any, PP interface {
	*P
	Payload
}](e Event) (*P, error) {
	p := new(P)
	if err := json.Unmarshal(e.Data, p); err != nil {
		return nil, dataError(err)
	}
	return p, checkPayload(e.Type, PP(p))
}

func dataError(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fieldErrorf("data."+typ.Field, "must be %s, is %s", typ.Type, typ.Value)
	}
	return fieldErrorf("data", "%v", err)
}

// checkPayload refuses a payload that is not the one its type carries.
func checkPayload(t Type, p Payload) error {
	want, got := reflect.TypeOf(specs[t].Example), reflect.TypeOf(p)
	if want != got {
		return fieldErrorf("data", "%s carries %v, not %v", t, want, got)
	}
	return p.Validate()
}
