package main

import "time"

// workflowView is a workflow as the API shows it.
type workflowView struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Tenant     string      `json:"tenant" doc:"Whom it belongs to"`
	CreatedBy  string      `json:"created_by" doc:"Subject of the token it was created with"`
	State      State       `json:"state" enum:"running,completed,failed,cancelled"`
	Percent    int         `json:"percent" minimum:"0" maximum:"100" doc:"Of the whole workflow"`
	Stage      string      `json:"stage" doc:"The stage at work, or at which it ended"`
	Code       string      `json:"code,omitempty" doc:"Why it failed or was cancelled: the kind"`
	Reason     string      `json:"reason,omitempty" doc:"Why it failed or was cancelled, and what to do"`
	CreatedAt  time.Time   `json:"created_at"`
	UpdatedAt  time.Time   `json:"updated_at"`
	FinishedAt *time.Time  `json:"finished_at,omitempty"`
	Stages     []stageView `json:"stages"`
}

type stageView struct {
	Name       string         `json:"name"`
	State      string         `json:"state" enum:"pending,running,completed,failed,cancelled"`
	Percent    int            `json:"percent"`
	Attempt    int            `json:"attempt,omitempty" doc:"Which try this is, from 1"`
	Message    string         `json:"message,omitempty"`
	Code       string         `json:"code,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	StartedAt  *time.Time     `json:"started_at,omitempty" doc:"When an agent took this try"`
	FinishedAt *time.Time     `json:"finished_at,omitempty"`
	Summary    any            `json:"summary,omitempty" doc:"The tool's own figures"`
	Artifacts  []artifactView `json:"artifacts,omitempty"`
}

type artifactView struct {
	Name      string `json:"name"`
	URL       string `json:"url"`
	SHA256    string `json:"sha256"`
	Size      int64  `json:"size" doc:"Bytes"`
	MediaType string `json:"media_type,omitempty"`
}

func viewOf(w *workflow) workflowView {
	v := workflowView{ID: w.ID, Name: w.Name, Tenant: w.Tenant, CreatedBy: w.CreatedBy, State: w.State, Percent: w.percent(), Stage: string(w.stage().Name), Code: w.Code,
		Reason: w.Reason, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, FinishedAt: w.FinishedAt}
	for _, s := range w.Stages {
		sv := stageView{Name: string(s.Name), State: string(s.State), Percent: s.Percent, Attempt: s.Attempt, Message: s.Message,
			Code: s.Code, Reason: s.Reason, StartedAt: s.AcceptedAt, FinishedAt: s.FinishedAt}
		if sv.State == "" {
			sv.State = "pending"
		}
		if len(s.Summary) > 0 {
			sv.Summary = s.Summary
		}
		for _, a := range s.Artifacts {
			sv.Artifacts = append(sv.Artifacts, artifactView(a))
		}
		v.Stages = append(v.Stages, sv)
	}
	return v
}
