package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"agentbus/pkg/agent"
)

// parameter describes one value that a template takes.
type parameter struct {
	Type        string      `json:"type"` // string or integer
	Description string      `json:"description"`
	Default     any         `json:"default"`
	DefaultFrom string      `json:"default_from"` // another parameter, whose value is taken
	Pattern     string      `json:"pattern"`
	Expects     string      `json:"expects"`    // the pattern, in words
	MaxLength   int         `json:"max_length"` // characters
	Minimum     json.Number `json:"minimum"`
	Maximum     json.Number `json:"maximum"`

	pattern *regexp.Regexp
	min     int64
	max     int64
}

// compile checks the description itself.
func (p *parameter) compile() (err error) {
	if p.Pattern != "" {
		if p.pattern, err = regexp.Compile(p.Pattern); err != nil {
			return err
		}
	}
	switch p.Type {
	case "string":
	case "integer":
		if p.min, err = p.Minimum.Int64(); err != nil {
			return fmt.Errorf("minimum: %w", err)
		}
		if p.max, err = p.Maximum.Int64(); err != nil {
			return fmt.Errorf("maximum: %w", err)
		}
	default:
		return fmt.Errorf("type %q is neither string nor integer", p.Type)
	}
	if p.DefaultFrom == "" {
		if _, problem := p.check(p.Default); problem != "" {
			return fmt.Errorf("default: %s", problem)
		}
	}
	return nil
}

// check returns the value as the template wants it, or what is wrong with it.
func (p *parameter) check(v any) (value any, problem string) {
	if p.Type == "integer" {
		n, ok := v.(json.Number)
		i, err := n.Int64()
		if !ok || err != nil || i < p.min || i > p.max {
			return nil, fmt.Sprintf("must be a whole number from %d to %d, is %s", p.min, p.max, show(v))
		}
		return i, ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		return nil, fmt.Sprintf("must be a string, is %s", show(v))
	case p.pattern != nil && !p.pattern.MatchString(s):
		return nil, fmt.Sprintf("must be %s (%s), is %s", p.Expects, p.Pattern, show(v))
	case p.MaxLength > 0 && utf8.RuneCountInString(s) > p.MaxLength:
		return nil, fmt.Sprintf("must have at most %d characters, has %d", p.MaxLength, utf8.RuneCountInString(s))
	}
	return s, ""
}

// values fills in what was given and the defaults of the rest.
func (t *projectTemplate) values(given map[string]any) (map[string]any, error) {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := t.Parameters[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("there is no parameter %q, there are %s, template and files", name,
				strings.Join(slices.Sorted(maps.Keys(t.Parameters)), ", ")))
		}
	}
	values := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		p := t.Parameters[name]
		v, ok := given[name]
		if !ok && p.DefaultFrom != "" {
			p = t.Parameters[p.DefaultFrom]
			v, ok = given[t.Parameters[name].DefaultFrom]
		}
		if !ok {
			v = p.Default
		}
		value, problem := p.check(v)
		if problem != "" {
			wrong = append(wrong, name+" "+problem)
		}
		values[name] = value
	}
	if len(wrong) > 0 {
		return nil, &agent.Failure{Code: agent.CodeBadParameters, Reason: strings.Join(wrong, "; ")}
	}
	return values, nil
}

// show is a value for a message, shortened.
func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "something else"
	}
	if len(text) > 60 {
		return agent.Clean(string(text[:60])) + "..."
	}
	return string(text)
}
