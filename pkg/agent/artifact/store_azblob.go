//go:build azblob || cloud

package artifact

import _ "gocloud.dev/blob/azureblob" // azblob://
