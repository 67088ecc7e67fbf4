package kafkabinding

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// examined is the report on a cluster, each finding with its words.
func examined(t *testing.T, c Config) []doctor.Finding {
	t.Helper()
	c.Logger = quiet()
	found := Doctor(t.Context(), c)
	for _, f := range found {
		if f.Title == "" || f.Why == "" || f.Fix == "" && f.Verdict != doctor.Holds {
			t.Errorf("%s: a finding without words: %+v", f.Check, f)
		}
	}
	return found
}

// verdicts expects exactly these findings not to hold.
func verdicts(t *testing.T, c Config, want string) {
	t.Helper()
	found := examined(t, c)
	if got := doctor.Short(found); got != want {
		t.Errorf("does not hold:\n%s, want\n%s", got, want)
		for _, f := range found {
			if !strings.Contains(want, f.Check+"="+string(f.Verdict)) && f.Verdict != doctor.Holds {
				t.Logf("%s: %s", f.Check, f.Why)
			}
		}
	}
}

// proper is a cluster as an operator should configure it.
func proper() map[string]string {
	return map[string]string{
		"default.replication.factor": "3", "min.insync.replicas": "2", "unclean.leader.election.enable": "false",
		"offsets.topic.replication.factor": "3", "offsets.retention.minutes": "129600",
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
	}
}

// What never holds: P9 and P16 are not the broker's, P14 it does not tell.
const (
	always    = "P16=unknown"
	plaintext = "P13=fails P14=unknown " + always
)

// The embedded server takes any configuration without obeying it, so that each
// can be judged here; real ones are below.
func TestDoctorJudgesClusters(t *testing.T) {
	const topic = "ampy.dev.orders.v1"
	for name, c := range map[string]struct {
		brokers int               // else 3
		conf    map[string]string // changes to proper
		topics  map[string]map[string]string
		replica int16 // of topics, else 3
		standIn bool
		anybody bool
		want    string
	}{
		"proper, empty":    {want: "P9=unknown " + plaintext},
		"proper, in use":   {topics: map[string]map[string]string{topic: nil, "ampy.dev.dlq.v1": nil}, want: "P9=unknown " + plaintext},
		"stand-in":         {standIn: true, want: "kind=fails P1=fails P9=unknown " + plaintext},
		"nobody":           {anybody: true, want: "identity=fails P9=unknown P13=fails P14=fails " + always},
		"no authorizer":    {conf: map[string]string{"authorizer.class.name": ""}, want: "authorizer=fails P9=unknown P13=fails P14=fails " + always},
		"open ACLs":        {conf: map[string]string{"allow.everyone.if.no.acl.found": "true"}, want: "authorizer=partly P9=unknown P13=fails P14=fails " + always},
		"single":           {brokers: 1, replica: 1, topics: map[string]map[string]string{topic: nil}, want: "replicas=fails P1=partly P9=unknown " + plaintext},
		"one replica":      {replica: 1, topics: map[string]map[string]string{topic: nil}, want: "replicas=partly P1=partly P9=unknown " + plaintext},
		"one to be made":   {conf: map[string]string{"default.replication.factor": "1"}, want: "replicas=partly P1=partly P9=unknown " + plaintext},
		"one in sync":      {topics: map[string]map[string]string{topic: {"min.insync.replicas": "1"}}, want: "in_sync=fails P1=partly P9=unknown " + plaintext},
		"unclean":          {topics: map[string]map[string]string{topic: {"unclean.leader.election.enable": "true"}}, want: "election=fails P1=fails P4=partly P9=unknown " + plaintext},
		"unclean to be":    {conf: map[string]string{"unclean.leader.election.enable": "true"}, want: "election=fails P1=fails P4=partly P9=unknown " + plaintext},
		"one offsets copy": {conf: map[string]string{"offsets.topic.replication.factor": "1"}, want: "internal=fails P1=partly P9=unknown " + plaintext},
		"short offsets":    {conf: map[string]string{"offsets.retention.minutes": "10080"}, want: "offsets=partly P9=unknown P10=partly " + plaintext},
		"compacted":        {topics: map[string]map[string]string{topic: {"cleanup.policy": "compact"}}, want: "topics=partly P6=fails P9=unknown P10=fails " + plaintext},
		"short retention":  {topics: map[string]map[string]string{topic: {"retention.ms": "86400000"}}, want: "topics=partly P6=partly P9=unknown " + plaintext},
		"limited bytes":    {topics: map[string]map[string]string{topic: {"retention.bytes": "1000000"}}, want: "topics=partly P6=partly P9=unknown " + plaintext},
		"producers' time":  {topics: map[string]map[string]string{topic: {"message.timestamp.type": "CreateTime"}}, want: "topics=partly P9=unknown " + plaintext},
		"small batches":    {topics: map[string]map[string]string{topic: {"max.message.bytes": "500000"}}, want: "max_message=partly P9=unknown " + plaintext},
		"weak dead letters": {
			topics: map[string]map[string]string{topic: {"min.insync.replicas": "3"}, "ampy.dev.dlq.v1": nil},
			want:   "P7=partly P9=unknown " + plaintext,
		},
		"others' topics": {topics: map[string]map[string]string{"theirs.dev.orders.v1": {"cleanup.policy": "compact"}}, want: "P9=unknown " + plaintext},
	} {
		t.Run(name, func(t *testing.T) {
			conf := proper()
			maps.Copy(conf, c.conf)
			opts := []kfake.Opt{kfake.NumBrokers(max(c.brokers, 1)), kfake.BrokerConfigs(conf)}
			if c.brokers == 0 {
				opts[0] = kfake.NumBrokers(3)
			}
			if !c.standIn {
				opts = append(opts, kfake.ClusterID("q1Sh-9_ISia_zwGINzRvyQ"))
			}
			client := Config{}
			if !c.anybody {
				opts = append(opts, kfake.EnableSASL(), kfake.Superuser(scram512, "jo", "secret"))
				client.User, client.Pass = "jo", "secret"
			}
			client.Brokers = []string{startSecure(t, kafkaserver.Config{Options: opts})}
			for name, changes := range c.topics {
				makeTopic(t, client, name, max(c.replica, 0), changes)
			}
			verdicts(t, client, c.want)
		})
	}
}

