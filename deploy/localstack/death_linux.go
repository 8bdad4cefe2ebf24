package localstack

import "syscall"

// dieWithOwner asks the kernel to end the process when the thread that forks it ends, see spawn.
func dieWithOwner(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
