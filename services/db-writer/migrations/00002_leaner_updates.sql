-- +goose Up

-- Every stored event updates its workflow's row. An index on updated_at made each of these updates a new
-- entry in all three indexes; one on a column that stands still, and room left in each page, let
-- PostgreSQL write the new version beside the old one and touch no index (a HOT update).
DROP INDEX workflows_unfinished;
CREATE INDEX workflows_unfinished ON workflows (created_at) WHERE finished_at IS NULL;
ALTER TABLE workflows SET (fillfactor = 70);
