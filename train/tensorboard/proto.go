package tensorboard

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of event.proto, summary.proto and tensor.proto.
const (
	eventWallTime    = 1 // double, seconds
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	sessionLogStatus = 1 // enum
	sessionStart     = 1

	summaryValue = 1 // repeated Value

	valueTag      = 1 // string
	valueSimple   = 2 // float
	valueTensor   = 8 // TensorProto
	valueMetadata = 9 // SummaryMetadata

	metadataPlugin     = 1 // PluginData
	metadataClass      = 4 // enum
	classTensor        = 2
	pluginName         = 1 // string
	pluginContent      = 2 // bytes
	tensorDtype        = 1 // enum
	dtypeFloat         = 1
	tensorShape        = 2 // TensorShapeProto
	tensorShapeDim     = 2 // repeated Dim
	fileVersion        = "brain.Event:2"
	hparamsPluginName  = "hparams"
	nanosecondsASecond = 1e9
)

// Field numbers of the HParams plugin's plugin_data.proto and api.proto, and of
// google/protobuf/struct.proto.
const (
	dataExperiment   = 2 // Experiment
	dataSessionStart = 3 // SessionStartInfo
	dataSessionEnd   = 4 // SessionEndInfo

	experimentCreated = 3 // double, seconds
	experimentHParam  = 4 // repeated HParamInfo
	experimentMetric  = 5 // repeated MetricInfo

	hparamName    = 1 // string
	hparamDisplay = 2 // string
	hparamType    = 4 // enum
	typeString    = 1
	typeBool      = 2
	typeFloat64   = 3

	metricName      = 1 // MetricName
	metricNameGroup = 1 // string, a folder below the session's
	metricNameTag   = 2 // string
	metricDisplay   = 3 // string

	startHParams = 1 // map<string, Value>
	startTime    = 5 // double, seconds
	mapKey       = 1
	mapValue     = 2
	valueNumber  = 2 // double
	valueString  = 3 // string
	valueBool    = 4 // bool

	endStatus     = 1 // enum
	statusSuccess = 1
	statusFailure = 2
	endTime       = 2 // double, seconds
)

// Tags that the HParams plugin looks for.
const (
	tagExperiment   = "_hparams_/experiment"
	tagSessionStart = "_hparams_/session_start_info"
	tagSessionEnd   = "_hparams_/session_end_info"
)

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

func appendString(b []byte, field protowire.Number, v string) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, v)
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(v))
}

func appendFloat(b []byte, field protowire.Number, v float32) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, math.Float32bits(v))
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / nanosecondsASecond }

// encodeEvent returns an Event message with what, one encoded field of its oneof.
func encodeEvent(t time.Time, step int64, what []byte) []byte {
	b := appendDouble(nil, eventWallTime, seconds(t))
	b = appendVarint(b, eventStep, uint64(step))
	return append(b, what...)
}

func versionEvent(t time.Time) []byte {
	return encodeEvent(t, 0, appendString(nil, eventFileVersion, fileVersion))
}

// startEvent tells readers to forget what they have from step on.
func startEvent(t time.Time, step int64) []byte {
	return encodeEvent(t, step, appendBytes(nil, eventSessionLog,
		appendVarint(nil, sessionLogStatus, sessionStart)))
}

// A scalar is one value of a chart.
type scalar struct {
	tag   string
	value float64
}

func scalarEvent(t time.Time, step int64, scalars ...scalar) []byte {
	var sum []byte
	for _, s := range scalars {
		v := appendString(nil, valueTag, s.tag)
		v = appendFloat(v, valueSimple, float32(s.value))
		sum = appendBytes(sum, summaryValue, v)
	}
	return encodeEvent(t, step, appendBytes(nil, eventSummary, sum))
}

// hparamsEvent wraps one field of HParamsPluginData as the plugin wants it: in
// the metadata of a summary whose own value is an empty float vector. The
// message's version is 0 and so not written.
func hparamsEvent(t time.Time, tag string, field protowire.Number, message []byte) []byte {
	plugin := appendString(nil, pluginName, hparamsPluginName)
	plugin = appendBytes(plugin, pluginContent, appendBytes(nil, field, message))
	meta := appendBytes(nil, metadataPlugin, plugin)
	meta = appendVarint(meta, metadataClass, classTensor)
	empty := appendVarint(nil, tensorDtype, dtypeFloat)
	empty = appendBytes(empty, tensorShape, appendBytes(nil, tensorShapeDim, nil))
	v := appendString(nil, valueTag, tag)
	v = appendBytes(v, valueMetadata, meta)
	v = appendBytes(v, valueTensor, empty)
	return encodeEvent(t, 0, appendBytes(nil, eventSummary, appendBytes(nil, summaryValue, v)))
}
