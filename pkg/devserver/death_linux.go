package devserver

import "syscall"

// dieWithOwner asks the kernel to send sig to the process when the thread that forks it ends.
func dieWithOwner(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
