package service

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/template"
	"time"

	"github.com/kelseyhightower/envconfig"
	"github.com/rs/zerolog"
)

// settings are the shell's own. OpsAddr has its default from Spec.
type settings struct {
	OpsAddr       string        `envconfig:"OPS_ADDR" desc:"address of /livez, /readyz and /metrics"`
	OpsPprof      bool          `envconfig:"OPS_PPROF" default:"false" desc:"serve /debug/pprof/ at OPS_ADDR too: profiles of this process, for whoever can reach it"`
	LogLevel      level         `envconfig:"LOG_LEVEL" default:"info" desc:"least severe level written: trace, debug, info, warn, error"`
	ShutdownGrace time.Duration `envconfig:"SHUTDOWN_GRACE" default:"25s" desc:"how long work in hand may take after the first signal; then the process exits with 1"`
}

// Validate implements the optional method of configurations.
func (s *settings) Validate() error {
	if s.ShutdownGrace <= 0 {
		return fmt.Errorf("SHUTDOWN_GRACE=%q: must be longer than 0s, such as 25s", s.ShutdownGrace)
	}
	return nil
}

// level is zerolog's, with an error that says what would be right.
type level zerolog.Level

// Decode implements envconfig.Decoder.
func (l *level) Decode(value string) error {
	parsed, err := zerolog.ParseLevel(strings.ToLower(value))
	if err != nil || parsed < zerolog.TraceLevel || parsed > zerolog.ErrorLevel {
		return errors.New("must be trace, debug, info, warn or error")
	}
	*l = level(parsed)
	return nil
}

// load fills the structs from the environment and reports every wrong struct at once.
func load(configs ...any) error {
	var wrong []error
	for _, c := range configs {
		if err := readSecrets(c); err != nil {
			wrong = append(wrong, err)
			continue
		}
		if err := explain(envconfig.Process("", c), c); err != nil {
			wrong = append(wrong, err)
			continue
		}
		if v, ok := c.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				wrong = append(wrong, err)
			}
		}
	}
	return errors.Join(wrong...)
}

// explain words envconfig's errors for the person who set the variable.
func explain(err error, config any) error {
	if err == nil {
		return nil
	}
	if key, ok := strings.CutPrefix(err.Error(), "required key "); ok {
		key = strings.TrimSuffix(key, " missing value")
		return fmt.Errorf("%s is not set: %s", key, describe(config, key))
	}
	var parse *envconfig.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	value := withoutPassword(parse.Value)
	right := strings.ReplaceAll(parse.Err.Error(), parse.Value, value)
	for _, v := range variables(config) {
		if v.key == parse.KeyName && v.expects != "" {
			right = "must be " + v.expects
		}
	}
	return fmt.Errorf("%s=%q: %s", parse.KeyName, value, right)
}

func describe(config any, key string) string {
	for _, v := range variables(config) {
		if v.key == key && v.about != "" {
			return v.about
		}
	}
	return "it is required"
}

// withoutPassword keeps the user and password of a connection URL out of logs, also of a malformed one.
func withoutPassword(value string) string {
	scheme, at := strings.Index(value, "://"), strings.LastIndex(value, "@")
	if scheme < 0 || at < scheme {
		return value
	}
	return value[:scheme+3] + "***" + value[at:]
}

// variable is one environment variable of a configuration struct.
type variable struct {
	key, kind, fallback, about string
	expects                    string // what a right value looks like; empty where the type's own error says it
	required                   bool
	secret                     bool // may come as a file, see readSecrets
}

// variables lists them in the order of the fields. It asks envconfig for the names, so that this list
// and what is read cannot differ.
func variables(config any) []variable {
	var list []variable
	add := func(key string, field reflect.Value, tags reflect.StructTag) string {
		v := variable{key: key, fallback: tags.Get("default"), about: tags.Get("desc"), required: tags.Get("required") == "true", secret: tags.Get("secret") == "true"}
		v.kind, v.expects = kindOf(field.Type())
		if unit := tags.Get("unit"); unit != "" {
			v.kind = unit
		}
		if v.fallback == "" && field.Kind() == reflect.String {
			v.fallback = field.String()
		}
		list = append(list, v)
		return ""
	}
	walk := template.Must(template.New("").Funcs(template.FuncMap{"add": add}).Parse(`{{range .}}{{add .Key .Field .Tags}}{{end}}`))
	if err := envconfig.Usaget("", config, io.Discard, walk); err != nil {
		panic(fmt.Sprintf("service: configuration must be a struct: %v", err)) // a programming error
	}
	return list
}

// kindOf names a type for people and says what a value of it looks like.
func kindOf(t reflect.Type) (name, expects string) {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration", "a duration with its unit, such as 500ms, 30s or 5m"
	case t.PkgPath() != "" && t.Kind() != reflect.Bool:
		return strings.ToLower(t.Name()), "" // has a decoder of its own, whose error is better
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true|false", "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "number", "a whole number that fits " + t.String()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "number", "a whole number, 0 or more, that fits " + t.String()
	case reflect.Float32, reflect.Float64:
		return "number", "a number, such as 0.5"
	case reflect.Slice:
		name, _ = kindOf(t.Elem())
		return name + ",...", "a comma-separated list of " + name
	case reflect.Map:
		key, _ := kindOf(t.Key())
		value, _ := kindOf(t.Elem())
		return key + ":" + value + ",...", "a comma-separated list of " + key + ":" + value
	case reflect.Pointer:
		return kindOf(t.Elem())
	default:
		return t.Kind().String(), ""
	}
}
