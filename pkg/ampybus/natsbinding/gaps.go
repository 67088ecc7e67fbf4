package natsbinding

import "context"

// gaps tells losses from mere holes in the positions. Holes are where records
// of other subjects lie, or where single records were deleted; a loss is where
// the stream begins behind a position that was still due. One question to the
// server serves all holes of a batch; records that were waited for have none.
//
// In a lane that reads a part of a stream, a loss is told from a hole by the
// stream's beginning alone: one right at the edge of retention may be a hole.
func (l *lane) gaps(ctx context.Context, holes []span) (lost []span, ok bool) {
	if len(holes) == 0 {
		return nil, true
	}
	info, err := l.s.t.streamInfo(ctx, l.stream)
	for err != nil {
		l.s.trouble(err)
		if pause(ctx, retryWait); ctx.Err() != nil {
			return nil, false
		}
		info, err = l.s.t.streamInfo(ctx, l.stream)
	}
	first := info.State.FirstSeq
	for _, h := range holes {
		if first > h.from && (l.whole || first <= h.to) {
			lost = append(lost, span{h.from, min(first, h.to)})
		}
	}
	return lost, true
}
