package ampybus

import "strings"

// domainOf is the domain of a legal topic, "" of another. It does not check
// the subtopic and does not allocate.
func domainOf(topic string) string {
	_, domain := cutPlace(topic)
	if policyRow(domain) == nil {
		return ""
	}
	return domain
}

// cutPlace cuts env and domain out of ampy.{env}.{domain}.…
func cutPlace(topic string) (env, domain string) {
	rest, ok := strings.CutPrefix(topic, "ampy.")
	if !ok {
		return "", ""
	}
	env, rest, ok = strings.Cut(rest, ".")
	if !ok {
		return "", ""
	}
	domain, _, _ = strings.Cut(rest, ".")
	return env, domain
}
