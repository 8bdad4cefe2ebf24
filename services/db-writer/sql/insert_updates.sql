-- Stores a batch of events, one array per column, and returns the ids that were not there before.
-- Runs where COPY has met an event that was there: COPY knows no ON CONFLICT, and through a temporary table
-- it would write everything twice and churn the catalogue. Arrays: one statement, prepared once, one round
-- trip for any number of rows.
INSERT INTO workflow_updates (event_id, workflow_id, seq, type, source_agent, occurred_at, data, metadata, extra)
SELECT event_id, workflow_id, seq, type, source_agent, occurred_at, data::jsonb, metadata::jsonb, extra::jsonb
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::text[])
  AS r (event_id, workflow_id, seq, type, source_agent, occurred_at, data, metadata, extra)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id
