package inbox_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

func (s *privateServer) start() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errNoServer
	}
	bin := filepath.Dir(found[len(found)-1])
	if s.dir, err = os.MkdirTemp("", "ampy-postgres-"); err != nil {
		return "", err
	}
	as, err := s.owner()
	if err != nil {
		return "", err
	}
	data := filepath.Join(s.dir, "data")
	init := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "ampy", "-E", "UTF8", "--no-sync")
	init.SysProcAttr, init.Dir = as, s.dir
	if out, err := init.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "shared_buffers=32MB", "-c", "fsync="+syncing())
	s.cmd.SysProcAttr, s.cmd.Dir = as, s.dir
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return "", fmt.Errorf("start postgres: %w", err)
	}
	dsn := "host=" + s.dir + " user=ampy dbname=postgres"
	return dsn, s.await(dsn)
}

// owner is whom the server runs as: it refuses to run as root.
func (s *privateServer) owner() (*syscall.SysProcAttr, error) {
	// A test binary that is killed takes its server with it.
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if os.Getuid() != 0 {
		return as, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return as, os.Chown(s.dir, uid, gid)
}

// syncing is on for benchmarks only: no test here cuts the power.
func syncing() string {
	if flag.Lookup("test.bench").Value.String() != "" {
		return "on"
	}
	return "off"
}

func (s *privateServer) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = s.cmd.Wait()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
