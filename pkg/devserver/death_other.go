//go:build !linux

package devserver

import "syscall"

// dieWithOwner does nothing: only Linux can do this portably for a server that does not cooperate.
func dieWithOwner(*syscall.SysProcAttr, syscall.Signal) {}
