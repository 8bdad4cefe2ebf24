//go:build s3 || cloud

package artifact

// The drivers of the clouds are behind tags for what they cost every program: s3 9 MB, azblob 4 MB and gcs
// 22 MB of binary, and resident memory at rest. Images have s3 and azblob; the tag cloud takes all three.

import _ "gocloud.dev/blob/s3blob" // s3://
