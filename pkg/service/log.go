package service

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// logTime is RFC 3339 in UTC with milliseconds, which sorts as text.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// newLogger writes JSON lines, or coloured ones where a person watches a terminal.
func newLogger(w io.Writer, least zerolog.Level, service string) zerolog.Logger {
	if isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000"}
	}
	// A hook instead of zerolog's Timestamp: that one takes its precision from a package variable.
	return zerolog.New(w).Level(least).With().Str("service", service).Logger().
		Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
			e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(logTime))
		}))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
