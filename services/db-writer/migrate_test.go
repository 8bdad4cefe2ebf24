package main

import (
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/service"
)

func TestReplicasMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := servertest.Postgres(t)
	var (
		wg  sync.WaitGroup
		all [4]int
	)
	for i := range all {
		wg.Go(func() {
			cfg := Config{DatabaseURL: url}
			w := newWriterUnprepared(t, cfg)
			n, err := migrate(t.Context(), w.pool)
			if err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
			all[i] = n
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range all {
		sum += n
	}
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	if sum != len(files) {
		t.Errorf("%v migrations were run by the replicas, want each of %d once", all, len(files))
	}
}

func TestEveryColumnIsExplained(t *testing.T) {
	t.Parallel()
	w := newWriter(t, servertest.Postgres(t))
	rows, err := w.pool.Query(t.Context(), `SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'goose_db_version'
		AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s.%s has no comment", table, column)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestMigrateOnlyEndsByItself(t *testing.T) {
	url := servertest.Postgres(t)
	cfg := Config{DatabaseURL: url, Migrate: migrateOnly} // no Redis: the job has none
	if err := run(t.Context(), cfg, service.NewRuntime(zerolog.Nop(), nil)); err != nil {
		t.Fatal(err)
	}
	w := newWriterUnprepared(t, cfg)
	n, err := migrate(t.Context(), w.pool)
	if err != nil || n != 0 {
		t.Fatalf("%d migrations were left, %v", n, err)
	}
}
