module agentbus/deploy/chaos

go 1.26.0



replace (
	agentbus/deploy/agentctl => ../../deploy/agentctl
	agentbus/deploy/localstack => ../../deploy/localstack
	agentbus/pkg/devserver => ../../pkg/devserver
	agentbus/pkg/events => ../../pkg/events
)
