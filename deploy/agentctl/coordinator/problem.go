package coordinator

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// Problem is an answer of the coordinator that says no (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"` // the field, such as body.name
		Message  string `json:"message"`
		Value    any    `json:"value"`
	} `json:"errors"`
}

// Error gives one line for the whole and one more for each field.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the coordinator refused this with %d %s", p.Status, p.Title)
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	for _, e := range p.Errors {
		b.WriteString("\n  ")
		if e.Location != "" {
			fmt.Fprintf(&b, "%s: ", e.Location)
		}
		b.WriteString(e.Message)
		if value, err := json.Marshal(e.Value); err == nil && e.Value != nil && len(value) <= 60 {
			fmt.Fprintf(&b, " (is %s)", value)
		}
	}
	return b.String()
}

func problemOf(response *http.Response, body []byte, token string) error {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, p) != nil {
		p.Detail = strings.TrimSpace(string(body))
	}
	p.hide(token)
	p.Detail = p.Detail[:min(len(p.Detail), 500)] // after: a part of a token says too much as well
	p.Status = response.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	return p
}

// hide takes the token out: whoever answers may repeat what was sent.
func (p *Problem) hide(token string) {
	if token == "" {
		return
	}
	const instead = "[token]"
	for _, text := range []*string{&p.Title, &p.Detail} {
		*text = strings.ReplaceAll(*text, token, instead)
	}
	for i := range p.Errors {
		e := &p.Errors[i]
		e.Location, e.Message = strings.ReplaceAll(e.Location, token, instead), strings.ReplaceAll(e.Message, token, instead)
		if strings.Contains(fmt.Sprint(e.Value), token) {
			e.Value = instead
		}
	}
}
