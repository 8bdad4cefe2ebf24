// Package access decides who may talk to an HTTP server of agentbus, and what they may see.
//
//	request ─▶ Guard: Host and Origin on the list? ─▶ Gate: who is it? ─▶ handler: From(ctx).MaySee(tenant)?
//	             421 / 403                              401                 404, as if it were not there
//
// A caller is known by a bearer token: a static one whose digest stands in a file, or a JWT signed by a
// key of a JWKS. Either names a subject and a tenant; a workflow belongs to the tenant that created it.
// An operator sees all tenants and what belongs to none: groups and dead letters.
//
// Without either the door is open, and everybody is an operator of the tenant "default"; that is
// possible only where nobody but this machine can knock. Static tokens are known by their digests, so the
// file is worth nothing to a thief, and no token ever reaches a log or an error.
package access
