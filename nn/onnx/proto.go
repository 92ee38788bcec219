package onnx

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers and values of onnx.proto3.
const (
	modelIRVersion       = 1  // int64
	modelProducer        = 2  // string
	modelProducerVersion = 3  // string
	modelGraph           = 7  // GraphProto
	modelOpsets          = 8  // repeated OperatorSetIdProto
	modelMetadata        = 14 // repeated StringStringEntryProto
	irVersion            = 7  // the one that came with opset 13

	graphNode        = 1  // repeated NodeProto
	graphName        = 2  // string
	graphInitializer = 5  // repeated TensorProto
	graphInput       = 11 // repeated ValueInfoProto
	graphOutput      = 12 // repeated ValueInfoProto

	nodeInput     = 1 // repeated string
	nodeOutput    = 2 // repeated string
	nodeName      = 3 // string
	nodeOp        = 4 // string
	nodeAttribute = 5 // repeated AttributeProto

	attrName = 1  // string
	attrInt  = 3  // int64
	attrInts = 8  // repeated int64
	attrType = 20 // enum
	typeInt  = 2
	typeInts = 7

	tensorDims = 1 // repeated int64
	tensorType = 2 // enum
	tensorName = 8 // string
	tensorRaw  = 9 // bytes, little-endian
	typeFloat  = 1
	typeUint8  = 2
	typeInt64  = 7

	valueName     = 1 // string
	valueType     = 2 // TypeProto
	typeTensor    = 1 // TypeProto.Tensor
	tensorElement = 1 // enum
	tensorShape   = 2 // TensorShapeProto
	shapeDim      = 1 // repeated Dimension
	dimValue      = 1 // int64
	dimParam      = 2 // string: a size that is free, by name

	opsetVersion = 2 // int64
	entryKey     = 1 // string
	entryValue   = 2 // string
)

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

func appendString(b []byte, field protowire.Number, v string) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, v)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(v))
}

// encode returns the ModelProto. The same model gives the same bytes.
func (m Model) encode(g *graph) []byte {
	b := appendInt(nil, modelIRVersion, irVersion)
	b = appendString(b, modelProducer, "cifartui")
	b = appendString(b, modelProducerVersion, m.Version)
	b = appendBytes(b, modelGraph, m.encodeGraph(g))
	b = appendBytes(b, modelOpsets, appendInt(nil, opsetVersion, Opset))
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		b = appendBytes(b, modelMetadata, appendString(appendString(nil, entryKey, key), entryValue, m.Metadata[key]))
	}
	return b
}

func (m Model) encodeGraph(g *graph) []byte {
	size := int64(m.Spec.Size)
	input := valueInfo(InputName, typeFloat, 3, size, size)
	if m.Input == Bytes {
		input = valueInfo(InputName, typeUint8, size, size, 3)
	}
	var b []byte
	for _, n := range g.nodes {
		b = appendBytes(b, graphNode, n.encode())
	}
	b = appendString(b, graphName, "cifartui")
	for _, c := range g.constants {
		b = appendBytes(b, graphInitializer, c.encode())
	}
	b = appendBytes(b, graphInput, input)
	return appendBytes(b, graphOutput, valueInfo(OutputName, typeFloat, int64(m.Spec.Classes)))
}

// valueInfo describes an input or output of N images.
func valueInfo(name string, element int64, image ...int64) []byte {
	shape := appendBytes(nil, shapeDim, appendString(nil, dimParam, "N"))
	for _, n := range image {
		shape = appendBytes(shape, shapeDim, appendInt(nil, dimValue, n))
	}
	tensor := appendBytes(appendInt(nil, tensorElement, element), tensorShape, shape)
	return appendBytes(appendString(nil, valueName, name), valueType, appendBytes(nil, typeTensor, tensor))
}

func (n node) encode() []byte {
	var b []byte
	for _, in := range n.inputs {
		b = appendString(b, nodeInput, in)
	}
	b = appendString(b, nodeOutput, n.output)
	b = appendString(b, nodeName, n.output)
	b = appendString(b, nodeOp, n.op)
	for _, a := range n.attrs {
		b = appendBytes(b, nodeAttribute, a.encode())
	}
	return b
}

func (a attr) encode() []byte {
	b := appendString(nil, attrName, a.name)
	field, kind := protowire.Number(attrInt), int64(typeInt)
	if a.list {
		field, kind = attrInts, typeInts
	}
	for _, v := range a.ints {
		b = appendInt(b, field, v)
	}
	return appendInt(b, attrType, kind)
}

func (c constant) encode() []byte {
	var b, raw []byte
	for _, d := range c.shape {
		b = appendInt(b, tensorDims, int64(d))
	}
	kind := int64(typeFloat)
	if c.floats == nil {
		kind = typeInt64
		for _, v := range c.ints {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
	}
	raw = slices.Grow(raw, 4*len(c.floats))
	for _, v := range c.floats {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	b = appendInt(b, tensorType, kind)
	b = appendString(b, tensorName, c.name)
	return appendBytes(b, tensorRaw, raw)
}
