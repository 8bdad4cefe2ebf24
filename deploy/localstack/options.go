package localstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// operatorsTool is the one program beside the services that is built into the same folder.
const operatorsTool = "agentctl"

// Options say what Start is to start. Dir and Bin are required.
type Options struct {
	Dir string // state: data of the servers, logs, work; created where missing
	Bin string // folder with the services' programs

	RedisURL    string // a running Redis; "" starts one
	DatabaseURL string // a running PostgreSQL; "" starts one

	Replicas  map[string]int               // processes per service; "" is the default of all others, 1 where absent
	Env       map[string]map[string]string // variables per service; "" holds those of all
	FreePorts bool                         // no default ports: several stacks can run side by side
	Except    []string                     // services that are not started; Process(name).Start does it later
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" || o.Bin == "" {
		return o, errors.New("localstack: Dir and Bin must be set")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	if o.Bin, err = filepath.Abs(o.Bin); err != nil {
		return o, err
	}
	return o, os.MkdirAll(o.Dir, 0o755)
}

func (o Options) replicas(service string) int {
	for _, name := range []string{service, ""} {
		if n, ok := o.Replicas[name]; ok {
			return n
		}
	}
	return 1
}

// services are the programs in Bin.
func (o Options) services() ([]string, error) {
	entries, err := os.ReadDir(o.Bin)
	if err != nil {
		return nil, fmt.Errorf("the services' programs: %w: run `make build` first", err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && e.Name() != operatorsTool {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there are no services' programs in %s: run `make build` first", o.Bin)
	}
	for name := range o.Replicas {
		if name != "" && !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no service %q in %s, there are %v", name, o.Bin, names)
		}
	}
	return names, nil
}
