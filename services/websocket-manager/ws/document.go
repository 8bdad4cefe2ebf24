package ws

import _ "embed" // the document

// AsyncAPI is the protocol as an AsyncAPI 3 document, for programs that read one: PROTOCOL.md says the
// same for people. A test keeps it true to the frames' structs, and the service's tests hold every frame
// they get against it.
//
//go:embed asyncapi.json
var AsyncAPI []byte
