// Command kafkainspect: see internal/cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/AmpyFin/ampy-bus/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl+C ends the program at once
	os.Exit(cli.Main(ctx, cli.Kafkainspect(), os.Args[1:], cli.OSStreams()))
}
