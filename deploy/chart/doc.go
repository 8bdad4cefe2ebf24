// Package chart tests helm/agentbus without a cluster: every scenario is rendered by Helm's own library, each
// object decoded strictly against the types of its API, and compared with testdata. After a change that is meant:
//
//	go test ./deploy/chart -update
package chart
