package bus

// For the tests of this package, which take part in groups and so stand outside of it.
var (
	AtLeast           = atLeast
	InfoField         = infoField
	ParseDurabilities = parseDurabilities
)

// Trouble is why publishing does not get on; nil when it does.
func (b *Bus) Trouble() error {
	if why := b.admitter.trouble.Load(); why != nil {
		return *why
	}
	return nil
}
