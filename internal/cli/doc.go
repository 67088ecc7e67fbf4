// Package cli is the commands: one file each, shared by the binaries, which
// differ in which commands they have and which broker they reach.
//
// Data goes to stdout and all else to stderr; nothing asks a question; the exit
// codes of exit.go are the same everywhere. What comes from a broker is printed
// through package terminal only. The commands own no rule of the contract: they
// call the bus and show what it says.
//
//	os.Exit(cli.Main(ctx, cli.Ampybusctl(), os.Args[1:], cli.OSStreams()))
package cli