// makeTopic makes a topic as the bus does, but for the changes.
func makeTopic(t *testing.T, c Config, name string, replicas int16, changes map[string]string) {
	t.Helper()
	c.Logger = quiet()
	tr, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(t.Context())
	if replicas == 0 {
		replicas = safeReplicas
	}
	conf := tr.topicConfig(name)
	for k, v := range changes {
		conf[k] = kadm.StringPtr(v)
	}
	if resp, err := tr.adm.CreateTopic(t.Context(), 1, replicas, conf, name); err != nil || resp.Err != nil {
		t.Fatal(err, resp.Err)
	}
}

func TestDoctorOnAPrivateCluster(t *testing.T) {
	ca, dir := brokertest.NewCA(t, "ca"), t.TempDir()
	server := kafkaserver.Config{TLS: ca.ServerTLS(ca.Pool()), Options: []kfake.Opt{kfake.NumBrokers(3), kfake.BrokerConfigs(proper()), kfake.ClusterID("q1Sh")}}
	cert, key := ca.Issue("client", time.Now().Add(time.Hour))
	c := Config{Brokers: []string{startSecure(t, server)}, TLS: TLS{
		CAFile:   brokertest.WriteFile(t, dir, "ca.pem", ca.PEM()),
		CertFile: brokertest.WriteFile(t, dir, "c.pem", cert), KeyFile: brokertest.WriteFile(t, dir, "c.key", key),
	}}
	verdicts(t, c, "P9=unknown P14=unknown P16=unknown")

	server.TLS = ca.ServerTLS(nil)
	c = Config{Brokers: []string{startSecure(t, server)}, TLS: TLS{CAFile: c.TLS.CAFile}}
	verdicts(t, c, "identity=fails P9=unknown P13=partly P14=fails P16=unknown")
}

