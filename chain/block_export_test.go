package chain

// For tests outside the package, which chaintest needs.
var CheckHeader = checkHeader

const (
	MainnetFloor   = mainnetFloor
	LastCheckpoint = lastCheckpoint
)
