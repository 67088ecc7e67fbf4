package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The canary stands for every secret; it must never be printed.
const canary = "Canary-7f3a91"

func TestASecretIsNeverPrinted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{
		{"streams"},
		{"doctor"},
		{"sub", "--subject", "ampy.>", "--no-follow"},
		pubEmptyArgs(),
		{"lag", "--group", "g"},
		{"dlq-inspect", "--subject", "ampy.dev.dlq.>"},
		{"dlq-redrive", "--subject", "ampy.dev.dlq.>"},
		{"bench-pub", "--topic", topic, "--count", "1"},
		{"replay", "--env", "dev", "--domain", "bars", "--key", "k", "--reason", "r"},
	}
	credentials := [][]string{
		{"--user", "u", "--pass", canary},
		{"--user", "u", "--pass-file", file},
		{"--token", canary},
		{"--nats", "nats://u:" + canary + "@127.0.0.1:1"},
		{"--nats", "nats://" + canary + "@127.0.0.1:1"},
		{"--bus", "bad://u:" + canary + "@h"},
		{"--nats", "nats://u:" + canary + "@[::1"},
		{"--nats", "nats://u:" + canary + "@h:99999"},
		{"--nats", "nats://u:" + canary + "%zz@h:1"},
		{"--nats", "u:" + canary + "@127.0.0.1:1"},
		{"--bus", "kafka://u:" + canary + "@127.0.0.1:1"},
		{"--bus", "kafka+tls://u:" + canary + "@127.0.0.1:1"},
		{"--bus", "kafka://u:" + canary + "@[::1"},
		{"--bus", "kafka://u:" + canary + "%zz@h:1"},
		{"--bus", "kafka://u:" + canary + "?" + canary + "@127.0.0.1:1"},
		{"--user", "u", "--pass", canary, "--token", canary},
		{"--pass", canary},
		{"--pas=" + canary},
		{"-p" + canary},
		{"--token=" + canary, "--nkey", "nowhere"},
	}
	var all [][]string
	for _, command := range commands {
		for _, c := range credentials {
			args := append(append([]string{}, command...), c...)
			if !strings.Contains(strings.Join(c, " "), "@") {
				args = append(args, "--nats", "nats://127.0.0.1:1")
			}
			all = append(all, append(args, "--log-level", "debug"))
		}
	}
	for _, args := range all { // nobody answers
		checkNoSecret(t, args, dialed(t, args))
	}
	h := newHarness(t)
	for _, args := range all {
		checkNoSecret(t, args, h.run(args...))
	}
}

func checkNoSecret(t *testing.T, args []string, r result) {
	t.Helper()
	if strings.Contains(r.out+r.err, canary) {
		t.Errorf("%q prints the secret:\nstdout: %s\nstderr: %s", args, r.out, r.err)
	}
}

func TestASecretOnTheCommandLineIsRemarkedOn(t *testing.T) {
	h := newHarness(t)
	h.run("streams", "--user", "u", "--pass", "x").wants(t, ExitNothing, "--pass is visible to everybody", "prefer --pass-file")
	h.run("streams", "--token", "x").wants(t, ExitNothing, "--token is visible to everybody")
	h.run("streams", "--nats", "nats://u:x@h").wants(t, ExitNothing, "the password in --nats is visible")
	t.Setenv("NATS_PASS", "x")
	if r := h.run("streams"); strings.Contains(r.err, "warning") {
		t.Errorf("the environment is not the command line: %s", r.err)
	}
}

func TestFlagsOfOneKindReplaceTheEnvironmentsCredentials(t *testing.T) {
	h := newHarness(t)
	t.Setenv("NATS_TOKEN", "t")
	t.Setenv("NATS_URL", "nats://env:1")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "nats nats://env:1 as token"},
		{[]string{"--user", "alice"}, "nats nats://env:1 as user alice"},
		{[]string{"--creds", "f.creds"}, "nats nats://env:1 as creds f.creds"},
		{[]string{"--nkey-seed", "seed"}, "nats nats://env:1 as nkey"},
		{[]string{"--nats", "nats://flag:2"}, "nats nats://flag:2 as token"},
		{[]string{"--bus", "tls://flag:3"}, "nats tls://flag:3 as token"},
	} {
		if got := h.endpoint(append([]string{"streams"}, c.args...)); got != c.want {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
}