// What this identity may not read is not known, and is said so.
func TestDoctorClaimsNothingThatItCannotRead(t *testing.T) {
	describe := kfake.ACL{
		Resource: kmsg.ACLResourceTypeTopic, Name: "ampy.dev.orders.v1", Pattern: kmsg.ACLResourcePatternTypeLiteral,
		Operation: kmsg.ACLOperationDescribe, Allow: true,
	}
	cluster := kfake.ACL{
		Resource: kmsg.ACLResourceTypeCluster, Name: "kafka-cluster", Pattern: kmsg.ACLResourcePatternTypeLiteral,
		Operation: kmsg.ACLOperationDescribeConfigs, Allow: true,
	}
	const unread = "in_sync=unknown election=unknown internal=unknown topics=unknown max_message=unknown "
	for name, c := range map[string]struct {
		acls []kfake.ACL
		want string
	}{
		"nothing":           {nil, "authorizer=unknown replicas=unknown " + unread + "offsets=unknown P1=unknown P6=unknown P7=unknown P9=unknown P10=unknown P13=fails P14=unknown P16=unknown P17=partly"},
		"topics":            {[]kfake.ACL{describe}, "authorizer=unknown replicas=unknown " + unread + "offsets=unknown P1=unknown P6=unknown P7=unknown P9=unknown P10=unknown P13=fails P14=unknown P16=unknown P17=partly"},
		"topics, a cluster": {[]kfake.ACL{describe, cluster}, "replicas=unknown " + unread + "P1=unknown P6=unknown P7=unknown P9=unknown P13=fails P14=unknown P16=unknown P17=partly"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := startSecure(t, kafkaserver.Config{Options: []kfake.Opt{
				kfake.NumBrokers(3), kfake.BrokerConfigs(proper()), kfake.ClusterID("q1Sh"), kfake.EnableSASL(), kfake.EnableACLs(),
				kfake.Superuser(scram512, "root", "secret"), kfake.User(scram512, "jo", "secret", c.acls...),
			}})
			makeTopic(t, Config{Brokers: []string{addr}, User: "root", Pass: "secret"}, "ampy.dev.orders.v1", 3, nil)
			verdicts(t, Config{Brokers: []string{addr}, User: "jo", Pass: "secret"}, c.want)
		})
	}
}

func TestDoctorSaysWhyItCannotConnect(t *testing.T) {
	secured := startSecure(t, kafkaserver.Config{User: "jo", Pass: "secret"})
	for word, c := range map[string]Config{
		"credentials":   {Brokers: []string{secured}, User: "jo", Pass: "wrong"},
		"configuration": {Brokers: []string{"http://x"}},
		"kafkabusctl":   {Brokers: []string{"127.0.0.1:1"}},
	} {
		found := examined(t, c)
		if len(found) != 1 || found[0].Verdict != doctor.Fails || !strings.Contains(found[0].Title+found[0].Why+found[0].Fix, word) {
			t.Errorf("%s: %+v", word, found)
		}
	}
}

func TestDoctorOnRealKafka(t *testing.T) {
	if env := os.Getenv(brokertest.KafkaEnv); strings.Contains(env, ":") {
		t.Skipf("SKIPPED: the test chooses the cluster's configuration; %s names one elsewhere", brokertest.KafkaEnv)
	}
	const open = "identity=fails authorizer=fails "
	for name, c := range map[string]struct {
		nodes int
		conf  map[string]string
		want  string
	}{
		"one node": {nodes: 1, want: open + "replicas=fails in_sync=fails internal=fails offsets=partly P1=partly P9=unknown P10=partly P13=fails P14=fails " + always},
		"one node unclean": {
			nodes: 1, conf: map[string]string{"unclean.leader.election.enable": "true", "log.cleanup.policy": "compact"},
			want: open + "replicas=fails in_sync=fails election=fails internal=fails offsets=partly P1=fails P4=partly P9=unknown P10=partly P13=fails P14=fails " + always,
		},
		"three nodes": {
			nodes: 3, conf: map[string]string{"offsets.retention.minutes": "129600"},
			want: open + "P9=unknown P13=fails P14=fails " + always,
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := Config{Brokers: brokertest.StartKafka(t, c.nodes, c.conf).Addrs()}
			makeTopic(t, client, "ampy.dev.orders.v1", int16(min(c.nodes, safeReplicas)), nil)
			verdicts(t, client, c.want)
			for _, f := range examined(t, client) {
				if f.Check == "server" && strings.Contains(f.Why, "unknown version") {
					t.Error(f.Why)
				}
			}
		})
	}
}
