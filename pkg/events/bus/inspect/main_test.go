package inspect_test

import (
	"testing"

	"agentbus/pkg/devserver/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
