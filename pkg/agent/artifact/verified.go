package artifact

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"gocloud.dev/blob"

	"agentbus/pkg/events"
)

// verified reads a blob and holds it against what was promised. The last bytes come only after the digest
// was found right: who passes them on under the promised length cannot take other content for whole.
type verified struct {
	a   events.Artifact
	r   *blob.Reader
	sum hash.Hash
	n   int64
}

func (v *verified) Read(p []byte) (int, error) {
	if v.r.Size() != v.a.Size {
		return 0, v.changed("%d bytes", v.a.Size, v.r.Size())
	}
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	v.n += int64(n)
	ended := errors.Is(err, io.EOF)
	if v.n > v.a.Size || (ended && v.n < v.a.Size) { // it changed since it was opened
		return 0, v.changed("%d bytes", v.a.Size, v.n)
	}
	if v.n == v.a.Size && (n > 0 || ended) {
		if found := hex.EncodeToString(v.sum.Sum(nil)); found != v.a.SHA256 {
			return 0, v.changed("sha256 %s", v.a.SHA256, found)
		}
	}
	return n, err
}

// changed names what should be there and what is, both in the words of format.
func (v *verified) changed(format string, want, found any) error {
	return fmt.Errorf("%w: %s should have "+format+", the store has "+format+"; run the stage that made it again", ErrChanged, v.a.Name, want, found)
}

func (v *verified) Close() error { return v.r.Close() }
