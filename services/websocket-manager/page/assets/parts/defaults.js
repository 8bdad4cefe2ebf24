// What the form begins with (deploy/demo/workflow.json), and which parameters the agents' own tools take.

export const defaults = {
  generation: { parameters: { template: 'go-http-service', name: 'greeter', message: 'Hello from agentbus' } },
  audit: { parameters: { fail_on: 'medium' } },
  testing: { parameters: { min_coverage: 50 }, timeout_seconds: 300 },
  deployment: { parameters: { health_path: '/healthz', health_timeout_seconds: 30 } },
};

export const known = {
  generation: {
    template: 'go-http-service or go-crud-service', name: 'of the service, its module and its binary', message: 'go-http-service: what it greets with',
    expected_message: 'go-http-service: what its test expects', health_status: 'go-http-service: what GET /healthz answers',
    resource: 'go-crud-service: path of the items', max_items: 'go-crud-service: before it refuses more', port: 'when PORT is not set',
    startup_delay_seconds: 'before it listens', files: 'more files: an object of path and content',
  },
  audit: { fail_on: 'low, medium, high or critical: the least that fails the stage', vet: 'false leaves go vet out' },
  testing: {
    run: 'regular expression of the tests to run', min_coverage: 'percent of statements', allow_no_tests: 'true: a project without tests passes',
    timeout_seconds: 'of one package’s tests',
  },
  deployment: {
    service: 'name to deploy under', package: 'what to build, relative to the project', health_path: 'answers 2xx when it can serve',
    health_timeout_seconds: 'before the old release is put back',
  },
};
