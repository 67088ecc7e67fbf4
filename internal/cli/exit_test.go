package cli

import (
	"context"
	"fmt"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func TestEachKindOfFailureHasItsExitCode(t *testing.T) {
	for want, errs := range map[int][]error{
		ExitOK:      {nil},
		ExitFailure: {fmt.Errorf("boom"), ampybus.ErrFull, ampybus.ErrTooLarge, ampybus.ErrClosed},
		ExitUsage:   {ampybus.ErrConfig, &ampybus.FieldError{Field: "topic", Problem: "empty"}, usagef("x")},
		ExitRefused: {ampybus.ErrAuth, ampybus.ErrPermission},
		ExitUnreachable: {
			ampybus.ErrUnreachable, ampybus.ErrUnavailable,
			&ampybus.PublishError{Err: ampybus.ErrUnavailable},
		},
		ExitTimeout: {context.DeadlineExceeded, ampybus.ErrUncertain, fmt.Errorf("%w: %w", ampybus.ErrUncertain, context.DeadlineExceeded)},
		ExitPartial: {exitf(ExitPartial, "x: %w", ampybus.ErrAuth)},
	} {
		for _, err := range errs {
			if got := exitCode(err); got != want {
				t.Errorf("%v: exit code %d, want %d", err, got, want)
			}
			if err != nil {
				if got := exitCode(fmt.Errorf("wrapped: %w", err)); got != want {
					t.Errorf("wrapped %v: exit code %d, want %d", err, got, want)
				}
			}
		}
	}
}

func TestAConnectionThatFailsEndsEveryCommandWithItsCode(t *testing.T) {
	h := newHarness(t)
	for err, want := range map[error]int{
		ampybus.ErrUnreachable: ExitUnreachable, ampybus.ErrAuth: ExitRefused, ampybus.ErrConfig: ExitUsage,
	} {
		h.err = fmt.Errorf("connect: %w", err)
		for _, args := range [][]string{
			pubEmptyArgs(),
			{"sub", "--subject", "ampy.>"},
			{"streams"},
			{"lag", "--group", "g"},
			{"doctor"},
			{"dlq-inspect", "--subject", "ampy.dev.dlq.>"},
			{"dlq-redrive", "--subject", "ampy.dev.dlq.>"},
			{"dlq-discard", "--subject", "ampy.dev.dlq.>", "--pk", "k", "--reason", "r"},
			{"dlq", "plan", "--subject", "ampy.dev.dlq.>"},
			{"dlq", "show", "--subject", "ampy.dev.dlq.>", "--origin", "x:1"},
			{"dlq", "edit", "--subject", "ampy.dev.dlq.>", "--origin", "x:1", "--outdir", t.TempDir()},
			{"bench-pub", "--topic", topic, "--count", "1"},
			{"replay", "--env", "dev", "--domain", "bars", "--key", "k", "--reason", "r"},
			{"pub", "--topic", topic, "--producer", "a@1", "--source", "b", "--pk", "XNAS.AAPL", "--hex", "00"},
		} {
			if r := h.run(args...); r.code != want || r.out != "" {
				t.Errorf("%s when %v: exit %d, want %d; stdout %q", args[0], err, r.code, want, r.out)
			}
		}
	}
}
