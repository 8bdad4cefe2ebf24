module agentbus/pkg/events

go 1.26.0

replace agentbus/pkg/devserver => ../../pkg/devserver

require (
	github.com/google/go-cmp v0.7.0
	github.com/google/jsonschema-go v0.4.3
	github.com/google/uuid v1.6.0
)
