package coordinator

import (
	"encoding/json"
	"time"
)

// Workflow is a workflow as the API shows it; its OpenAPI document explains the fields.
type Workflow struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	State      string     `json:"state"`
	Percent    int        `json:"percent"`
	Stage      string     `json:"stage"`
	Code       string     `json:"code,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Stages     []Stage    `json:"stages"`
}

// Stage is one stage of it.
type Stage struct {
	Name       string          `json:"name"`
	State      string          `json:"state"`
	Percent    int             `json:"percent"`
	Attempt    int             `json:"attempt,omitempty"`
	Message    string          `json:"message,omitempty"`
	Code       string          `json:"code,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	StartedAt  *time.Time      `json:"started_at,omitempty"`
	FinishedAt *time.Time      `json:"finished_at,omitempty"`
	Summary    json.RawMessage `json:"summary,omitempty"`
	Artifacts  []Artifact      `json:"artifacts,omitempty"`
}

// Artifact is what a stage handed on.
type Artifact struct {
	Name      string `json:"name"`
	URL       string `json:"url"`
	SHA256    string `json:"sha256"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type,omitempty"`
}

// Final reports whether nothing more will happen to the workflow.
func (w *Workflow) Final() bool {
	return w.State == "completed" || w.State == "failed" || w.State == "cancelled"
}

// StageOf returns the stage of that name, nil when there is none.
func (w *Workflow) StageOf(name string) *Stage {
	for i := range w.Stages {
		if w.Stages[i].Name == name {
			return &w.Stages[i]
		}
	}
	return nil
}
