-- Stores how tries of stages ended; an older event never overwrites a newer one. One row per try; the
-- caller sorts them, so that two replicas lock in the same order.
INSERT INTO stage_results AS s (workflow_id, stage, attempt, outcome, code, reason, retryable, duration_ms,
    summary, artifacts, correlation_id, source_agent, finished_at, seq)
SELECT workflow_id, stage, attempt, outcome, code, reason, retryable, duration_ms,
    summary::jsonb, artifacts::jsonb, correlation_id, source_agent, finished_at, seq
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::bigint[],
    $9::text[], $10::text[], $11::uuid[], $12::text[], $13::timestamptz[], $14::bigint[])
  AS n (workflow_id, stage, attempt, outcome, code, reason, retryable, duration_ms,
    summary, artifacts, correlation_id, source_agent, finished_at, seq)
ON CONFLICT (workflow_id, stage, attempt) DO UPDATE SET
    (outcome, code, reason, retryable, duration_ms, summary, artifacts, correlation_id, source_agent, finished_at, seq) =
    (excluded.outcome, excluded.code, excluded.reason, excluded.retryable, excluded.duration_ms, excluded.summary,
     excluded.artifacts, excluded.correlation_id, excluded.source_agent, excluded.finished_at, excluded.seq)
WHERE excluded.seq > s.seq
