package main

// What the database holds is a function of the set of events that were stored, not of the order in
// which they came or how often: every event has a number in its workflow (seq), and each column is
// taken from the event with the highest number that speaks of it.
//
// One batch is one transaction:
//
//	1  copy the events; where one is there already (same id), begin again and insert them, on conflict
//	   do nothing, returning the ids that are new
//	2  of the new ones only, move workflows and stage_results forward where seq is higher
//
// So an event that comes twice, to one replica or two, changes nothing the second time.
//
//	outcome of the transaction              what becomes of the batch
//	committed                               acknowledged
//	data error (SQLSTATE class 22, 23, 54)  cut in half until the poison row stands alone: it alone
//	                                        becomes a dead letter, its neighbours are stored
//	anything else                           Unavailable: the group waits and tries again; no event is
//	                                        blamed for a full disk, a stopped server or a missing table
