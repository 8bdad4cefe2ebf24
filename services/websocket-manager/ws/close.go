package ws

import "nhooyr.io/websocket"

// Close codes. 4000 and up are this protocol's own; their last three digits are the HTTP status that
// comes nearest. A client comes back after those marked so, with since = the last number it has seen,
// after a random pause.
const (
	// closeLeaving: the server drains; another replica is there. Come back.
	closeLeaving = websocket.StatusGoingAway // 1001
	// closeInternal: the server cannot go on with this connection. Come back.
	closeInternal = websocket.StatusInternalError // 1011
	// closeBadFrame: what the client sent is not this protocol. Do not come back unchanged.
	closeBadFrame websocket.StatusCode = 4400
	// closeExpired: the token that the connection began with has expired. Come back with a new one.
	closeExpired websocket.StatusCode = 4401
	// closeSlow: the client reads more slowly than events come. Come back: what was missed is sent again,
	// as far as it is kept.
	closeSlow websocket.StatusCode = 4408
)
