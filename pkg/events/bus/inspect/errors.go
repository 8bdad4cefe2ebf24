package inspect

import "errors"

var (
	// ErrNotFound is returned where a dead letter or group that was named is not there.
	ErrNotFound = errors.New("inspect: not found")
	// ErrInUse is returned by [Inspector.RemoveGroup] while a member of the group lives, or while it has dead letters: stop the member, replay or drop the letters.
	ErrInUse = errors.New("inspect: the group is in use")
)
