package kafkabinding

import (
	"context"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

var _ driver.Identified = (*Transport)(nil)

// Identity implements driver.Identified: the cluster's id.
func (t *Transport) Identity(ctx context.Context, _ bool) (string, error) {
	resp, err := metadataOf().RequestWith(ctx, t.cl)
	if err != nil {
		return "", requestError("ask for the cluster's id", err)
	}
	if resp.ClusterID == nil || *resp.ClusterID == "" {
		return "kafka", nil
	}
	return "kafka-" + *resp.ClusterID, nil
}
