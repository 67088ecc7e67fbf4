package brokertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// KafkaEnv names the environment variable that says which Kafka tests use:
// brokers as host:port,host:port; "fetch" to get the jars with Maven first;
// "off" for none. Unset: a broker is started where the jars are present.
const KafkaEnv = "AMPY_TEST_KAFKA"

// KafkaCluster is a real Apache Kafka (KRaft), each node a Java process of its
// own that is broker and controller in one.
type KafkaCluster struct {
	tb    testing.TB
	libs  string
	nodes []*kafkaNode
}

type kafkaNode struct {
	dir       string
	port      int
	conf      map[string]string
	cmd       *exec.Cmd
	formatted bool
}

// readyTimeout of a node: seconds on a quiet machine.
const kafkaReady = 90 * time.Second

// StartKafka runs n nodes until the test ends. Each tune adds lines to
// server.properties. Without jars the test is skipped, and says how to get them.
func StartKafka(tb testing.TB, n int, tune ...map[string]string) *KafkaCluster {
	tb.Helper()
	c := &KafkaCluster{tb: tb, libs: kafkaJars(tb)}
	var voters []string
	controllers := make([]int, n)
	for i := range n {
		controllers[i] = FreePort(tb)
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, controllers[i]))
	}
	for i := range n {
		node := &kafkaNode{dir: tb.TempDir(), port: FreePort(tb)}
		node.conf = kafkaProperties(i+1, n, node.port, controllers[i], strings.Join(voters, ","), node.dir)
		for _, t := range tune {
			maps.Copy(node.conf, t)
		}
		c.nodes = append(c.nodes, node)
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	tb.Cleanup(func() {
		for i := range c.nodes {
			c.Kill(i)
		}
	})
	c.Launch(all...)
	return c
}

func kafkaProperties(id, n, port, controller int, voters, dir string) map[string]string {
	replicas := strconv.Itoa(min(n, 3))
	inSync := strconv.Itoa(max(1, min(n, 3)-1))
	return map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(id),
		"controller.quorum.voters":       voters,
		"controller.listener.names":      "CONTROLLER",
		"listeners":                      fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", port, controller),
		"advertised.listeners":           fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", port),
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
		"log.dirs":                       filepath.Join(dir, "data"),
		"log.cleaner.dedupe.buffer.size": "2097152",
		"num.partitions":                 "1",
		"auto.create.topics.enable":      "false",

		"default.replication.factor":                       replicas,
		"min.insync.replicas":                              inSync,
		"unclean.leader.election.enable":                   "false",
		"offsets.topic.replication.factor":                 replicas,
		"offsets.topic.num.partitions":                     "3",
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    inSync,
		"transaction.state.log.num.partitions":             "3",
		"share.coordinator.state.topic.replication.factor": replicas,
		"share.coordinator.state.topic.min.isr":            inSync,
		"share.coordinator.state.topic.num.partitions":     "3",

		// Takeovers in tests wait for these.
		"group.initial.rebalance.delay.ms":                "0",
		"group.min.session.timeout.ms":                    "100",
		"group.consumer.min.session.timeout.ms":           "500",
		"group.consumer.session.timeout.ms":               "1000",
		"group.consumer.min.heartbeat.interval.ms":        "100",
		"group.consumer.heartbeat.interval.ms":            "200",
		"broker.session.timeout.ms":                       "3000",
		"broker.heartbeat.interval.ms":                    "500",
		"controlled.shutdown.enable":                      "false",
		"group.coordinator.append.linger.ms":              "0",
		"log.initial.task.delay.ms":                       "500",
		"group.coordinator.rebalance.protocols":           "classic,consumer",
		"offset.metadata.max.bytes":                       "4096",
		"log.message.timestamp.type":                      "LogAppendTime",
		"metadata.log.max.record.bytes.between.snapshots": "2000000",
	}
}

// Addrs lists the brokers as host:port.
func (c *KafkaCluster) Addrs() []string {
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", n.port))
	}
	return addrs
}

// Kill ends node i as a crash does (SIGKILL).
func (c *KafkaCluster) Kill(i int) {
	n := c.nodes[i]
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	n.cmd = nil
}

