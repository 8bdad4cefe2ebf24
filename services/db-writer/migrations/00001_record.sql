-- +goose Up

-- The life of each workflow. Every column is taken from the event with the highest seq that speaks of
-- it, which the *_seq columns guard: events may be stored in any order.
CREATE TABLE workflows (
    id           text        PRIMARY KEY,
    name         text,
    state        text        NOT NULL DEFAULT 'created'
                 CHECK (state IN ('created', 'running', 'completed', 'failed', 'cancelled')),
    stage        text,
    percent      smallint    NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    attempt      bigint,
    message      text,
    code         text,
    reason       text,
    artifacts    jsonb,
    created_at   timestamptz,
    started_at   timestamptz,
    finished_at  timestamptz,
    state_seq    bigint      NOT NULL DEFAULT 0,
    stage_seq    bigint      NOT NULL DEFAULT 0,
    progress_seq bigint      NOT NULL DEFAULT 0,
    last_seq     bigint      NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX workflows_by_creation ON workflows (created_at DESC, id);
CREATE INDEX workflows_unfinished ON workflows (updated_at) WHERE finished_at IS NULL;

COMMENT ON TABLE workflows IS 'One row per workflow: where it stands, as far as its stored events say.';
COMMENT ON COLUMN workflows.id IS 'workflow_id of the events, 1 to 128 characters.';
COMMENT ON COLUMN workflows.name IS 'The user''s name for it; null until workflow.created was stored.';
COMMENT ON COLUMN workflows.state IS 'created, running, completed, failed or cancelled.';
COMMENT ON COLUMN workflows.stage IS 'The stage at work, or the one it ended in.';
COMMENT ON COLUMN workflows.percent IS 'Progress of the whole workflow, 0 to 100.';
COMMENT ON COLUMN workflows.attempt IS 'Which try of the stage is at work, from 1; null when not told.';
COMMENT ON COLUMN workflows.message IS 'What is happening, for a person; from the latest progress.';
COMMENT ON COLUMN workflows.code IS 'Kind of failure, e.g. tests_failed; null unless failed.';
COMMENT ON COLUMN workflows.reason IS 'Why it failed or was cancelled and what to do, for a person.';
COMMENT ON COLUMN workflows.artifacts IS 'What a completed workflow handed on: array of name, url, sha256, size, media_type.';
COMMENT ON COLUMN workflows.created_at IS 'Time of workflow.created, by the producer''s clock; null until it was stored.';
COMMENT ON COLUMN workflows.started_at IS 'Time of workflow.started, by the producer''s clock.';
COMMENT ON COLUMN workflows.finished_at IS 'Time of workflow.completed, failed or cancelled; null while it runs.';
COMMENT ON COLUMN workflows.state_seq IS 'seq of the event that state, code, reason, artifacts and finished_at are from; guards them.';
COMMENT ON COLUMN workflows.stage_seq IS 'seq of the event that stage is from; guards it.';
COMMENT ON COLUMN workflows.progress_seq IS 'seq of the event that percent, attempt and message are from; guards them.';
COMMENT ON COLUMN workflows.last_seq IS 'Highest seq of the workflow''s stored events.';
COMMENT ON COLUMN workflows.updated_at IS 'When this row last changed, by the database''s clock.';

-- Every event the writer's group reads. No foreign key to workflows: events may arrive before the
-- event that creates their workflow, and a foreign producer may never send that one.
CREATE TABLE workflow_updates (
    event_id     uuid        PRIMARY KEY,
    workflow_id  text        NOT NULL,
    seq          bigint      NOT NULL,
    type         text        NOT NULL,
    source_agent text        NOT NULL,
    occurred_at  timestamptz NOT NULL,
    data         jsonb       NOT NULL,
    metadata     jsonb,
    extra        jsonb,
    stored_at    timestamptz NOT NULL DEFAULT now()
);

-- Not unique: an event id sent again after the bus has forgotten it, or a workflow id used again after
-- Redis was lost, must not stop the writer.
CREATE INDEX workflow_updates_by_workflow ON workflow_updates (workflow_id, seq);
-- A brin index costs a page per megabytes of rows: rows are stored nearly in order of time.
CREATE INDEX workflow_updates_by_time ON workflow_updates USING brin (stored_at);

COMMENT ON TABLE workflow_updates IS 'Every stored event, once: workflow.* and the ends of stages.';
COMMENT ON COLUMN workflow_updates.event_id IS 'id of the event; what makes a second delivery harmless.';
COMMENT ON COLUMN workflow_updates.workflow_id IS 'The workflow it belongs to.';
COMMENT ON COLUMN workflow_updates.seq IS 'Its number among all events of the workflow, from 1. Numbers are missing here where the event is of a type that is not stored.';
COMMENT ON COLUMN workflow_updates.type IS 'Event type as on the wire, e.g. workflow.progressed.';
COMMENT ON COLUMN workflow_updates.source_agent IS 'Who says so.';
COMMENT ON COLUMN workflow_updates.occurred_at IS 'The event''s timestamp, by the producer''s clock.';
COMMENT ON COLUMN workflow_updates.data IS 'Its payload.';
COMMENT ON COLUMN workflow_updates.metadata IS 'Its metadata, e.g. traceparent; null when it has none.';
COMMENT ON COLUMN workflow_updates.extra IS 'Fields of the envelope this version does not know; null when there are none.';
COMMENT ON COLUMN workflow_updates.stored_at IS 'When it was stored, by the database''s clock.';

CREATE TABLE stage_results (
    workflow_id    text        NOT NULL,
    stage          text        NOT NULL,
    attempt        bigint      NOT NULL,
    outcome        text        NOT NULL CHECK (outcome IN ('completed', 'failed')),
    code           text,
    reason         text,
    retryable      boolean     NOT NULL DEFAULT false,
    duration_ms    bigint      NOT NULL,
    summary        jsonb,
    artifacts      jsonb,
    correlation_id uuid        NOT NULL,
    source_agent   text        NOT NULL,
    finished_at    timestamptz NOT NULL,
    seq            bigint      NOT NULL,
    PRIMARY KEY (workflow_id, stage, attempt)
);

COMMENT ON TABLE stage_results IS 'How each try of each stage ended.';
COMMENT ON COLUMN stage_results.workflow_id IS 'The workflow it belongs to.';
COMMENT ON COLUMN stage_results.stage IS 'generation, audit, testing or deployment.';
COMMENT ON COLUMN stage_results.attempt IS 'Which try of the stage, from 1.';
COMMENT ON COLUMN stage_results.outcome IS 'completed (a deployment: confirmed by its health check) or failed.';
COMMENT ON COLUMN stage_results.code IS 'Kind of failure; null when completed.';
COMMENT ON COLUMN stage_results.reason IS 'What went wrong and what to do; null when completed.';
COMMENT ON COLUMN stage_results.retryable IS 'The agent thinks another try may succeed.';
COMMENT ON COLUMN stage_results.duration_ms IS 'Milliseconds the work took, as the agent measured.';
COMMENT ON COLUMN stage_results.summary IS 'The tool''s own figures, e.g. passed, failed, coverage.';
COMMENT ON COLUMN stage_results.artifacts IS 'What the stage handed on: array of name, url, sha256, size, media_type.';
COMMENT ON COLUMN stage_results.correlation_id IS 'The request that was served.';
COMMENT ON COLUMN stage_results.source_agent IS 'The agent that did the work.';
COMMENT ON COLUMN stage_results.finished_at IS 'The event''s timestamp, by the producer''s clock.';
COMMENT ON COLUMN stage_results.seq IS 'seq of the event the row is from; an older one never overwrites it.';
