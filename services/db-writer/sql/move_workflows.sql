-- Moves workflows forward: each group of columns only when its seq is higher than the one it is from.
-- One row per workflow; the caller sorts them by id, so that two replicas lock in the same order.
INSERT INTO workflows AS w (id, last_seq, name, created_at, started_at,
    state_seq, state, finished_at, code, reason, artifacts,
    stage_seq, stage, progress_seq, percent, attempt, message)
SELECT id, last_seq, name, created_at, started_at,
    state_seq, coalesce(state, 'running'), finished_at, code, reason, artifacts::jsonb,
    stage_seq, stage, progress_seq, percent, attempt, message
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[],
    $6::bigint[], $7::text[], $8::timestamptz[], $9::text[], $10::text[], $11::text[],
    $12::bigint[], $13::text[], $14::bigint[], $15::smallint[], $16::bigint[], $17::text[])
  AS n (id, last_seq, name, created_at, started_at,
    state_seq, state, finished_at, code, reason, artifacts,
    stage_seq, stage, progress_seq, percent, attempt, message)
ON CONFLICT (id) DO UPDATE SET
    last_seq     = greatest(w.last_seq, excluded.last_seq),
    name         = coalesce(excluded.name, w.name),
    created_at   = coalesce(excluded.created_at, w.created_at),
    started_at   = coalesce(excluded.started_at, w.started_at),
    state_seq    = greatest(w.state_seq, excluded.state_seq),
    state        = CASE WHEN excluded.state_seq > w.state_seq THEN excluded.state ELSE w.state END,
    finished_at  = CASE WHEN excluded.state_seq > w.state_seq THEN excluded.finished_at ELSE w.finished_at END,
    code         = CASE WHEN excluded.state_seq > w.state_seq THEN excluded.code ELSE w.code END,
    reason       = CASE WHEN excluded.state_seq > w.state_seq THEN excluded.reason ELSE w.reason END,
    artifacts    = CASE WHEN excluded.state_seq > w.state_seq THEN excluded.artifacts ELSE w.artifacts END,
    stage_seq    = greatest(w.stage_seq, excluded.stage_seq),
    stage        = CASE WHEN excluded.stage_seq > w.stage_seq THEN excluded.stage ELSE w.stage END,
    progress_seq = greatest(w.progress_seq, excluded.progress_seq),
    percent      = CASE WHEN excluded.progress_seq > w.progress_seq THEN excluded.percent ELSE w.percent END,
    attempt      = CASE WHEN excluded.progress_seq > w.progress_seq THEN excluded.attempt ELSE w.attempt END,
    message      = CASE WHEN excluded.progress_seq > w.progress_seq THEN excluded.message ELSE w.message END,
    updated_at   = now()
