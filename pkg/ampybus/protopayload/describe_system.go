package protopayload

import (
	"fmt"

	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
)

// Subtopics of the control domain.
const (
	SubtopicReplayRequests = "replay_requests"
	SubtopicReplayStatus   = "replay_status"
	SubtopicSettlements    = "dlq_settlements"
)

// describeMetric takes the service from the topic: the payload does not name it.
func describeMetric(f *finder, m *metricsv1.Metric) Facts {
	service := f.need("the topic's subtopic, which names the service,", f.topic.Subtopic)
	return Facts{
		Subtopic:  service,
		Key:       ampybus.MetricKey(service, f.need("name", m.GetName())),
		EventTime: moment(m.GetAt()),
	}
}

func describeControl(f *finder, m proto.Message) Facts {
	switch c := m.(type) {
	case *controlv1.ReplayRequest:
		return Facts{
			Subtopic:  SubtopicReplayRequests,
			Key:       f.need("scope", scopeKey(c.GetScope())),
			DedupeKey: f.need("request_id", c.GetRequestId()),
			EventTime: moment(c.GetRequestedAt()),
		}
	case *controlv1.ReplayStatus:
		return Facts{
			Subtopic:  SubtopicReplayStatus,
			Key:       ampybus.ReplayStatusKey(f.need("request_id", c.GetRequestId())),
			EventTime: moment(c.GetAsOf()),
			AsOf:      moment(c.GetAsOf()),
		}
	case *controlv1.DeadLetterSettlement:
		return Facts{
			Subtopic:  SubtopicSettlements,
			Key:       f.need("origin", c.GetOrigin()),
			EventTime: moment(c.GetSettledAt()),
		}
	}
	f.need(fmt.Sprintf("a control message in %T", m), "")
	return Facts{}
}

// scopeKey keeps requests for one part of the bus in order.
func scopeKey(s *controlv1.ReplayScope) string {
	if subject := s.GetSubject(); subject != "" {
		return subject
	}
	if domain := s.GetTopic().GetDomain(); domain != "" {
		return ampybus.ReplayRequestKey(domain, s.GetTopic().GetSubtopic())
	}
	return ""
}
