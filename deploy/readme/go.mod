module agentbus/deploy/readme

go 1.26.0
