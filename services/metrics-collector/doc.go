package main

// What is counted: deliveries to the group metrics_collectors, each by the one replica that handled it.
// Sums over replicas are right: sum(rate(agentbus_events_total[5m])). An event that is delivered twice
// (a replica died between counting and acknowledging) is counted twice; at worst that is one replica's
// prefetch for each such death, so counters are for rates and ratios, and PostgreSQL for exact figures.
//
// There is no gauge of workflows in each state: a replica sees only its share of the events, and a
// difference of counters is wrong after each restart. Counters by state reached are offered instead
// (created minus ended, over a window, is what accumulates); the exact number is one query:
// SELECT state, count(*) FROM workflows GROUP BY state.
//
// agentbus_group_* is not a share: each replica asks Redis and shows the same. Aggregate with max, never
// with sum.
