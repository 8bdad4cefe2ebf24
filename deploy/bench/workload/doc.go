// Package workload is the work that everything is measured by: events of about 350 bytes over all 20 types
// and many workflows, published by synchronous publishers as fast as it goes or at a steady rate, and
// handled by every group. It keeps the times from publish call to handler, and what the processes used.
package workload
