package kafkabinding

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	schemePlain = "kafka"
	schemeTLS   = "kafka+tls"
	brokerShape = "write host:port, or kafka://host:port,host:port"
)

// withURLs replaces Brokers by host:port pairs, and takes over what URLs say
// beyond them.
func (c Config) withURLs() (Config, error) {
	var addrs []string
	for _, entry := range c.Brokers {
		list := strings.TrimSpace(entry)
		var err error
		if scheme, rest, ok := strings.Cut(list, "://"); ok {
			if list, err = c.takeURL(scheme, rest); err != nil {
				return c, err
			}
		}
		for _, addr := range strings.Split(list, ",") {
			if addr, err = checkAddr(addr); err != nil {
				return c, err
			}
			addrs = append(addrs, addr)
		}
	}
	if len(c.Brokers) == 0 {
		addrs = []string{DefaultBroker}
	}
	if len(addrs) > maxBrokers {
		return c, badConfig("Brokers", "%d brokers, the limit is %d; name a few of the cluster, the client learns the others", len(addrs), maxBrokers)
	}
	c.Brokers = addrs
	return c, nil
}

// takeURL applies what a URL says beyond its brokers, and returns these.
func (c *Config) takeURL(scheme, rest string) (list string, err error) {
	switch scheme {
	case schemePlain:
	case schemeTLS:
		c.TLS.Enable = true
	default:
		return "", badConfig("Brokers", "scheme %q; %s", scheme, brokerShape)
	}
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		// The brokers of a list are no host for url.Parse; who stands before
		// the @ is parsed with a host that is one.
		u, err := url.Parse("kafka://" + rest[:at] + "@host")
		if err != nil {
			return "", badConfig("Brokers", "what stands before the @ is not user:password in URL encoding")
		}
		c.User = u.User.Username()
		c.Pass, _ = u.User.Password()
		rest = rest[at+1:]
	}
	return strings.TrimSuffix(rest, "/"), c.takeQuery(query)
}

func (c *Config) takeQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return badConfig("Brokers", "what follows the ? is not a URL query")
	}
	for name, vs := range values {
		switch v := vs[len(vs)-1]; name + "=" + v {
		case "layout=full":
			c.Layout = LayoutFull
		case "layout=domain":
			c.Layout = LayoutDomain
		case "partitioner=fnv1a":
			c.Partitioner = FNV1a
		case "partitioner=murmur2":
			c.Partitioner = Murmur2
		default:
			return badConfig("Brokers", "?%s=%s; known are layout=domain|full and partitioner=murmur2|fnv1a", name, v)
		}
	}
	return nil
}

func checkAddr(addr string) (string, error) {
	addr = strings.TrimSpace(addr)
	if addr == "" {
		return "", badConfig("Brokers", "an empty broker; %s", brokerShape)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", badConfig("Brokers", "%q is not host:port; %s", addr, brokerShape)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return "", badConfig("Brokers", "port %q of %q; ports are 1 to 65535", port, addr)
	}
	if host == "" || strings.ContainsAny(host, " /\\@?#") {
		return "", badConfig("Brokers", "%q names no host; %s", addr, brokerShape)
	}
	return addr, nil
}

// redact hides what stands before the @ of each entry.
func redact(brokers []string) []string {
	out := slices.Clone(brokers)
	for i, s := range out {
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			scheme, _, ok := strings.Cut(s[:at], "://")
			if ok {
				scheme += "://"
			} else {
				scheme = ""
			}
			out[i] = scheme + "***" + s[at:]
		}
	}
	return out
}
