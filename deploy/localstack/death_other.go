//go:build !linux

package localstack

import "syscall"

// dieWithOwner does nothing: other systems know no death signal.
func dieWithOwner(*syscall.SysProcAttr) {}
