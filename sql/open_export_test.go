package sql

// For tests outside the package, which sqltest needs.
var (
	ConnectForTest  = connect
	MigrateWith     = migrate
	PendingWith     = pending
	InspectForTest  = inspect
	ForPsql         = forPsql
	PsqlEnvironment = psqlEnvironment
	RemoveMade      = removeMade
)
