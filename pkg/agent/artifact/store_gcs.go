//go:build gcs || cloud

package artifact

import _ "gocloud.dev/blob/gcsblob" // gs://