// Restart starts a node again on its data and port.
func (c *KafkaCluster) Restart(i int) {
	c.tb.Helper()
	c.Kill(i)
	c.Launch(i)
}

// Launch starts nodes that do not run, all at once: a majority of them may be
// needed before any is ready.
func (c *KafkaCluster) Launch(nodes ...int) {
	c.tb.Helper()
	for _, i := range nodes {
		c.launch(i)
	}
	for _, i := range nodes {
		c.await(i)
	}
}

// Stop freezes node i (SIGSTOP) until Continue.
func (c *KafkaCluster) Stop(i int) { _ = c.nodes[i].cmd.Process.Signal(syscall.SIGSTOP) }

// Continue wakes a frozen node.
func (c *KafkaCluster) Continue(i int) { _ = c.nodes[i].cmd.Process.Signal(syscall.SIGCONT) }

// clusterID is any 16 bytes in base64.
const clusterID = "YW1weS1idXMtdGVzdHMtMQ"

func (c *KafkaCluster) launch(i int) {
	c.tb.Helper()
	n := c.nodes[i]
	file := filepath.Join(n.dir, "server.properties")
	if !n.formatted {
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(n.conf)) {
			fmt.Fprintf(&b, "%s=%s\n", k, n.conf[k])
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			c.tb.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(n.dir, "log4j2.properties"), []byte(kafkaLogging), 0o600); err != nil {
			c.tb.Fatal(err)
		}
		out, err := c.java(n, "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", file).CombinedOutput()
		if err != nil {
			c.tb.Fatalf("format kafka's storage: %v\n%s", err, out)
		}
		n.formatted = true
	}
	cmd := c.java(n, "kafka.Kafka", file)
	// The broker must not outlive a test that is itself killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(filepath.Join(n.dir, "kafka.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	_ = log.Close()
	if err != nil {
		c.tb.Fatal(err)
	}
	n.cmd = cmd
}

const kafkaLogging = `rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
`

// java runs a class of Kafka's. What it unpacks for itself goes with the node.
func (c *KafkaCluster) java(n *kafkaNode, args ...string) *exec.Cmd {
	jvm := []string{
		"-Djava.io.tmpdir=" + n.dir,
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dlog4j2.configurationFile=" + filepath.Join(n.dir, "log4j2.properties"),
		"-cp", filepath.Join(c.libs, "*"),
	}
	return exec.Command("java", append(jvm, args...)...)
}

// await returns when node i takes connections.
func (c *KafkaCluster) await(i int) {
	c.tb.Helper()
	n := c.nodes[i]
	ctx, cancel := context.WithTimeout(context.Background(), kafkaReady)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.tb.Fatalf("kafka node %d is not ready in %v:\n%s", i, kafkaReady, tail(filepath.Join(n.dir, "kafka.log")))
		}
	}
}

func tail(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if lines = append(lines, s.Text()); len(lines) > 20 {
			lines = lines[1:]
		}
	}
	return strings.Join(lines, "\n")
}

// kafkaVersion is the release that tests run.
const kafkaVersion = "4.3.1"

// kafkaJars is the directory of Kafka's jars.
func kafkaJars(tb testing.TB) string {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(cache, "ampy-bus", "kafka-"+kafkaVersion)
	libs := filepath.Join(dir, "libs")
	mode := os.Getenv(KafkaEnv)
	if _, err := os.Stat(filepath.Join(libs, "kafka_2.13-"+kafkaVersion+".jar")); err == nil && mode != "off" {
		return libs
	}
	if mode != "fetch" {
		tb.Skipf("SKIPPED: needs a real Kafka: set %s=fetch (Maven and Java 17 get and run %s), or to brokers as host:port", KafkaEnv, kafkaVersion)
	}
	if err := fetchJars(dir); err != nil {
		tb.Fatalf("fetch kafka %s: %v", kafkaVersion, err)
	}
	return libs
}

const kafkaPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version></dependency>
  </dependencies>
</project>
`

func fetchJars(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(kafkaPOM), 0o600); err != nil {
		return err
	}
	cmd := exec.Command("mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory=libs")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("mvn is not installed: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
