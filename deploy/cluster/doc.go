// Package cluster tests an installed release under the faults of a cluster: roll-outs, drained nodes, pods that
// vanish, load that scales. It needs a cluster and takes its time, so it stands behind a build tag:
//
//	make cluster-test RELEASE=agentbus NAMESPACE=agentbus
//
// KUBECONFIG names the cluster, kubectl is in PATH, and this machine reaches the cluster's Services by their
// ClusterIP, as a node does. The release has its built-in stores, and allows these addresses as hosts:
//
//	helm upgrade agentbus helm/agentbus --reuse-values --set "access.allowedHosts={<coordinator's ClusterIP>:8080,<websocket-manager's>:8081}"
package cluster
