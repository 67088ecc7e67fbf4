package main

import "github.com/AmpyFin/ampy-bus/pkg/ampybus"

type headersFile struct {
	Headers      []header `json:"headers"`
	ContentTypes []string `json:"content_types"`
	Encodings    []string `json:"content_encodings"`
	Limits       limits   `json:"limits"`
}

type header struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Required bool   `json:"required"`
	// Vital headers are required of what is read, too.
	Vital    bool   `json:"vital"`
	SetByBus bool   `json:"set_by_bus"`
	MaxBytes int    `json:"max_bytes"`
	Doc      string `json:"doc"`
}

type limits struct {
	HeaderBlockBytes int `json:"header_block_bytes"`
	HeaderValueBytes int `json:"header_value_bytes"`
	ExtraHeaders     int `json:"extra_headers"`
	RetryCount       int `json:"retry_count"`
	PayloadBytes     int `json:"payload_bytes"`
	InlineBytes      int `json:"inline_payload_bytes"`
	CompressOver     int `json:"compress_over_bytes"`
	BlobBytes        int `json:"blob_bytes"`
	InflatedBytes    int `json:"inflated_bytes"`
}

func headers() headersFile {
	f := headersFile{
		ContentTypes: []string{ampybus.ContentTypeProtobuf, ampybus.ContentTypeJSON},
		Encodings:    []string{ampybus.EncodingGzip},
		Limits: limits{
			HeaderBlockBytes: ampybus.MaxHeaderBlock, HeaderValueBytes: ampybus.MaxHeaderValue,
			ExtraHeaders: ampybus.MaxExtraHeaders, RetryCount: ampybus.MaxRetryCount,
			PayloadBytes: ampybus.MaxPayload, InlineBytes: ampybus.MaxInlinePayload, CompressOver: ampybus.CompressOver,
			BlobBytes: ampybus.MaxBlobBytes, InflatedBytes: ampybus.DefaultMaxInflated,
		},
	}
	for _, s := range ampybus.HeaderSpecs() {
		f.Headers = append(f.Headers, header{
			Name: s.Name, Kind: s.Kind, Required: s.Required, Vital: s.Vital, SetByBus: s.Bus, MaxBytes: s.MaxBytes, Doc: s.Doc,
		})
	}
	return f
}
