package main

import (
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

type domainsFile struct {
	Envs    []string `json:"envs"`
	Topic   topic    `json:"topic"`
	Domains []domain `json:"domains"`
}

type topic struct {
	Shape         string `json:"shape"`
	Version       string `json:"version"`
	Token         string `json:"token"`
	MaxBytes      int    `json:"max_bytes"`
	MaxTokenBytes int    `json:"max_token_bytes"`
}

type domain struct {
	Name             string            `json:"name"`
	Version          string            `json:"version"`
	DefaultSchema    string            `json:"default_schema,omitempty"`
	SchemaBySubtopic map[string]string `json:"schema_by_subtopic,omitempty"`
	Schemas          []string          `json:"schemas,omitempty"`
	Aliases          map[string]string `json:"aliases,omitempty"`
	Subtopic         string            `json:"subtopic"`
	PartitionKey     string            `json:"partition_key"`
	KeyShape         string            `json:"key_shape"`
	EventTime        string            `json:"event_time,omitempty"`
	AsOf             string            `json:"as_of,omitempty"`
	IngestTime       string            `json:"ingest_time,omitempty"`
	ExpiresAt        string            `json:"expires_at,omitempty"`
	DedupeKey        string            `json:"dedupe_key,omitempty"`
	WantsDedupeKey   bool              `json:"wants_dedupe_key"`
	SinkKey          string            `json:"sink_key,omitempty"`
	Batch            string            `json:"batch,omitempty"`
	Class            string            `json:"class"`
	PublishCeilingMS int64             `json:"publish_ceiling_ms"`
	Retry            retry             `json:"retry"`
	OnDead           string            `json:"on_dead"`
	RetentionHours   int64             `json:"retention_hours"`
	DedupeWindowMS   int64             `json:"dedupe_window_ms"`
	Replicas         int               `json:"replicas"`
	CompressOver     int               `json:"compress_over_bytes"`
	AlwaysHash       bool              `json:"always_hash"`
	LatencyTargetMS  int64             `json:"latency_target_ms"`
	Infrastructure   bool              `json:"infrastructure"`
	ModelKeys        bool              `json:"model_keys"`
}

type retry struct {
	Attempts  int   `json:"attempts"`
	ElapsedMS int64 `json:"elapsed_ms"`
	BaseMS    int64 `json:"base_ms"`
	CapMS     int64 `json:"cap_ms"`
}

func domains() domainsFile {
	f := domainsFile{
		Envs: ampybus.Envs(),
		Topic: topic{
			Shape: "ampy.{env}.{domain}.{version}.{subtopic}", Version: "v[1-9][0-9]{0,2}", Token: `[A-Za-z0-9_@|:+=^/#-]`,
			MaxBytes: ampybus.MaxTopicBytes, MaxTokenBytes: ampybus.MaxTokenBytes,
		},
	}
	for _, name := range ampybus.Domains() {
		p, _ := ampybus.PolicyFor(name)
		f.Domains = append(f.Domains, row(p))
	}
	return f
}

func row(p ampybus.Policy) domain {
	return domain{
		Name: p.Domain, Version: p.Version,
		DefaultSchema: p.DefaultSchema, SchemaBySubtopic: p.SchemaBySubtopic, Schemas: p.Schemas, Aliases: p.Aliases,
		Subtopic: p.Subtopic, PartitionKey: p.PartitionKey, KeyShape: p.KeyShape.String(),
		EventTime: p.EventTime, AsOf: p.AsOf, IngestTime: p.IngestTime, ExpiresAt: p.ExpiresAt,
		DedupeKey: p.DedupeKey, WantsDedupeKey: p.WantsDedupeKey, SinkKey: p.SinkKey, Batch: p.Batch,
		Class: p.Class.String(), PublishCeilingMS: p.PublishCeiling.Milliseconds(),
		Retry: retry{
			Attempts: p.Retry.Attempts, ElapsedMS: p.Retry.Elapsed.Milliseconds(),
			BaseMS: p.Retry.Base.Milliseconds(), CapMS: p.Retry.Cap.Milliseconds(),
		},
		OnDead: p.OnDead.String(), RetentionHours: int64(p.Retention / time.Hour), DedupeWindowMS: p.DedupeWindow.Milliseconds(),
		Replicas: p.Replicas, CompressOver: p.CompressOver, AlwaysHash: p.AlwaysHash,
		LatencyTargetMS: p.LatencyTarget.Milliseconds(), Infrastructure: p.Infrastructure, ModelKeys: p.ModelKeys,
	}
}
