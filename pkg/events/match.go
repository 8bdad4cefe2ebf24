package events

import (
	"slices"
	"strings"
)

// ParseType reads a type in its wire form or as its constant's name
// (WORKFLOW_STARTED). What is neither comes back as it is, for the error text.
func ParseType(s string) Type {
	if _, ok := specs[Type(s)]; ok {
		return Type(s)
	}
	if t := Type(strings.ToLower(strings.Replace(s, "_", ".", 1))); t.Name() == s {
		return t
	}
	return Type(s)
}

// Match expands patterns such as "workflow.*", "*.failed", "*" or a plain type
// to the catalogue's types, in catalogue order, each once. Redis reads no globs,
// so every pattern is expanded here. A pattern that matches nothing is an error.
func Match(patterns ...string) ([]Type, error) {
	var out []Type
	for _, p := range patterns {
		found := false
		for _, spec := range catalogue {
			if !matches(p, string(spec.Type)) {
				continue
			}
			found = true
			if !slices.Contains(out, spec.Type) {
				out = append(out, spec.Type)
			}
		}
		if !found {
			return nil, fieldErrorf("type", "pattern %q matches no event type; known are %s", clip(p), knownTypes())
		}
	}
	slices.SortFunc(out, func(a, b Type) int { return specs[a].index - specs[b].index })
	return out, nil
}

// matches compares part by part; "*" alone stands for everything.
func matches(pattern, typ string) bool {
	if pattern == "*" || pattern == typ || ParseType(pattern) == Type(typ) {
		return true
	}
	pa, pb, ok := strings.Cut(pattern, ".")
	ta, tb, _ := strings.Cut(typ, ".")
	return ok && (pa == "*" || pa == ta) && (pb == "*" || pb == tb)
}

func knownTypes() string {
	names := make([]string, len(catalogue))
	for i, s := range catalogue {
		names[i] = string(s.Type)
	}
	return strings.Join(names, ", ")
}
