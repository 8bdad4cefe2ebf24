package chart_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	promql "github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

const files = "../../helm/agentbus/files/"

// language is PromQL with nothing experimental.
var language = promql.NewParser(promql.Options{})

type dashboard struct {
	UID           string  `json:"uid"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct{ Name, Type, Query string }
	} `json:"templating"`
}

type panel struct {
	ID          int
	Type, Title string
	Datasource  source
	GridPos     struct{ X, Y, W, H int } `json:"gridPos"`
	Targets     []struct {
		Expr       string
		Datasource source
	}
}

type source struct{ Type, UID string }

// TestDashboards reads each dashboard as Grafana does: every expression is PromQL on metrics that exist, of
// the chosen releases alone, from the chosen data source; no panel lies on another.
func TestDashboards(t *testing.T) {
	t.Parallel()
	known := exported(t)
	paths, err := filepath.Glob(files + "dashboards/*.json")
	if err != nil || len(paths) < 3 {
		t.Fatalf("dashboards: %v, %v", paths, err)
	}
	uids := map[string]string{}
	for _, path := range paths {
		var d dashboard
		if err := json.Unmarshal(read(t, path), &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if uids[d.UID] != "" || d.UID == "" || d.SchemaVersion < 39 {
			t.Errorf("%s: uid %q is also that of %q; schema version %d", path, d.UID, uids[d.UID], d.SchemaVersion)
		}
		uids[d.UID] = path
		variables := map[string]string{}
		for _, v := range d.Templating.List {
			variables[v.Name] = v.Type
			if selector, ok := strings.CutPrefix(v.Query, "label_values("); ok {
				for _, s := range selectors(t, selector[:strings.LastIndex(selector, ",")]) {
					known.want(t, path+": variable "+v.Name, metric(s))
				}
			}
		}
		if variables["datasource"] != "datasource" || variables["namespace"] != "query" || variables["release"] != "query" {
			t.Errorf("%s has the variables %v", path, variables)
		}
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			where := path + ": " + p.Title
			if ids[p.ID] {
				t.Errorf("%s: its id %d is not its own", where, p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s lies on %q or beyond the edge", where, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s shows nothing", where)
			}
			for _, target := range p.Targets {
				if p.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
					t.Errorf("%s: data sources %v and %v", where, p.Datasource, target.Datasource)
				}
				for _, s := range selectors(t, target.Expr) {
					known.want(t, where, metric(s))
					chosen := map[string]string{}
					for _, m := range s {
						chosen[m.Name] = m.Value
						if v, ok := strings.CutPrefix(m.Value, "$"); ok && variables[v] == "" {
							t.Errorf("%s: there is no variable %s", where, v)
						}
					}
					if chosen["namespace"] != "$namespace" || chosen["app_kubernetes_io_instance"] != "$release" {
						t.Errorf("%s: %s takes in other releases", where, metric(s))
					}
				}
			}
		}
	}
}

// TestRulesAskForWhatExists: a rule on a name that does not exist never fires and says nothing.
func TestRulesAskForWhatExists(t *testing.T) {
	t.Parallel()
	known := exported(t)
	paths, err := filepath.Glob(files + "rules/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("rules: %v, %v", paths, err)
	}
	for _, path := range paths {
		groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, language)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				for _, s := range selectors(t, r.Expr) {
					known.want(t, r.Alert+r.Record, metric(s))
				}
			}
		}
	}
}

// TestAdapterAnswersTheAutoscalers: what services are scaled by in values.yaml is what prometheus-adapter
// gives, from metrics that exist, and labels that a selector may name survive.
func TestAdapterAnswersTheAutoscalers(t *testing.T) {
	t.Parallel()
	var adapter struct {
		Rules struct {
			External []struct{ SeriesQuery, MetricsQuery string }
		}
	}
	var values struct {
		Services map[string]struct {
			Autoscaling struct {
				External struct {
					Metric string
					Labels map[string]string
				}
			}
		}
	}
	for path, into := range map[string]any{files + "prometheus-adapter.yaml": &adapter, files + "../values.yaml": &values} {
		if err := yaml.Unmarshal(read(t, path), into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	known, kept := exported(t), map[string][]string{}
	for _, r := range adapter.Rules.External {
		name := metric(selectors(t, r.SeriesQuery)[0])
		known.want(t, "prometheus-adapter.yaml", name)
		query := strings.NewReplacer("<<.Series>>", name, "<<.LabelMatchers>>", `namespace="a"`).Replace(r.MetricsQuery)
		parsed, err := language.ParseExpr(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		kept[name] = parsed.(*promql.AggregateExpr).Grouping
	}
	asked := map[string]bool{}
	for service, v := range values.Services {
		external := v.Autoscaling.External
		if external.Metric == "" {
			continue
		}
		asked[external.Metric] = true
		grouping := strings.Join(kept[external.Metric], " ")
		for _, label := range append([]string{"namespace", "app_kubernetes_io_instance"}, slices.Collect(maps.Keys(external.Labels))...) {
			if !strings.Contains(grouping, label) {
				t.Errorf("%s is scaled by %s, whose result has %q and not %s", service, external.Metric, grouping, label)
			}
		}
	}
	if len(asked) != len(kept) {
		t.Errorf("the adapter gives %v, the autoscalers ask for %v", kept, asked)
	}
}

// selectors are the matchers of each series the expression asks for.
func selectors(t *testing.T, expr string) [][]*labels.Matcher {
	t.Helper()
	parsed, err := language.ParseExpr(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
	if err != nil {
		t.Errorf("%s: %v", expr, err)
		return nil
	}
	return promql.ExtractSelectors(parsed)
}

func metric(selector []*labels.Matcher) string {
	for _, m := range selector {
		if m.Name == model.MetricNameLabel {
			return m.Value
		}
	}
	return ""
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// metricNames are the names of series that a scrape of some service may have.
type metricNames map[string]bool

func (m metricNames) want(t *testing.T, who, name string) {
	t.Helper()
	if !m[name] {
		t.Errorf("%s asks for %s, which no service has", who, name)
	}
}

func (m metricNames) add(name string, histogram bool) {
	if !histogram {
		m[name] = true
		return
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		m[name+suffix] = true
	}
}

// exported reads from the syntax of all sources what they register: a scrape would miss the counters that
// have not counted yet, which alerts are made of. A name that it cannot make out fails the test.
func exported(t *testing.T) metricNames {
	t.Helper()
	names := metricNames{"up": true}
	for _, dir := range []string{"../../pkg", "../../services"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+path, nil, 0)
			if err != nil {
				return err
			}
			return names.addFile(file, path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// What every process has beside its own.
	standard := prometheus.NewRegistry()
	standard.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := standard.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		names.add(f.GetName(), false)
	}
	return names
}

// addFile finds prometheus.XOpts{Name: ...} and prometheus.NewDesc(...). The name is a string, or a prefix
// and the first parameter of the function that a variable holds, which its calls give.
func (m metricNames) addFile(file *ast.File, path string) (err error) {
	makers := map[ast.Node]string{} // function literal -> its variable
	ast.Inspect(file, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 {
			if f, ok := a.Rhs[0].(*ast.FuncLit); ok {
				makers[f] = fmt.Sprint(a.Lhs[0])
			}
		}
		return true
	})
	var around []ast.Node // the nodes n is in
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			around = around[:len(around)-1]
			return true
		}
		around = append(around, n)
		name, histogram := nameIn(n)
		if name == nil {
			return true
		}
		if s, ok := text(name); ok {
			m.add(s, histogram)
			return true
		}
		sum, isSum := name.(*ast.BinaryExpr)
		for i := len(around) - 1; isSum && i >= 0; i-- {
			maker := makers[around[i]]
			prefix, ok := text(sum.X)
			if maker == "" || !ok {
				continue
			}
			for _, given := range firstArguments(file, maker) {
				m.add(prefix+given, histogram)
			}
			return true
		}
		err = fmt.Errorf("%s: a metric's name is neither text nor made by a function that a variable holds", path)
		return true
	})
	return err
}

// nameIn is the name that n gives a metric, nil when n makes none.
func nameIn(n ast.Node) (name ast.Expr, histogram bool) {
	switch n := n.(type) {
	case *ast.CompositeLit:
		kind, ok := ofPrometheus(n.Type)
		if !ok || !strings.HasSuffix(kind, "Opts") {
			return nil, false
		}
		for _, e := range n.Elts {
			if field, ok := e.(*ast.KeyValueExpr); ok && fmt.Sprint(field.Key) == "Name" {
				return field.Value, kind == "HistogramOpts"
			}
		}
	case *ast.CallExpr:
		if f, ok := ofPrometheus(n.Fun); ok && f == "NewDesc" {
			return n.Args[0], false
		}
	}
	return nil, false
}

func ofPrometheus(e ast.Expr) (name string, ok bool) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || fmt.Sprint(s.X) != "prometheus" {
		return "", false
	}
	return s.Sel.Name, true
}

func firstArguments(file *ast.File, function string) (given []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok && len(c.Args) > 0 && fmt.Sprint(c.Fun) == function {
			if s, ok := text(c.Args[0]); ok {
				given = append(given, s)
			}
		}
		return true
	})
	return given
}

func text(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}
