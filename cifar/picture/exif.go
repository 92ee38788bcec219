package picture

import "encoding/binary"

// orientationTag is the tag of EXIF 2.32, table 4, in the first directory.
const orientationTag = 0x0112

// orientation returns the orientation that EXIF data, a TIFF header and what
// follows it, gives: 1 to 8, and 1 (upright) where it says nothing of use.
func orientation(exif []byte) int {
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := uint64(order.Uint32(exif[4:]))
	if at+2 > uint64(len(exif)) {
		return 1
	}
	const entry = 12 // bytes: tag, type, count, value
	n := int(order.Uint16(exif[at:]))
	for dir := exif[at+2:]; n > 0 && len(dir) >= entry; n, dir = n-1, dir[entry:] {
		const short = 3
		if order.Uint16(dir) != orientationTag || order.Uint16(dir[2:]) != short {
			continue
		}
		if o := int(order.Uint16(dir[8:])); o >= 1 && o <= 8 {
			return o
		}
		return 1
	}
	return 1
}
