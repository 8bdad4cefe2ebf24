package service

import (
	"fmt"
	"os"
	"strings"
)

// fileSuffix names the variable that holds the path of a secret instead of the secret, as in the
// official images of databases.
const fileSuffix = "_FILE"

// readSecrets sets each secret variable that is given as a file from that file's content: a value in the
// environment is shown by kubectl describe and by every crash report, a mounted file is not. Children
// see nothing of it, unless they are handed the whole environment.
func readSecrets(config any) error {
	for _, v := range variables(config) {
		path := os.Getenv(v.key + fileSuffix)
		if !v.secret || path == "" {
			continue
		}
		if _, both := os.LookupEnv(v.key); both {
			return fmt.Errorf("%s and %s%s are both set: remove one", v.key, v.key, fileSuffix)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s%s: %w", v.key, fileSuffix, err)
		}
		if err := os.Setenv(v.key, strings.TrimSpace(string(content))); err != nil {
			return fmt.Errorf("%s%s=%s: its content cannot be a variable: %w", v.key, fileSuffix, path, err)
		}
	}
	return nil
}
