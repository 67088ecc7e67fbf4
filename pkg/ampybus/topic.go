package ampybus

import (
	"slices"
	"strconv"
	"strings"
)

// The environments of a topic (specification §5). They are tenants: nothing
// crosses from one to another.
const (
	EnvDev   = "dev"
	EnvPaper = "paper"
	EnvProd  = "prod"
)

// The domains of a topic (specification §5).
const (
	DomainBars             = "bars"
	DomainTicks            = "ticks"
	DomainFundamentals     = "fundamentals"
	DomainNews             = "news"
	DomainFX               = "fx"
	DomainCorporateActions = "corporate_actions"
	DomainUniverse         = "universe"
	DomainSignals          = "signals"
	DomainOrders           = "orders"
	DomainFills            = "fills"
	DomainPositions        = "positions"
	DomainMetrics          = "metrics"
	DomainDLQ              = "dlq"
	DomainControl          = "control"
)

const (
	// MaxTopicBytes keeps a topic far below what closes a NATS connection
	// (5,000 bytes do) and below Kafka's 249 once the subtopic is cut off.
	MaxTopicBytes = 200
	// MaxTokenBytes bounds one dot-separated part of a subtopic.
	MaxTokenBytes = 64

	topicRoot = "ampy"
)

var (
	envNames    = [...]string{EnvDev, EnvPaper, EnvProd}
	domainNames = [...]string{
		DomainBars, DomainTicks, DomainFundamentals, DomainNews, DomainFX, DomainCorporateActions, DomainUniverse,
		DomainSignals, DomainOrders, DomainFills, DomainPositions, DomainMetrics, DomainDLQ, DomainControl,
	}
)

// Envs lists the environments, in the order of specification §5.
func Envs() []string { return slices.Clone(envNames[:]) }

// Domains lists the 14 domains, in the order of specification §5.
func Domains() []string { return slices.Clone(domainNames[:]) }

// Topic is ampy.{env}.{domain}.{version}.{subtopic}, taken apart. Subtopic has
// one or more tokens and may therefore hold dots: symbols such as BRK.B do.
type Topic struct{ Env, Domain, Version, Subtopic string }

// ParseTopic reads a concrete topic. It refuses wildcards: use ParsePattern for
// what a consumer asks for. The error is a *FieldError for field "topic".
func ParseTopic(s string) (Topic, error) {
	if problem, fix := checkTopic(s, false); problem != "" {
		return Topic{}, &FieldError{Field: HeaderTopic, Value: s, Problem: problem, Fix: fix}
	}
	var t Topic
	_, rest, _ := strings.Cut(s, ".")
	t.Env, rest, _ = strings.Cut(rest, ".")
	t.Domain, rest, _ = strings.Cut(rest, ".")
	t.Version, t.Subtopic, _ = strings.Cut(rest, ".")
	return t, nil
}

// String joins the parts. The result parses again only if the parts are legal.
func (t Topic) String() string {
	return topicRoot + "." + t.Env + "." + t.Domain + "." + t.Version + "." + t.Subtopic
}

// DLQ is the topic of t's dead letters: ampy.{env}.dlq.v1.{domain}.
func (t Topic) DLQ() Topic {
	return Topic{Env: t.Env, Domain: DomainDLQ, Version: "v1", Subtopic: t.Domain}
}

// Major is the number in Version, which is the payload's major version
// (specification §5). It is 0 when Version is not a version.
func (t Topic) Major() int {
	if !isVersion(t.Version) {
		return 0
	}
	n, _ := strconv.Atoi(t.Version[1:])
	return n
}

const topicShape = "write ampy.{env}.{domain}.{version}.{subtopic}"

// subtopicToken is the index of the first token of the subtopic.
const subtopicToken = 4

// checkTopic says what is wrong with a topic or, with wild, with a pattern.
// An empty problem means that it is legal.
func checkTopic(s string, wild bool) (problem, fix string) {
	if s == "" {
		return "empty", topicShape
	}
	if len(s) > MaxTopicBytes {
		return "length: " + strconv.Itoa(len(s)) + " bytes, the limit is " + strconv.Itoa(MaxTopicBytes), "shorten the subtopic"
	}
	problem, fix = checkTokens(s, wild)
	if problem != "" {
		if i := strings.IndexFunc(s, isControl); i >= 0 {
			return "control character at byte " + strconv.Itoa(i), "remove it"
		}
	}
	return problem, fix
}

func checkTokens(s string, wild bool) (problem, fix string) {
	n := 0
	for rest, more := s, true; more; n++ {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		switch {
		case token == "":
			return "empty token: two dots in a row, or a dot at an end", topicShape
		case n == 0 || token != "*" && token != ">":
			if problem, fix = checkToken(n, token); problem != "" {
				return problem, fix
			}
		case !wild:
			return "wildcard: a producer names one concrete topic", "replace " + token
		case token == ">" && more:
			return "wildcard: > stands for the rest and can only be last", "use * for one token"
		case token == ">":
			return "", ""
		}
	}
	if n <= subtopicToken {
		return "parts: the subtopic is missing", topicShape
	}
	return "", ""
}

// checkToken checks token n of a topic.
func checkToken(n int, token string) (problem, fix string) {
	switch n {
	case 0:
		if token == topicRoot {
			return "", ""
		}
		if strings.EqualFold(token, topicRoot) {
			return "case: the prefix is lower case", "write ampy"
		}
		return "prefix: topics of the bus begin with ampy", topicShape
	case 1:
		if token == EnvProd || token == EnvPaper || token == EnvDev {
			return "", ""
		}
		return unknownName("env", token, envNames[:])
	case 2:
		if policyRow(token) != nil {
			return "", ""
		}
		return unknownName("domain", token, domainNames[:])
	case 3:
		if isVersion(token) {
			return "", ""
		}
		return "version: " + strconv.QuoteToASCII(token) + " is none", "write v1 to v999, without leading zeros"
	}
	if len(token) > MaxTokenBytes {
		return "length: a token has " + strconv.Itoa(len(token)) + " bytes, the limit is " + strconv.Itoa(MaxTokenBytes), "shorten the subtopic"
	}
	for i := range len(token) {
		if !tokenBytes[token[i]] {
			return "charset: " + strconv.QuoteToASCII(token) + " holds more than letters, digits and " + tokenSigns, "replace the other characters"
		}
	}
	return "", ""
}

func unknownName(kind, token string, names []string) (problem, fix string) {
	fix = "write one of " + strings.Join(names, ", ")
	if slices.Contains(names, strings.ToLower(token)) {
		return "case: " + kind + " " + strconv.QuoteToASCII(token) + " is not lower case", fix
	}
	return kind + ": " + strconv.QuoteToASCII(token) + " is none", fix
}

// isVersion reports v1 to v999. A larger number is a typing error: a major
// version changes with breaking payload changes only (specification §4).
func isVersion(s string) bool {
	if len(s) < 2 || len(s) > 4 || s[0] != 'v' || s[1] == '0' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// tokenSigns are what real symbols and model ids need beside letters and
// digits: ^GSPC, ES=F, BTC-USD, hyper@2025-09-05. No broker reads them as its own.
const tokenSigns = "_-@|:+=^/#"

var tokenBytes = byteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + tokenSigns)

func byteSet(members string) (set [256]bool) {
	for i := range len(members) {
		set[members[i]] = true
	}
	return set
}
