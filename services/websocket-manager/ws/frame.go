package ws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Protocol is the version in the hello frame; see PROTOCOL.md. It grows when a client of the older one
// would misread a frame; new frames and fields do not count, clients ignore what they do not know.
const Protocol = 1

// Codes of error frames: the connection stays open.
const (
	errBadRequest = "bad_request" // a field is missing or wrong; message names it
	errNotFound   = "not_found"   // no such workflow, or of another tenant; do not ask again
	errTooMany    = "too_many"    // subscriptions on one connection
	errUpstream   = "unavailable" // Redis does not answer; try again a little later
)

type helloFrame struct {
	Type     string `json:"type"` // hello
	Protocol int    `json:"protocol"`
	Server   string `json:"server"` // which replica
}

// leavingFrame comes before a close with 1001.
type leavingFrame struct {
	Type    string `json:"type"`     // leaving
	AfterMS int64  `json:"after_ms"` // when to connect again: spread, so that not all come at once
}

type subscribedFrame struct {
	Type       string `json:"type"` // subscribed
	WorkflowID string `json:"workflow_id,omitempty"`
	List       bool   `json:"list,omitempty"`
	Since      int64  `json:"since"`
	Reset      bool   `json:"reset,omitempty"`
}

type unsubscribedFrame struct {
	Type       string `json:"type"` // unsubscribed
	WorkflowID string `json:"workflow_id,omitempty"`
	List       bool   `json:"list,omitempty"`
}

type liveFrame struct {
	Type       string `json:"type"` // live
	WorkflowID string `json:"workflow_id"`
	Seq        int64  `json:"seq"`
}

type gapFrame struct {
	Type       string `json:"type"` // gap
	WorkflowID string `json:"workflow_id"`
	From       int64  `json:"from"`
	To         int64  `json:"to"`
}

type rowsFrame struct {
	Type     string            `json:"type"` // rows
	Snapshot bool              `json:"snapshot,omitempty"`
	Rows     []json.RawMessage `json:"rows"`
}

type errorFrame struct {
	Type       string `json:"type"` // error
	Code       string `json:"code"`
	Message    string `json:"message"`
	WorkflowID string `json:"workflow_id,omitempty"`
}

// request is what a client may send.
type request struct {
	Type       string `json:"type"` // subscribe or unsubscribe
	WorkflowID string `json:"workflow_id"`
	Since      int64  `json:"since"`
	List       bool   `json:"list"`
}

// parseRequest reads a client's frame; the error says what would be right.
func parseRequest(raw []byte) (request, error) {
	var r request
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("must be one JSON object with type, workflow_id, since, list: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("must be one JSON object, nothing after it")
	}
	if r.Type != "subscribe" && r.Type != "unsubscribe" {
		return r, fmt.Errorf("type: %.40q is neither subscribe nor unsubscribe", r.Type)
	}
	return r, r.validate()
}

func (r request) validate() error {
	switch {
	case r.List && r.WorkflowID != "":
		return errors.New("workflow_id and list: give one of them")
	case r.List:
		return nil
	case r.Since < 0:
		return fmt.Errorf("since: is %d; 0 for all, or the last number seen", r.Since)
	}
	return checkWorkflowID(r.WorkflowID)
}

func checkWorkflowID(id string) error {
	const most = 128
	switch {
	case id == "":
		return errors.New("workflow_id: is missing; 1 to 128 of A-Z a-z 0-9 . _ -, or list: true")
	case len(id) > most:
		return fmt.Errorf("workflow_id: has %d characters; at most %d", len(id), most)
	case strings.Trim(id, ".") == "", strings.ContainsFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	}):
		return fmt.Errorf("workflow_id: %.60q is not made of A-Z a-z 0-9 . _ -", id)
	}
	return nil
}
