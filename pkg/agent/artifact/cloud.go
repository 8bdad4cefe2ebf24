//go:build cloud

package artifact

// The drivers of the three clouds, for images and for who keeps artifacts there.
// They are behind a tag for what they cost every program: 35 MB of binary, 21 MiB
// resident at rest and a minute of compiling, most of it Google's.
import (
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
)
